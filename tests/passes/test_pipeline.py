"""The pipeline as a user of the library meets it: options, steps, records, and what it leaves."""

from __future__ import annotations

import re

import onnx_ir as ir
import pytest

from graphopt.errors import UsageError
from graphopt.passes import pipeline
from graphopt.passes.choices import OPS, PROVIDER, VARIANT
from graphopt.passes.pipeline import Options
from graphopt.passes.planning.plan import make_plan
from graphopt.passes.rewrite import Rewrite
from graphopt.passes.steps import STEPS
from tests.passes.graphs import Outcome, graph, optimized

_BLOCK = """x = MatMul(a, w) n = LayerNormalization(x, g, c) q = MatMul(n, m) r = Add(q, b)
    h = Relu(r) p = MatMul(h, m2) s = Add(x, p) y = LayerNormalization(s, g, c)"""
_WEIGHTS = "w[4,8] m[8,6] m2[6,8] b[6] g[8] c[8]"


def _block(**given: object) -> ir.Model:
    return graph(_BLOCK, _WEIGHTS, **given)


_EMPTY = """<ir_version: 8, opset_import: ["": 17]>
    g (float[N] x) => (float[N] y) { y = Relu(x) }"""

REFUSED = {
    "an unknown variant": ({"variant": "crms2"}, "unknown variant 'crms2': choose rms or crms"),
    "an unknown basis": (
        {"variant": "crms", "basis": "x"},
        "unknown basis 'x': choose orthonormal or drop",
    ),
    "a basis for rms": ({"basis": "drop"}, "basis 'drop' is for the variant crms"),
    "unknown operators": ({"ops": "x"}, "unknown ops 'x': choose custom or standard or ort"),
    "an unknown provider": ({"provider": "tpu"}, "unknown provider 'tpu': choose cpu or cuda"),
    "a negative share": ({"max_growth": -0.5}, "max_growth -0.5 is no share"),
    "no share": ({"max_growth": float("nan")}, "max_growth nan is no share"),
    "skipping what is needed": (
        {"skip": frozenset({"recentre"})},
        "pass 'recentre' cannot be skipped, because the result would be wrong: choose one that",
    ),
    "skipping the plan": ({"skip": ["plan"]}, "pass 'plan' cannot be skipped"),
    "skipping what is not there": (
        {"skip": frozenset({"fold-gamma"})},
        "no pass is called 'fold-gamma' here",
    ),
    "skipping what other operators have": (
        {"skip": ["fuse-custom-norms"], "ops": "standard"},
        "no pass is called 'fuse-custom-norms' here",
    ),
}


@pytest.mark.parametrize(("options", "message"), REFUSED.values(), ids=REFUSED)
def test_options_are_checked(options: dict, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)) as caught:
        Options(**options)
    assert isinstance(caught.value, ValueError)


def test_options_are_one_value() -> None:
    assert Options() == Options("rms", None, "custom", "cpu", None, [])
    assert Options(variant="crms").basis == "orthonormal"
    assert len({Options(skip=("merge-twins",)), Options(skip=["merge-twins"])}) == 1


@pytest.mark.parametrize(
    "options",
    [
        Options(variant=v, ops=o, provider=p)
        for v in VARIANT.values
        for o in OPS.values
        for p in PROVIDER.values
    ],
    ids=str,
)
def test_every_step_can_be_built(options: Options) -> None:
    plan = make_plan(ir.from_onnx_text(_EMPTY))
    for step in pipeline.steps(options):
        assert isinstance(step.build(options, plan), Rewrite)


def test_steps_name_targets_that_exist_and_what_stands_before_them() -> None:
    names = [step.name for step in STEPS]
    for step in STEPS:
        assert "plan" not in step.given or names.index(step.name) > names.index("plan")
        assert set(step.variants) <= set(VARIANT.values)
        assert set(step.ops) <= set(OPS.values)
        assert set(step.providers) <= set(PROVIDER.values)


_OPTIONAL = [step.name for step in pipeline.steps(Options()) if step.optional]


def test_steps_are_told_apart() -> None:
    steps = pipeline.steps(Options())
    names = [step.name for step in steps]
    assert len(set(names)) == len(names)
    assert all(step.summary and "\n" not in step.summary for step in steps)
    assert {"fold-affine", "fold-layer-scale", "fold-transposes", "merge-twins"} <= set(_OPTIONAL)
    assert {"recentre", "convert-norms", "canonicalize-norms", "lower-norms"}.isdisjoint(_OPTIONAL)
    order = ["canonicalize-norms", "fold-layer-scale", "recentre", "convert-norms", "lower-norms"]
    assert [name for name in names if name in order] == order


@pytest.mark.parametrize("skipped", [[], *([name] for name in _OPTIONAL), _OPTIONAL])
def test_every_optional_step_may_be_skipped(skipped: list[str]) -> None:
    outcome = optimized(_block(), ops="custom", fuse=True, skip=frozenset(skipped))
    assert outcome.converted == {"n", "y"}
    assert {step.name for step in pipeline.steps(Options(skip=frozenset(skipped)))}.isdisjoint(
        skipped
    )


@pytest.mark.parametrize("ops", ["standard", "ort", "custom"])
@pytest.mark.parametrize("provider", ["cpu", "cuda"])
@pytest.mark.parametrize("opset", [13, 17, 18, 20, 23])
def test_every_target_computes_the_same(ops: str, provider: str, opset: int) -> None:
    model = graph(_BLOCK.replace(", c)", ")"), _WEIGHTS, opset=opset)
    assert optimized(model, ops=ops, provider=provider).converted == {"n", "y"}


def test_custom_operators_come_with_their_bodies_and_can_be_optimized_again() -> None:
    once = optimized(_block(), ops="custom")
    assert once.count("RMSNorm") == once.count("SkipRMSNorm") == 1
    assert {key[:2] for key in once.after.functions} == {
        ("graphopt", "RMSNorm"),
        ("graphopt", "SkipRMSNorm"),
    }
    assert not optimized(once.after, ops="standard").after.functions


def test_below_opset_12_custom_operators_are_left_out() -> None:
    outcome = optimized(graph(_BLOCK.replace(", c)", ")"), _WEIGHTS, opset=11), ops="custom")
    assert outcome.converted == {"n", "y"}
    assert not outcome.after.functions


def test_a_record_for_each_step_and_the_plan() -> None:
    told: list[tuple[str, float]] = []
    model = _block()
    _, records = pipeline.run(model, Options(), lambda *args: told.append(args))
    steps = [step.name for step in pipeline.steps(Options())]
    assert told == [(name, index / len(steps)) for index, name in enumerate(steps)]
    assert [record.name for record in records] == steps
    assert steps.index("fold-layer-scale") < steps.index("plan") < steps.index("recentre")
    found = {record.name: record for record in records}
    assert found["plan"].detail == {"norms": 2, "norms to convert": 2}
    assert found["plan"].changed == 2
    assert found["recentre"].detail == {
        "weights recentred": 2,
        "copies": 0,
        "recentrings": 0,
        "zeroed": 0,
    }
    assert found["recentre"].changed == 2
    assert found["fold-affine"].detail["betas folded"] == 1
    assert found["convert-norms"].detail == {"norms converted": 2, "betas kept": 1}
    assert all(record.seconds >= 0 for record in records)


def test_analyse_plans_as_run_does_and_rewrites_nothing() -> None:
    model, untouched = _block(), _block()
    summary = pipeline.analyse(model, Options())
    assert summary == pipeline.run(untouched.clone(), Options())[0]
    assert [node.op_type for node in model.graph] == [node.op_type for node in untouched.graph]
    for name, value in untouched.graph.initializers.items():
        assert (
            model.graph.initializers[name].const_value.numpy() == value.const_value.numpy()
        ).all()


def test_a_second_run_finds_nothing_to_do() -> None:
    once = optimized(_block())
    twice = optimized(once.after)
    assert twice.summary.norms == ()
    assert [n.op_type for n in twice.after.graph] == [n.op_type for n in once.after.graph]


def test_the_same_model_gives_the_same_file() -> None:
    files = []
    for _ in range(2):
        model = _block()
        pipeline.run(model, Options())
        files.append(ir.to_proto(model).SerializeToString(deterministic=True))
    assert files[0] == files[1]


WITHOUT_WORK = {
    "no norm at all": ("y = MatMul(a, w)", ()),
    "an RMSNorm": ("x = MatMul(a, w) y = RMSNormalization(x, g)", ("RMSNormalization",)),
    "a GroupNorm": (
        "x = MatMul(a, w) t = Transpose<perm = [0, 2, 1]>(x) q = InstanceNormalization(t, g, c) "
        "y = Transpose<perm = [0, 2, 1]>(q)",
        ("InstanceNormalization",),
    ),
}


@pytest.mark.parametrize(("body", "others"), WITHOUT_WORK.values(), ids=WITHOUT_WORK)
def test_a_model_without_layer_norms_is_left_alone(body: str, others: tuple[str, ...]) -> None:
    outcome = optimized(graph(body, "w[4,8] g[8] c[8]", opset=23))
    assert outcome.summary.norms == ()
    assert tuple(norm.kind for norm in outcome.summary.other_norms) == others
    assert [n.op_type for n in outcome.after.graph] == [n.op_type for n in outcome.before.graph]


def test_what_nothing_reads_is_removed() -> None:
    body = _BLOCK + " dead = MatMul(a, unused) deader = Relu(dead)"
    outcome = optimized(graph(body, _WEIGHTS + " unused[4,8]"))
    assert "unused" not in outcome.after.graph.initializers
    assert outcome.counts["nodes removed"] == 2
    read = {v.name for node in outcome.after.graph for v in node.inputs if v is not None}
    assert set(outcome.after.graph.initializers) <= read


def test_inputs_that_nothing_reads_stay() -> None:
    outcome = optimized(_block(inputs="float[B,S,4] a, float[B] spare"))
    assert [value.name for value in outcome.after.graph.inputs] == ["a", "spare"]


def test_a_graph_is_sorted_and_valid_afterwards() -> None:
    outcome = optimized(_block())
    known = {v.name for v in outcome.after.graph.inputs} | set(outcome.after.graph.initializers)
    for node in outcome.after.graph:
        assert {value.name for value in node.inputs if value is not None} <= known
        known |= {value.name for value in node.outputs}


def _names(outcome: Outcome) -> list[str]:
    values = [v.name for node in outcome.after.graph.all_nodes() for v in node.outputs if v.name]
    return [*values, *outcome.after.graph.initializers]


def test_new_names_do_not_collide() -> None:
    """The model already has every name that the passes would like."""
    body = _BLOCK.replace("q =", "n_unbiased =").replace("Add(q", "Add(n_unbiased")
    body += """ [s_Sub] taken = MatMul(a, w) z = MatMul(taken, m)"""
    model = graph(body, _WEIGHTS, outputs="float y, float z")
    model.graph.initializers["b"].name = "w.centred"
    names = _names(optimized(model))
    assert len(set(names)) == len(names)


def test_functions_are_inlined() -> None:
    text = """<ir_version: 8, opset_import: ["": 17, "own": 1]>
        graph (float[B,S,8] a) => (float[B,S,8] y) { y = own.block(a) }
        <domain: "own", opset_import: ["": 17]> block (i) => (o) {
            k = Constant<value_floats = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 9.0]>()
            g = Constant<value_floats = [2.0]>() z = LayerNormalization(i, g)
            s = Add(z, k) o = LayerNormalization(s, g) }"""
    model = ir.from_onnx_text(text)
    summary, records = pipeline.run(model, Options(ops="standard"))
    assert [norm.converted for norm in summary.norms] == [False, True]
    assert {record.name: record.detail for record in records}["inline-functions"] == {
        "functions inlined": 1
    }
    assert not model.functions
