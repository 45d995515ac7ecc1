"""Compress the streams and norms that a plan names from d to d - 1 features."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np
import onnx_ir as ir

from graphopt.passes.crms import sizes
from graphopt.passes.crms.basis import Absorb, Basis, Encode
from graphopt.passes.crms.change_basis import insert_decoder, insert_encoder
from graphopt.passes.crms.size_operands import Sizes
from graphopt.passes.graph import constants
from graphopt.passes.graph.axes import FeatureAxis, Stream, dimension, rank
from graphopt.passes.graph.branches import Use, branches_of, replace, uses_of
from graphopt.passes.graph.edits import Edit, Scale
from graphopt.passes.graph.naming import Names
from graphopt.passes.graph.shapes import resize
from graphopt.passes.planning.compression import readers_by_weight
from graphopt.passes.planning.plan import Plan
from graphopt.passes.rewrite import PlannedRewrite
from graphopt.passes.streams import algebra
from graphopt.passes.streams.affine import BIASED

__all__ = ["Compress"]


class Compress(PlannedRewrite):
    """A centred value of d features becomes d - 1 numbers (arXiv 2305.14858, section 3.2).

    1. What writes a compressed stream is encoded, W becomes W E^T: weights, biases, tables and
       other constants, in place where only compressed streams are written from them, else a copy.
       A value that is not compressed itself is followed by an encoder.
    2. A linear map that reads a compressed norm absorbs D and gamma: A becomes D^T diag(gamma) A.
    3. What reads a compressed value whole reads it behind a decoder; a Shape of it is set back.
    4. Sizes that name d for a compressed value name d - 1.
    5. The norm stays a LayerNormalization, over d - 1 features and without gamma, for ConvertNorms.

    Args:
        plan: The plan; recentring and affine folding have been applied.
    """

    @property
    def after(self) -> tuple[str, ...]:
        """What must have been applied: a norm that is compressed has no beta any more."""
        compressed = self.plan.compressed_norms
        folds = any(self.plan.affine[norm].beta == "folds" for norm in compressed)
        return ("Recentre", "FoldAffine") if folds else ("Recentre",)

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Apply the plan to ``model``."""
        self.record = {
            "streams compressed": 0,
            "weights encoded": 0,
            "readers absorbed": 0,
            "encoders": 0,
            "decoders": 0,
            "sizes edited": 0,
        }
        if self.plan.compressed_norms:
            _Compression(model, self.plan, self.record).apply()
        return ir.passes.PassResult(model, modified=any(self.record.values()))


class _Compression:
    """One application of a plan."""

    def __init__(self, model: ir.Model, plan: Plan, record: dict[str, int]) -> None:
        self.plan, self.record, self.names = plan, record, Names(model)
        facts = plan.trace.streams
        self.streams = [s for s in facts if s in plan.compressed and not facts[s].constant]
        self.norms = [norm for norm in plan.converted if norm in plan.compressed_norms]
        self.compressed = {_current(s.value): s.axis for s in self.streams}
        self.biases = {
            (reader.bias_node, reader.bias_index)
            for norm in plan.converted
            for reader in plan.affine[norm].linear or ()
        }
        self.between = {
            stream.value: stream.axis for norm in self.norms for stream in plan.affine[norm].between
        }

    def apply(self) -> None:
        """Encode, decode, absorb; then all sizes and shapes follow."""
        served = self._encode_operands()
        self._decode(served)
        self._absorb()
        for value, axis in (*self.compressed.items(), *self.between.items()):
            self._restore_shapes(value, axis)
        inner = {s.value: s.axis for s in self.streams}
        dead = {value: s.axis for s in self.streams for value in _dead_results(s.value)}
        for value, axis in {**dead, **inner, **self.compressed, **self.between}.items():
            self._shrink(value, axis)
        self.record["streams compressed"] = len(self.compressed)

    def _basis(self, axis: FeatureAxis) -> Basis:
        assert self.plan.basis is not None
        return Basis(self.plan.basis, axis.size)

    def _encode_operands(self) -> set[Use]:
        """Give every compressed stream and norm compressed operands; return who reads such."""
        wanted: dict[Stream, dict[Use, None]] = {}
        for use, axis in self._operands():
            assert use.value is not None
            wanted.setdefault(Stream(use.value, axis), {})[use] = None
        served: set[Use] = set()
        for stream, uses in wanted.items():
            served.update(uses)
            if constants.constant_tensor(stream.value) is not None:
                self._encode_constant(stream, uses)
            elif stream.value not in self.compressed:
                encoded = insert_encoder(self.names, stream, self._basis(stream.axis))
                self.record["encoders"] += 1
                replace(uses, encoded)
        return served

    def _operands(self) -> Iterator[tuple[Use, FeatureAxis]]:
        """Every operand that has to be compressed; more than once where results share it."""
        for stream in self.streams:
            facts = self.plan.trace.streams[stream]
            node = stream.value.producer()
            assert node is not None
            carried = {use for use, _ in facts.reads}
            yield from ((use, axis) for use, axis in facts.reads if use.value is not None)
            for index, operand in enumerate(node.inputs):
                if Use(node, index) in carried or operand is None:
                    continue
                if self._is_new_bias(node, index, stream.axis.size):
                    yield (
                        Use(node, index),
                        FeatureAxis((rank(operand) or 1) - 1, stream.axis.size),
                    )
            total = _current(stream.value)
            if total is not stream.value:
                add = total.producer()
                assert add is not None
                yield Use(add, 1), FeatureAxis(0, stream.axis.size)
        for norm in self.norms:
            yield Use(norm.node, 0), norm.stream.axis

    def _is_new_bias(self, node: ir.Node, index: int, size: int) -> bool:
        """True for a bias that folding gave to a linear map that had none, or a scalar one."""
        bias = node.inputs[index]
        return (
            (node, index) in self.biases
            and bias is not None
            and dimension(bias, (rank(bias) or 1) - 1) == size
        )

    def _encode_constant(self, stream: Stream, uses: Collection[Use]) -> None:
        edits: list[Edit] = [Encode(stream.axis.axis, self._basis(stream.axis))]
        self.record["weights encoded"] += 1
        self._replace(stream.value, edits, uses)

    def _replace(self, value: ir.Value, edits: list[Edit], uses: Collection[Use]) -> None:
        """Give ``uses`` an edited ``value``: in place where nobody else reads it, else a copy."""
        if len(uses) == len(uses_of(value)):
            self.names.edit(value, edits)
        else:
            replace(uses, self.names.edited_copy(value, edits, ".compressed"))

    def _decode(self, served: set[Use]) -> None:
        """Put a decoder between each compressed value and those who read it whole."""
        for value, axis in self.compressed.items():
            whole = [
                use
                for use in uses_of(value)
                if use not in served
                and not (isinstance(use.reader, ir.Node) and _is_shape(use.reader))
            ]
            if whole:
                decoded = insert_decoder(self.names, Stream(value, axis), self._basis(axis))
                self.record["decoders"] += 1
                replace(whole, decoded)

    def _absorb(self) -> None:
        """Fold D and gamma into the linear maps that read the norms."""
        groups = readers_by_weight(self.norms, self.plan.affine)
        for (weight, axis, _), readers in groups.items():
            norm, uses = readers[0][0], [Use(node, 1) for _, node in readers]
            scale = norm.node.inputs[1]
            assert scale is not None
            edits: list[Edit] = [
                Scale(axis, constants.vector(scale, norm.stream.axis.size)),
                Absorb(axis, self._basis(norm.stream.axis)),
            ]
            self._replace(weight, edits, uses)
            self.record["readers absorbed"] += len(uses)
        for norm in self.norms:
            scale = norm.node.inputs[1]
            tensor = constants.constant_tensor(scale)
            assert scale is not None and tensor is not None
            ones = np.ones([norm.stream.axis.size - 1], dtype=tensor.dtype.numpy())
            ones_name = f"{scale.name}.compressed"
            new = self.names.initializer(ones_name, ir.Tensor(ones, dtype=tensor.dtype))
            norm.node.replace_input_with(1, new)

    def _restore_shapes(self, value: ir.Value, axis: FeatureAxis) -> None:
        for node in [use.node for use in value.uses() if _is_shape(use.node)]:
            if sizes.restore_shape(self.names, node, axis.axis, axis.size):
                self.record["sizes edited"] += 1

    def _shrink(self, value: ir.Value, axis: FeatureAxis) -> None:
        """Let the producer of ``value`` write d - 1 entries, and its shape say so."""
        node = value.producer()
        assert node is not None
        named = algebra.sizes_of(node)
        if sizes.resize_result(named, self.names, value, axis.axis, axis.size - 1):
            self.record["sizes edited"] += 1
        resize(value, axis.axis, axis.size - 1)


def _current(value: ir.Value) -> ir.Value:
    """The value that stands for ``value`` since affine folding."""
    found = value.meta.get(BIASED, value)
    assert isinstance(found, ir.Value)
    return found


def _dead_results(value: ir.Value) -> list[ir.Value]:
    """Results that nobody reads, beside ``value``: their declared shapes shrink, too."""
    node = value.producer()
    results = () if node is None or branches_of(node) else node.outputs
    return [other for other in results if not other.uses() and not other.is_graph_output()]


def _is_shape(node: ir.Node) -> bool:
    return algebra.sizes_of(node) is Sizes.TOLD
