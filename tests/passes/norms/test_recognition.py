"""Norms that are no LayerNorm over one last axis are named, with the reason."""

from __future__ import annotations

import onnx_ir as ir
import pytest

from graphopt.passes.canonicalize_norms import CanonicalizeNorms
from graphopt.passes.infer_shapes import InferShapes
from graphopt.passes.norms.recognition import other_norms
from graphopt.passes.unfuse_skip_norms import UnfuseSkipNorms
from tests.passes.norms.norm_fragments import spelled
from tests.passes.norms.norm_near_misses import NEAR_MISSES
from tests.passes.norms.norm_spellings import SPELLINGS

_RMS_BODY = (
    SPELLINGS["attribute axes, Pow, Div"][0].replace("Pow(d,", "Pow(x,").replace("Div(d,", "Div(x,")
)
_SKIP = "com.microsoft.SkipLayerNormalization"
# body: (kind, reason)
OTHERS = {
    "y = GroupNormalization<num_groups = 1>(x, gamma, beta)": ("GroupNormalization", "groups"),
    "y = InstanceNormalization(x, gamma, beta)": ("InstanceNormalization", "channels"),
    "y = LpNormalization(x)": ("LpNormalization", "no mean"),
    "y = SimplifiedLayerNormalization(x, gamma)": ("SimplifiedLayerNormalization", "RMS already"),
    "y = RMSNormalization(x, gamma)": ("RMSNormalization", "RMS already"),
    "y = com.microsoft.SkipSimplifiedLayerNormalization(x, other, gamma)": (
        "SkipSimplifiedLayerNormalization",
        "RMS already",
    ),
    "y = com.microsoft.GroupNorm(x, gamma, beta)": ("GroupNorm", "groups"),
    f"n, m = {_SKIP}(x, other, gamma)\n y = Add(n, m)": (
        "SkipLayerNormalization",
        "mean or deviation is read",
    ),
    "y = LayerNormalization<axis = 1>(x, gamma)": ("LayerNormalization", "normalizes 2 axes"),
    "y = LayerNormalization(x, other)": ("LayerNormalization", "other differs from token"),
    NEAR_MISSES["both over another axis"]: ("decomposed LayerNorm", "normalizes axis 1, not"),
    NEAR_MISSES["both over two axes"]: ("decomposed LayerNorm", "normalizes 2 axes"),
    _RMS_BODY: ("decomposed RMSNorm", "RMS already"),
}


def _others(body: str):
    model = spelled(body)
    InferShapes()(model)
    UnfuseSkipNorms()(model)
    CanonicalizeNorms()(model)
    return other_norms(model)


@pytest.mark.parametrize("body", OTHERS)
def test_other_norms_are_named_with_a_reason(body: str) -> None:
    kind, reason = OTHERS[body]
    (found,) = _others(body)
    assert found.kind == kind
    assert reason in found.reason
    assert found.name  # of the node, or of its result where the node has none


@pytest.mark.parametrize("name", SPELLINGS)
def test_layer_norms_are_not_among_them(name: str) -> None:
    assert _others(SPELLINGS[name][0]) == ()


def test_a_layer_norm_whose_mean_is_read_is_a_layer_norm() -> None:
    assert _others("n, mean = LayerNormalization(x, gamma)\n y = Add(n, mean)") == ()


def test_nested_graphs_are_searched() -> None:
    model = spelled(
        """yes = Greater(input_eps, one)
        y = If(yes) <
          then_branch = a () => (float[B, S, 8] t) { t = RMSNormalization(x, gamma) },
          else_branch = b () => (float[B, S, 8] e) { e = Identity(x) }
        >"""
    )
    assert isinstance(model, ir.Model)
    assert [norm.name for norm in other_norms(model)] == ["t"]
