"""Which streams and norms could be compressed to d - 1 features, and what that is worth.

A compressed norm reads z = E v and writes the normalized value in the same basis, so every reader
of its result must be a linear map that absorbs D and gamma (see basis.py). Everything else that
reads a compressed value needs it whole, and gets it from a decoder.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np
import onnx_ir as ir

from graphopt.passes.crms import sizes
from graphopt.passes.crms.basis import Basis
from graphopt.passes.crms.size_operands import Sizes
from graphopt.passes.graph import constants
from graphopt.passes.graph.axes import Stream
from graphopt.passes.graph.naming import node_words
from graphopt.passes.graph.overflow import obstacle_to_folding
from graphopt.passes.planning.costs import Costs, RowCounts
from graphopt.passes.streams import algebra
from graphopt.passes.streams.affine import Affine
from graphopt.passes.streams.roles import Carries
from graphopt.passes.streams.trace import Norm, StreamFacts, Trace

__all__ = [
    "Compression",
    "WeightCopy",
    "compression",
    "readers_by_weight",
    "weight_copies",
]

_SHARE_OF_DECODER = 0.6
"""What compressing one norm is worth, as a share of a decoder: one must serve two norms to pay.

The one entry that a norm saves is worth less than any decoder. Whoever asks for this variant asks
for compressed norms, and this says how many for each decoder.
"""
_MINIMUM_OPSET_OF_SIZES = 9  # of Where, which edits sizes at run time
_MINIMUM_OPSET = 13  # of the operators that encoders and decoders are written in


@dataclasses.dataclass(frozen=True)
class Compression:
    """What could be compressed.

    Attributes:
        gains: What compressing a norm is worth, in nanoseconds, for each norm that could be.
        norm_obstacles: Why another norm could not be compressed, in words.
        stream_obstacles: Why a stream could not be compressed, in words.
        whole_readers: Who reads a stream whole, in words, beside its norms and carriers.
        encoding: Price of an encoder behind a stream, in nanoseconds.
        decoding: Price of a decoder behind a stream.
    """

    gains: dict[Norm, float]
    norm_obstacles: dict[Norm, str]
    stream_obstacles: dict[Stream, str]
    whole_readers: dict[Stream, list[str]]
    encoding: dict[Stream, float]
    decoding: dict[Stream, float]


def compression(
    model: ir.Model,
    found: Trace,
    affines: dict[Norm, Affine],
    basis: str,
    costs: Costs,
    rows: RowCounts,
    rate: float,
) -> Compression:
    """Judge every norm and stream of ``found``.

    Args:
        model: The traced model.
        found: Its trace.
        affines: The affine part of each norm.
        basis: Name of the basis.
        costs: Of the execution provider.
        rows: Reference sizes.
        rate: Nanoseconds that a copied byte costs.
    """
    norm_obstacles, gains = {}, {}
    opset = model.opset_imports.get("", 1)
    turned = {stream.value for stream in found.streams}
    for norm, part in affines.items():
        reason = _norm_obstacle(norm, part, basis, turned)
        if opset < _MINIMUM_OPSET_OF_SIZES:
            reason = f"compression needs opset {_MINIMUM_OPSET_OF_SIZES}"
        if reason:
            norm_obstacles[norm] = reason
            continue
        worth = _SHARE_OF_DECODER * _price(norm.stream, costs.decoding, 4, costs, rows)
        copied = sum(copy.nbytes for copy in weight_copies([norm], affines))
        gains[norm] = worth - (rate * copied if copied else 0.0)
    norms = {norm.node: norm for norm in found.norms}
    writes = opset >= _MINIMUM_OPSET
    everything = {*found.streams, *found.centred}
    obstacles = {
        stream: reason
        for stream in everything
        if (reason := _stream_obstacle(stream, found.streams.get(stream), basis))
    }
    return Compression(
        gains=gains,
        norm_obstacles=norm_obstacles,
        stream_obstacles=obstacles,
        whole_readers={
            stream: [
                node_words(node)
                for node in facts.tolerant
                if node not in norms and algebra.sizes_of(node) is not Sizes.TOLD
            ]
            for stream, facts in found.streams.items()
        },
        encoding={
            stream: _encoding(stream, stream in obstacles, costs, rows, writes)
            for stream in everything
        },
        decoding={
            stream: _price(stream, costs.decoding, 4, costs, rows) if writes else float("inf")
            for stream in everything
        },
    )


def _price(stream: Stream, rate: float, nodes: int, costs: Costs, rows: RowCounts) -> float:
    if not stream.is_whole or stream.value.dtype is None:
        return float("inf")
    return rate * rows.elements(stream) + nodes * costs.launch + 1.0


def _encoding(
    stream: Stream, is_hindered: bool, costs: Costs, rows: RowCounts, writes: bool
) -> float:
    """The price of an encoder; a constant is encoded beforehand, where it has the room."""
    if stream.is_whole and constants.constant_tensor(stream.value) is not None:
        return float("inf") if is_hindered else 1.0
    return _price(stream, costs.encoding, 3, costs, rows) if writes else float("inf")


def readers_by_weight(
    norms: Iterable[Norm], affines: Mapping[Norm, Affine]
) -> dict[tuple[ir.Value, int, bytes], list[tuple[Norm, ir.Node]]]:
    """The linear maps that read compressed ``norms``, those together that take the same new weight.

    A new weight follows from the old one, the axis that the map contracts, and gamma.
    """
    found: dict[tuple[ir.Value, int, bytes], list[tuple[Norm, ir.Node]]] = {}
    for norm in norms:
        scale = norm.node.inputs[1]
        assert scale is not None
        gamma = constants.vector(scale, norm.stream.axis.size).tobytes()
        for reader in affines[norm].linear or ():
            weight = reader.node.inputs[1]
            assert weight is not None
            found.setdefault((weight, reader.axis, gamma), []).append((norm, reader.node))
    return found


@dataclasses.dataclass(frozen=True)
class WeightCopy:
    """A weight of which compressing a norm takes one copy more.

    Attributes:
        norm: Its norm, or the first of those who share the copy.
        weight: The weight.
        nbytes: Its size in bytes.
    """

    norm: Norm
    weight: ir.Value
    nbytes: int


def weight_copies(norms: Iterable[Norm], affines: Mapping[Norm, Affine]) -> list[WeightCopy]:
    """The copies of reader weights that compressing all of ``norms`` takes.

    Where nobody else reads a weight, one of its new forms takes the place of the old one.
    """
    forms: dict[ir.Value, list[Norm]] = {}
    covered: Counter[ir.Value] = Counter()
    for (weight, _, _), readers in readers_by_weight(norms, affines).items():
        forms.setdefault(weight, []).append(readers[0][0])
        covered[weight] += len(readers)
    found = []
    for weight, first_norms in forms.items():
        tensor = constants.constant_tensor(weight)
        assert tensor is not None
        replaced = covered[weight] == len(weight.uses()) and not weight.is_graph_output()
        copying = first_norms[1:] if replaced else first_norms
        found += [WeightCopy(norm, weight, tensor.nbytes) for norm in copying]
        if replaced and constants.widening(weight):
            found.append(WeightCopy(first_norms[0], weight, constants.widening(weight)))
    return found


def _norm_obstacle(norm: Norm, part: Affine, basis: str, turned: set[ir.Value]) -> str:
    """Why the readers of a norm cannot absorb a basis and gamma, or ``""``.

    ``turned`` are the values that another norm's stream runs through, there on an axis of its own.
    """
    if constants.constant_tensor(norm.node.inputs[1]) is None:
        return "its gamma is not constant"
    if part.linear is None:
        return part.obstacle
    if part.beta == "stays":
        return f"its beta stays: {part.obstacle}"
    if not part.linear:
        return "nothing reads it"
    if crowded := _overflowing_reader(norm, part, basis):
        return crowded
    for stream in part.between:
        if not stream.is_whole:
            return f"{stream.value.name} splits its features"
        if stream.value in turned:
            return f"{stream.value.name} is normalized on another axis, too"
        if any(algebra.sizes_of(use.node) is Sizes.COUNTED for use in stream.value.uses()):
            return f"the Size of {stream.value.name} is read"
        node = stream.value.producer()
        if node is not None and node is not norm.node:
            reason = _sizes_obstacle(node, stream, part.between)
            if reason:
                return reason
    return ""


def _overflowing_reader(norm: Norm, part: Affine, basis: str) -> str:
    """Why a weight that reads the norm has no room for the basis and gamma, or ``""``."""
    size, scale = norm.stream.axis.size, norm.node.inputs[1]
    assert scale is not None
    gamma = constants.vector(scale, size)
    growth = Basis(basis, size).growth * float(np.abs(gamma).max(initial=0.0))
    for reader in part.linear or ():
        weight = reader.node.inputs[1]
        tensor = constants.constant_tensor(weight)
        assert weight is not None and tensor is not None
        if obstacle := obstacle_to_folding(tensor, growth, "compressed with gamma in it"):
            return f"{weight.name} {obstacle}"
    return ""


def _sizes_obstacle(node: ir.Node, stream: Stream, others: tuple[Stream, ...]) -> str:
    source = next((other.axis for other in others if other.value is node.inputs[0]), None)
    return sizes.obstacle(algebra.sizes_of(node), node, source, stream.value, stream.axis.axis)


def _constant_obstacle(stream: Stream, basis: str) -> str:
    tensor = constants.constant_tensor(stream.value)
    assert tensor is not None
    obstacle = obstacle_to_folding(tensor, Basis(basis, stream.axis.size).growth, "compressed")
    return f"constant {stream.value.name} {obstacle}" if obstacle else ""


def _stream_obstacle(stream: Stream, facts: StreamFacts | None, basis: str) -> str:
    """Why a value cannot be written with d - 1 features, or ``""``.

    What is centred in the file has no ``facts``, and nothing to say of unless it is a constant.
    """
    if facts is not None and facts.source:
        return facts.source
    if constants.constant_tensor(stream.value) is not None:
        return _constant_obstacle(stream, basis)
    if facts is None:
        return ""
    node = stream.value.producer()
    if node is None or not facts.reads:
        return facts.source
    for held in (stream, *facts.operands):
        if not held.is_whole:
            return f"{held.value.name} holds its features in blocks"
    first = facts.roles[0] if facts.roles else None
    source = first.axis if isinstance(first, Carries) else None
    return sizes.obstacle(algebra.sizes_of(node), node, source, stream.value, stream.axis.axis)
