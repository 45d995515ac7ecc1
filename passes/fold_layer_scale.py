"""Fold LayerScale, a constant per-feature factor behind a linear map, into that map."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from graphopt.passes.graph import axes, constants
from graphopt.passes.graph.axes import FeatureAxis, Stream
from graphopt.passes.graph.edits import Scale
from graphopt.passes.graph.naming import Names
from graphopt.passes.graph.overflow import scaling_leaves_range
from graphopt.passes.rewrite import Rewrite
from graphopt.passes.streams import algebra
from graphopt.passes.streams.algebra import Raw
from graphopt.passes.streams.roles import Carries, Vanishes

__all__ = ["FoldLayerScale"]

_MINIMUM_SCALED_HALF = 2.0**-14
"""Smallest normal float16: a smaller weight would lose digits."""


class FoldLayerScale(Rewrite):
    """lambda * (x W + b) becomes x (W diag(lambda)) + lambda * b.

    A per-feature scale does not commute with centring, so it goes before anything is recentred.

    1. The factor is a constant vector over the features, the same for all other axes. A product of
       two constants is no LayerScale, and stays.
    2. Between the factor and the weights stand only ops of the algebra, and nobody else reads what
       lies between.
    3. The weights are read by nobody else, and held in the type that computes. A float16 weight is
       left alone where the scaled entries would fall below the smallest normal number, one of 16
       bits where they could overflow.
    """

    needs_shapes = True

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Fold every LayerScale of ``model``."""
        names = Names(model)
        self.record = {"layer scales folded": 0}
        for node in list(model.graph.all_nodes()):
            if node.op_type == "Mul" and not node.domain and self._fold(names, node):
                self.record["layer scales folded"] += 1
        return ir.passes.PassResult(model, modified=self.record["layer scales folded"] > 0)

    def _fold(self, names: Names, node: ir.Node) -> bool:
        for index in (0, 1):
            scaled, factor = node.inputs[index], node.inputs[1 - index]
            if scaled is None or factor is None:
                continue
            stream = _factor_stream(node.outputs[0], scaled, factor)
            found = None if stream is None else _weights_behind(stream)
            if not found:
                continue
            tensor = constants.constant_tensor(factor)
            assert tensor is not None
            factors = np.array(tensor.numpy(), dtype=np.float64).reshape(-1)
            if any(not _keeps_digits(weight, factors) for weight in found):
                continue
            for weight in found:
                names.edit(weight.value, [Scale(weight.axis.axis, factors)])
            replace_outputs = node.outputs[0].is_graph_output()
            assert node.graph is not None
            result = node.outputs[0]
            name = result.name
            ir.convenience.replace_all_uses_with(
                result, scaled, replace_graph_outputs=replace_outputs
            )
            node.graph.remove(node, safe=True)
            if replace_outputs:
                scaled.name, scaled.type, scaled.shape = name, result.type, result.shape
                scaled.meta.update(result.meta)
            return True
        return False


def _factor_stream(result: ir.Value, scaled: ir.Value, factor: ir.Value) -> Stream | None:
    """The scaled value and the axis along which the constant factor varies."""
    tensor = constants.constant_tensor(factor)
    if tensor is None or not tensor.dtype.is_floating_point() or tensor.size < 2:
        return None
    if constants.constant_tensor(scaled) is not None:
        return None
    count = axes.rank(result)
    if count is None or axes.rank(scaled) != count or not constants.is_finite(tensor):
        return None
    dims = list(tensor.shape.numpy())
    varying = [i for i, dim in enumerate(dims) if dim != 1]
    if len(varying) != 1 or len(dims) > count:
        return None
    axis = FeatureAxis(varying[0] + count - len(dims), tensor.size)
    return Stream(scaled, axis) if axis.is_whole(scaled) else None


def _weights_behind(stream: Stream) -> list[Stream] | None:
    """The constants that scale with the stream, or None where some part of it cannot scale.

    In a linear map the operands that carry the features are those that scale with them; one that is
    broadcast along the features would need all d factors, and so has no place here.
    """
    found: list[Stream] = []
    queue = [stream]
    while queue:
        current = queue.pop()
        value = current.value
        if len(value.uses()) != 1 or value.is_graph_output() or not current.is_whole:
            return None
        tensor = constants.constant_tensor(value)
        if tensor is not None:
            if not tensor.dtype.is_floating_point() or constants.stored_tensor(value) is not None:
                return None
            found.append(current)
            continue
        node = value.producer()
        if node is None or len(node.outputs) > 1:
            return None
        roles = algebra.producers_roles(node, value, current.axis)
        if isinstance(roles, Raw) or any(isinstance(role, Vanishes) for role in roles):
            return None
        if next(iter(value.uses())).node.graph is not node.graph:
            return None
        queue.extend(
            Stream(operand, role.axis)
            for operand, role in zip(node.inputs, roles, strict=True)
            if isinstance(role, Carries) and operand is not None
        )
    return found


def _keeps_digits(weight: Stream, factors: np.ndarray) -> bool:
    tensor = constants.constant_tensor(weight.value)
    assert tensor is not None
    if scaling_leaves_range(tensor, factors):
        return False
    if tensor.dtype != ir.DataType.FLOAT16:
        return True
    scaled = Scale(weight.axis.axis, factors).apply(constants.exact(tensor), 0, 0)
    constants.release(tensor)
    typical = float(np.median(np.abs(scaled)))
    return typical == 0.0 or typical >= _MINIMUM_SCALED_HALF
