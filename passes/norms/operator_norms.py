"""Norms of which an operator does one part: the division, or the root mean square."""

from __future__ import annotations

import math

import onnx_ir as ir

from graphopt.passes.graph.constants import uniform_value
from graphopt.passes.graph.walking import peel_casts, produced_by
from graphopt.passes.norms.canonical import epsilon_of
from graphopt.passes.norms.deviation import variance
from graphopt.passes.norms.moments import centred, mean
from graphopt.passes.norms.normalization import Normalization
from graphopt.passes.norms.row_layouts import has_same_dims, strip_reshapes

__all__ = ["batch_normalized", "rms_of_centred"]

_RMS_NORMS = ("RMSNormalization", "SimplifiedLayerNormalization")


def rms_of_centred(node: ir.Node) -> Normalization | None:
    """Read the RMSNorm ``node`` of x - mean(x) as a LayerNorm of x.

    ONNX Runtime saves a norm without beta so. Where something else reads the difference too, it is
    computed anyway, and nothing is to be gained.
    """
    if node.domain != "" or node.op_type not in _RMS_NORMS or len(node.inputs) != 2:
        return None
    value, scale = node.inputs
    difference = centred(value)
    if value is None or scale is None or difference is None or value.is_graph_output():
        return None
    if any(extra.uses() or extra.is_graph_output() for extra in node.outputs[1:]):
        return None
    if any(use.node.op_type not in _RMS_NORMS or use.idx != 0 for use in value.uses()):
        return None
    axis = node.attributes.get_int("axis", -1)
    if value.shape is not None:
        axis %= len(value.shape)
    last = -1 if value.shape is None else len(value.shape) - 1
    if difference.axes != (axis,) or axis != last or node.attributes.get_int("stash_type", 1) != 1:
        return None
    epsilon = epsilon_of(node)
    return Normalization(
        difference.source,
        difference.root,
        difference.axes,
        epsilon,
        True,
        scale,
        None,
        node.outputs[0],
    )


def batch_normalized(node: ir.Node) -> Normalization | None:
    """Read the Reshape ``node`` behind a BatchNormalization as a LayerNorm over the last axis.

    Keras lays the rows of x out as the channels of [1, rows, d, 1], normalizes them by the mean
    and the variance that it computed of them, with scale 1 and bias 0, and reshapes back.
    """
    batch = produced_by(node.inputs[0], "BatchNormalization") if node.op_type == "Reshape" else None
    if batch is None or len(batch.inputs) != 5:
        return None
    if batch.attributes.get_int("training_mode", 0) != 0:
        return None
    if any(extra.uses() or extra.is_graph_output() for extra in batch.outputs[1:]):
        return None
    rows, scale, bias, average, spread = batch.inputs
    reshape = produced_by(rows, "Reshape")
    x = None if reshape is None else reshape.inputs[0]
    if rows is None or x is None or spread is None or not x.shape or node.domain != "":
        return None
    if not _are_rows(rows, x) or not has_same_dims(node.outputs[0], x):
        return None
    if _filled_with(scale) != 1.0 or _filled_with(bias) != 0.0:
        return None
    assert rows.shape is not None
    axes = (0, *range(2, len(rows.shape)))
    middle, moment = mean(average), variance(spread)
    if middle is None or moment is None or not moment.centred:
        return None
    same = peel_casts(middle.source) is peel_casts(rows) is moment.root
    if not same or not middle.axes == moment.axes == axes:
        return None
    return Normalization(
        x,
        peel_casts(x),
        (len(x.shape) - 1,),
        epsilon_of(batch),
        True,
        None,
        None,
        node.outputs[0],
    )


def _are_rows(rows: ir.Value, x: ir.Value) -> bool:
    """True where ``rows``, a reshaped ``x``, is [1, number of rows, *d], d the last axis of x."""
    if rows.shape is None or x.shape is None or len(rows.shape) < 3 or rows.shape[0] != 1:
        return False
    sizes = [size for size in rows.shape[2:] if isinstance(size, int)]
    return len(sizes) == len(rows.shape) - 2 and math.prod(sizes) == x.shape[-1]


def _filled_with(value: ir.Value | None) -> float | None:
    """The one number that ``value`` consists of, expanded from a constant or not."""
    if value is None:
        return None
    inner, _ = strip_reshapes(value)
    node = produced_by(inner, "ConstantOfShape")
    if node is None:
        return uniform_value(inner)
    fill = node.attributes.get("value")
    if fill is None:
        return 0.0
    array = fill.as_tensor().numpy()
    return float(array.reshape(-1)[0])
