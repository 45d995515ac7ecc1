"""The trace: every stream that centring the input of a LayerNorm could touch.

From the input of each norm the trace walks up to the producers, by the roles of the op algebra,
and down to all other readers of what it meets, until it knows for each stream who writes it, who
carries it on, and who reads it raw. It decides nothing: the plan does. Branches of If are followed
like the graph around them (merges.py), bodies of loops are not.
"""

from __future__ import annotations

import dataclasses
from collections import deque

import onnx_ir as ir

from graphopt.passes.graph import constants
from graphopt.passes.graph.axes import FeatureAxis, Stream
from graphopt.passes.graph.branches import Branches, Use
from graphopt.passes.graph.naming import node_words
from graphopt.passes.graph.overflow import obstacle_to_folding
from graphopt.passes.streams import algebra, merges, readers, storage
from graphopt.passes.streams.algebra import Raw
from graphopt.passes.streams.roles import Carries, OperandRoles, Vanishes

__all__ = ["Norm", "StreamFacts", "Trace", "trace"]


@dataclasses.dataclass(frozen=True)
class Norm:
    """A LayerNormalization over one last axis, and the stream that it reads."""

    node: ir.Node
    stream: Stream


@dataclasses.dataclass
class StreamFacts:
    """What the trace knows of one stream.

    Attributes:
        stream: The value and its feature axis.
        constant: True for a weight, table or bias that can be recentred offline.
        roles: Roles of the producer's operands, where the producer commutes with centring.
        merges: True where the producer is an If that hands on what both of its branches give.
        source: Why the value itself cannot be computed centred, or "".
        raw_readers: Who reads the value raw, in words; such a value stays as it is.
        tolerant: Nodes that compute the same from the value and from the value without its mean.
        carriers: Streams that read this one and carry it on.
        siblings: Other live results of the same producer, which share one state.
    """

    stream: Stream
    constant: bool = False
    roles: OperandRoles | None = None
    merges: bool = False
    source: str = ""
    raw_readers: list[str] = dataclasses.field(default_factory=list)
    tolerant: list[ir.Node] = dataclasses.field(default_factory=list)
    carriers: list[Stream] = dataclasses.field(default_factory=list)
    siblings: list[Stream] = dataclasses.field(default_factory=list)

    @property
    def reads(self) -> list[tuple[Use, FeatureAxis]]:
        """Where the streams are read that are centred together with this one, and their axes."""
        node = self.stream.value.producer()
        if node is None:
            return []
        if self.merges:
            return [(use, self.stream.axis) for use in merges.given(node, self.stream.value)]
        return [
            (Use(node, index), role.axis)
            for index, role in enumerate(self.roles or ())
            if isinstance(role, Carries)
        ]

    @property
    def operands(self) -> list[Stream]:
        """The operand streams that are centred together with this one."""
        return [Stream(use.value, axis) for use, axis in self.reads if use.value is not None]


@dataclasses.dataclass
class Trace:
    """All norms that could be converted, and the streams around them.

    Attributes:
        norms: Norms over one last static axis, in graph order.
        refused: Norms that no plan can convert, with the reason.
        streams: Facts by stream, for all streams that are not centred already.
        centred: Streams that are centred already, at no cost.
    """

    norms: list[Norm] = dataclasses.field(default_factory=list)
    refused: dict[ir.Node, str] = dataclasses.field(default_factory=dict)
    streams: dict[Stream, StreamFacts] = dataclasses.field(default_factory=dict)
    centred: set[Stream] = dataclasses.field(default_factory=set)


def trace(model: ir.Model) -> Trace:
    """Follow the input of every LayerNormalization of ``model``, nested graphs included."""
    found, branches = Trace(), Branches(model)
    queue: deque[Stream] = deque()
    for node in model.graph.all_nodes():
        if not readers.is_norm(node):
            continue
        reason = _refusal(node)
        if reason:
            found.refused[node] = reason
            continue
        value, axis = node.inputs[0], readers.norm_axis(node)
        assert value is not None and axis is not None
        norm = Norm(node, Stream(value, axis))
        found.norms.append(norm)
        queue.append(norm.stream)
    while queue:
        stream = queue.popleft()
        if stream in found.streams or stream in found.centred:
            continue
        if readers.is_centred(stream):
            found.centred.add(stream)
            continue
        facts = StreamFacts(stream)
        found.streams[stream] = facts
        queue.extend(_look_up(facts, branches))
        queue.extend(_look_down(facts, branches))
    _drop_other_uses(found, branches)
    _spread_centred(found)
    _separate_axes(found)
    return found


def _refusal(node: ir.Node) -> str:
    if any(value.uses() or value.is_graph_output() for value in node.outputs[1:]):
        return "its Mean or InvStdDev output is used"
    if readers.norm_axis(node) is None:
        return "it does not normalize one last axis of static size 3 or more"
    if any(value is not None and value.dtype is None for value in node.inputs[:2]):
        return "the element type of its input or gamma is not known"
    if not all(readers.is_feature_vector(value, node) for value in node.inputs[1:3]):
        return "its gamma or beta is not one vector for all tokens"
    return ""


def _look_up(facts: StreamFacts, branches: Branches) -> list[Stream]:
    """Note who writes the stream; return the streams that it is written from."""
    value = facts.stream.value
    tensor = constants.constant_tensor(value)
    if tensor is not None:
        if not tensor.dtype.is_floating_point():
            facts.source = f"constant {value.name} is not finite in every entry"
        elif obstacle := obstacle_to_folding(tensor):
            facts.source = f"constant {value.name} {obstacle}"
        facts.constant = True
        return []
    node = value.producer()
    if node is None:
        facts.source = f"graph input {value.name}"
        return []
    if storage.widens_stored(node):
        facts.source = f"{_words(node, branches)} widens what is stored in a shorter type"
        return []
    if merges.commutes(node, facts.stream):
        facts.merges = True
        return facts.operands
    roles = algebra.producers_roles(node, value, facts.stream.axis)
    if isinstance(roles, Raw):
        facts.source = f"{_words(node, branches)} writes it"
        return []
    if value.dtype is None and any(isinstance(role, Vanishes) for role in roles):
        facts.source = f"the element type of {value.name} is not known"  # that of zeros, then
        return []
    facts.roles = roles
    facts.siblings = [
        Stream(other, facts.stream.axis)
        for other in node.outputs
        if other is not value and (other.uses() or other.is_graph_output())
    ]
    return [*facts.operands, *facts.siblings]


def _look_down(facts: StreamFacts, branches: Branches) -> list[Stream]:
    """Note who reads the stream; return the streams that carry it on."""
    value, axis = facts.stream.value, facts.stream.axis
    if value.is_graph_output():
        merged = merges.results(branches.node_of(value.graph), facts.stream)
        facts.carriers.extend(merged or ())
        if merged is None:
            facts.raw_readers.append(f"graph output {value.name}")
    for use in value.uses():
        node, operand = use.node, use.idx
        words = _words(node, branches)
        if not facts.constant and not branches.is_within(node, value.graph):
            facts.raw_readers.append(words)
        elif algebra.tolerates(node, operand, axis):
            facts.tolerant.append(node)
        else:
            carried = list(algebra.results(node, operand, axis))
            facts.carriers.extend(carried)
            if not carried:
                facts.raw_readers.append(words)
    return [] if facts.constant else facts.carriers


def _words(node: ir.Node, branches: Branches) -> str:
    return f"{node_words(node)}{branches.place(node)}"


def _drop_other_uses(found: Trace, branches: Branches) -> None:
    """A use of a constant that no norm asks for reads it raw: a copy serves it."""
    for facts in found.streams.values():
        if not facts.constant:
            continue
        followed = []
        for carrier in facts.carriers:
            producer = carrier.value.producer()
            if carrier in found.streams or carrier in found.centred:
                followed.append(carrier)
            elif producer is not None:
                facts.raw_readers.append(_words(producer, branches))
        facts.carriers = followed


def _spread_centred(found: Trace) -> None:
    """What commutes with centring and reads nothing but centred streams is centred already."""
    waits_for: dict[Stream, set[Stream]] = {}
    waiting: dict[Stream, list[Stream]] = {}
    for stream, facts in found.streams.items():
        operands = set(facts.operands)
        if operands and not any(isinstance(role, Vanishes) for role in facts.roles or ()):
            waits_for[stream] = operands - found.centred
            for operand in operands:
                waiting.setdefault(operand, []).append(stream)
    spread = deque(stream for stream, operands in waits_for.items() if not operands)
    while spread:
        stream = spread.popleft()
        found.centred.add(stream)
        del found.streams[stream]
        for reader in waiting.get(stream, ()):
            waits_for[reader].discard(stream)
            if not waits_for[reader]:
                spread.append(reader)


def _separate_axes(found: Trace) -> None:
    """A value followed on two axes is read raw on each by the readers of the other."""
    by_value: dict[ir.Value, list[StreamFacts]] = {}
    for facts in found.streams.values():
        by_value.setdefault(facts.stream.value, []).append(facts)
    for several in by_value.values():
        if len(several) > 1:
            for facts in several:
                other = next(f for f in several if f is not facts)
                facts.raw_readers.append(f"a use on axis {other.stream.axis.axis}")
