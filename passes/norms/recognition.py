"""Which nodes of a graph are normalizations, and why some of them are left alone."""

from __future__ import annotations

import onnx_ir as ir

from graphopt.passes.graph.constants import is_wider
from graphopt.passes.norms.decomposed_norms import is_per_feature
from graphopt.passes.norms.normalization import Normalization, normalization
from graphopt.passes.norms.original_spelling import spelling_of
from graphopt.passes.report import OtherNorm

__all__ = ["feature_count", "other_norms", "unsupported_reason"]

_GROUPS = "normalizes groups or channels, not features"
_RMS = "RMS already"
_OTHER_KINDS = {
    ("", "GroupNormalization"): _GROUPS,
    ("", "InstanceNormalization"): _GROUPS,
    ("", "LpNormalization"): "has no mean and no epsilon",
    ("", "MeanVarianceNormalization"): _GROUPS,
    ("", "RMSNormalization"): _RMS,
    ("", "SimplifiedLayerNormalization"): _RMS,
    ("com.microsoft", "GroupNorm"): _GROUPS,
    ("com.microsoft", "SkipGroupNorm"): _GROUPS,
    ("com.microsoft", "SkipSimplifiedLayerNormalization"): _RMS,
    ("com.microsoft", "SkipLayerNormalization"): "its mean or deviation is read",
    ("com.microsoft", "EmbedLayerNormalization"): "is fused with its embedding tables",
}


def other_norms(model: ir.Model) -> tuple[OtherNorm, ...]:
    """Every normalization of a canonicalized model that is no LayerNorm over one last axis."""
    found = []
    for node in model.graph.all_nodes():
        kind, reason = _kind_and_reason(node)
        if kind:
            found.append(OtherNorm(node.name or node.outputs[0].name or "", kind, reason))
    return tuple(found)


def unsupported_reason(node: ir.Node) -> str | None:
    """Why a LayerNormalization cannot be canonical, or None where it can be."""
    x, scale = node.inputs[0], node.inputs[1]
    if x is None or scale is None:
        return "has no input or no scale"
    axis = node.attributes.get_int("axis", -1)
    if x.shape is None and axis != -1:
        return "the rank of its input is unknown"
    if x.shape is not None and axis % len(x.shape) != len(x.shape) - 1:
        return f"normalizes {len(x.shape) - axis % len(x.shape)} axes, not the last alone"
    size = feature_count(x, scale)
    if size is None:
        return "the size of its last axis is not static"
    if not _computes_in_type_of_scale(node):
        return "its scale or bias has a shorter type than its input, or another"
    for parameter in node.inputs[1:3]:
        if parameter is not None and not is_per_feature(parameter, x, size):
            return f"{parameter.name} differs from token to token"
    return None


def _computes_in_type_of_scale(node: ir.Node) -> bool:
    """True where scale and bias have the type of x, or both a wider one.

    ONNX Runtime has taken such a node since before opset 17; the result has the type of the scale.
    """
    x, scale, bias = (*node.inputs, None)[:3]
    assert x is not None and scale is not None
    if x.dtype is None or scale.dtype is None:
        return True
    if bias is not None and bias.dtype not in (None, scale.dtype):
        return False
    return x.dtype == scale.dtype or is_wider(scale.dtype, x.dtype)


def feature_count(x: ir.Value, scale: ir.Value) -> int | None:
    """d by the shape of ``x``, or by a ``scale`` of several entries: a scale never widens x."""
    if x.shape is not None and isinstance(x.shape[-1], int):
        return x.shape[-1]
    if scale.shape is not None and len(scale.shape) == 1:
        size = scale.shape[0]
        return size if isinstance(size, int) and size > 1 else None
    return None


def _kind_and_reason(node: ir.Node) -> tuple[str, str]:
    reason = _OTHER_KINDS.get((node.domain, node.op_type))
    if reason is not None:
        return node.op_type, reason
    if spelling_of(node) is not None:
        return "", ""
    if node.op_type == "LayerNormalization" and not node.domain:
        return node.op_type, unsupported_reason(node) or "is not canonical"
    found = normalization(node)
    if found is None:
        return "", ""
    if not found.centred:
        return "decomposed RMSNorm", _RMS
    return "decomposed LayerNorm", _decomposed_reason(found)


def _decomposed_reason(found: Normalization) -> str:
    if len(found.axes) > 1:
        return f"normalizes {len(found.axes)} axes, not the last alone"
    if not found.is_over_last_axis:
        return f"normalizes axis {found.axes[0]}, not the last"
    if found.root.shape is None or not isinstance(found.root.shape[-1], int):
        return "the size of its last axis is not static"
    if found.root.dtype is None:
        return "the element type of its input is not known"
    return "reads values beside its input, scale and bias"
