"""A pass that is run without what it needs is an error, and says what to run first."""

from __future__ import annotations

import onnx_ir as ir
import pytest

from graphopt.passes.canonicalize_norms import CanonicalizeNorms
from graphopt.passes.compose_transposes import ComposeTransposes
from graphopt.passes.compress import Compress
from graphopt.passes.convert_norms import ConvertNorms
from graphopt.passes.drop_idle_masks import DropIdleMasks
from graphopt.passes.drop_nan_guards import DropNanGuards
from graphopt.passes.fold_affine import FoldAffine
from graphopt.passes.fold_layer_scale import FoldLayerScale
from graphopt.passes.fold_scales import FoldScales
from graphopt.passes.fuse_attention import FuseAttention
from graphopt.passes.fuse_biases import FuseBiases
from graphopt.passes.fuse_custom_norms import FuseCustomNorms
from graphopt.passes.fuse_gelus import FuseGelus
from graphopt.passes.fuse_kept_norms import FuseKeptNorms
from graphopt.passes.fuse_key_transposes import FuseKeyTransposes
from graphopt.passes.fuse_skip_norms import FuseSkipNorms
from graphopt.passes.infer_shapes import ForgetShapes, InferShapes
from graphopt.passes.join_heads import JoinHeads
from graphopt.passes.lower_custom_norms import LowerCustomNorms
from graphopt.passes.lower_norms import LowerNorms
from graphopt.passes.make_plan import MakePlan
from graphopt.passes.merge_twins import MergeTwins
from graphopt.passes.move_nan_guards import MoveNanGuards
from graphopt.passes.planning.plan import Plan
from graphopt.passes.recentre import Recentre
from graphopt.passes.rewrite import PlannedRewrite, Rewrite
from graphopt.passes.settle_sizes import SettleSizes
from graphopt.passes.settle_types import SettleTypes
from graphopt.passes.steps import STEPS

_SHAPED = (
    CanonicalizeNorms,
    FoldLayerScale,
    DropIdleMasks,
    DropNanGuards,
    SettleSizes,
    SettleTypes,
    ComposeTransposes,
    FoldScales,
    MakePlan,
    MoveNanGuards,
    FuseKeptNorms,
    FuseSkipNorms,
    LowerCustomNorms,
    FuseCustomNorms,
    FuseGelus,
    LowerNorms,
    FuseBiases,
    FuseAttention,
    JoinHeads,
    FuseKeyTransposes,
)


def block() -> ir.Model:
    """One LayerNorm with a beta that folds, behind a MatMul; no shape in between is declared."""
    return ir.from_onnx_text(
        """<ir_version: 8, opset_import: ["" : 17]>
        g (float[B, S, 4] a) => (float[B, S, 2] y) <
            float[4, 4] w = {1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 4, 5, 6, 9},
            float[4] gamma = {2, 3, 4, 5}, float[4] beta = {1, 2, 3, 4},
            float[4, 2] v = {1, 2, 3, 4, 5, 6, 7, 9}, float[2] bias = {1, 2}
        > {
            x = MatMul (a, w) n = LayerNormalization (x, gamma, beta)
            p = MatMul (n, v) y = Add (p, bias)
        }"""
    )


def planned(variant: str = "rms", basis: str | None = None) -> tuple[ir.Model, Plan]:
    model = block()
    make = MakePlan(variant=variant, basis=basis)
    ir.passes.Sequential(InferShapes(), CanonicalizeNorms(), make)(model)
    return model, make.plan


def operators(model: ir.Model) -> list[str]:
    return [node.op_type for node in model.graph]


@pytest.mark.parametrize("make", _SHAPED, ids=lambda make: make.__name__)
def test_without_shapes_a_pass_that_needs_them_refuses(make: type[Rewrite]) -> None:
    model = block()
    with pytest.raises(ir.passes.PreconditionError, match=r"^(\w+) needs shapes, and that of 'x'"):
        make()(model)
    assert operators(model) == operators(block())
    InferShapes()(model)
    make()(model)
    ForgetShapes()(model)
    with pytest.raises(ir.passes.PreconditionError, match="run InferShapes before it"):
        make()(model)


def test_declared_shapes_are_enough() -> None:
    model = block()
    InferShapes()(model)
    declared = ir.from_proto(ir.to_proto(model))
    canonicalize = CanonicalizeNorms()
    canonicalize(declared)
    assert canonicalize.record == {"LayerNormalization": 1, "decomposed": 0}


def test_every_step_is_a_rewrite_that_counts() -> None:
    assert {step.make for step in STEPS if step.make.needs_shapes} == set(_SHAPED)
    planned = {step.make for step in STEPS if issubclass(step.make, PlannedRewrite)}
    assert planned == {step.make for step in STEPS if "plan" in step.given}


@pytest.mark.parametrize("make", [Recentre, FoldAffine, ConvertNorms], ids=lambda m: m.__name__)
def test_the_plan_of_another_model_is_refused(make: type[PlannedRewrite]) -> None:
    plan, other = planned()[1], planned()[0]
    with pytest.raises(ir.passes.PreconditionError, match="needs the plan of this very model"):
        make(plan)(other)
    assert operators(other) == operators(block())


def test_a_plan_of_an_earlier_state_is_refused() -> None:
    model, plan = planned()
    model.graph.node(1).replace_input_with(0, model.graph.inputs[0])
    CanonicalizeNorms()(model)
    ir.convenience.replace_all_uses_with(model.graph.node(1).outputs[0], model.graph.inputs[0])
    model.graph.remove(model.graph.node(1), safe=True)
    with pytest.raises(ir.passes.PreconditionError, match="of an earlier state: make a plan"):
        Recentre(plan)(model)


def test_norms_are_not_converted_before_what_they_read_is_centred() -> None:
    model, plan = planned()
    for make in (ConvertNorms, FoldAffine):
        with pytest.raises(ir.passes.PreconditionError, match="comes after Recentre: run Recentre"):
            make(plan)(model)
    assert operators(model) == operators(block())
    MergeTwins()(Recentre(plan)(model))
    ConvertNorms(plan)(FoldAffine(plan)(model))
    assert operators(model) == ["MatMul", "RMSNormalization", "MatMul", "Add"]


def test_a_plan_is_applied_once() -> None:
    model, plan = planned()
    Recentre(plan)(model)
    with pytest.raises(ir.passes.PreconditionError, match="Recentre has applied this plan"):
        Recentre(plan)(model)


def test_compressed_norms_are_converted_behind_what_compresses_them() -> None:
    model, plan = planned("crms", "drop")
    assert plan.compressed_norms
    Recentre(plan)(model)
    with pytest.raises(ir.passes.PreconditionError, match="ConvertNorms comes after Compress"):
        ConvertNorms(plan)(model)
    with pytest.raises(ir.passes.PreconditionError, match="Compress comes after FoldAffine"):
        Compress(plan)(model)
    ConvertNorms(plan)(Compress(plan)(FoldAffine(plan)(model)))
    assert "CRMSNormalization" in operators(model)
