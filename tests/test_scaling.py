"""The work grows with the graph, not with its square: counted in calls, not in seconds."""

from __future__ import annotations

import cProfile
import json
import pstats

import numpy as np
import onnx_ir as ir
import pytest

import graphopt
from graphopt.passes.report import PlanSummary

FEATURES = 8


def chain(blocks: int) -> ir.Model:
    """A residual stream through ``blocks`` blocks, and a norm at its end."""
    random = np.random.default_rng(0)
    constants: dict[str, np.ndarray] = {}

    def constant(name: str, *shape: int) -> str:
        shift = 1.0 if name.startswith("gamma") else 0.0
        constants[name] = random.normal(shift, 0.3, shape).astype(np.float32)
        return name

    lines = [f"h0 = MatMul (x, {constant('embedding', FEATURES, FEATURES)})"]
    for i in range(blocks + 1):
        gamma, beta = constant(f"gamma{i}", FEATURES), constant(f"beta{i}", FEATURES)
        result = "y" if i == blocks else f"n{i}"
        lines.append(f"{result} = LayerNormalization <axis = -1> (h{i}, {gamma}, {beta})")
        if i < blocks:
            lines += [
                f"u{i} = MatMul (n{i}, {constant(f'up{i}', FEATURES, FEATURES)})",
                f"t{i} = Tanh (u{i})",
                f"d{i} = MatMul (t{i}, {constant(f'down{i}', FEATURES, FEATURES)})",
                f"h{i + 1} = Add (d{i}, h{i})",
            ]
    shapes = [f"float[{', '.join(map(str, array.shape))}] {k}" for k, array in constants.items()]
    model = ir.from_onnx_text(
        f"""<ir_version: 8, opset_import: ["" : 17]>
        g (float[N, {FEATURES}] x{"".join(f", {shape}" for shape in shapes)})
        => (float[N, {FEATURES}] y) {{ {" ".join(lines)} }}"""
    )
    for value in list(model.graph.inputs)[1:]:
        value.const_value = ir.tensor(constants[str(value.name)], name=value.name)
        model.graph.inputs.remove(value)
        model.graph.register_initializer(value)
    return model


def calls(blocks: int, variant: str) -> int:
    """Python calls of an inspection, thus of all that decides; imports and caches are warm."""
    model = chain(blocks)
    profile = cProfile.Profile()
    profile.enable()
    graphopt.inspect(model, variant=variant)
    profile.disable()
    return int(pstats.Stats(profile).total_calls)  # type: ignore[attr-defined]


@pytest.mark.parametrize("variant", ["rms", "crms"])
def test_four_times_the_norms_take_at_most_five_times_the_work(variant: str) -> None:
    calls(1, variant)
    assert calls(159, variant) <= 5 * calls(39, variant)


def test_the_norms_and_the_streams_of_a_report_name_each_weight_once() -> None:
    report = graphopt.optimize(chain(40), verify=False).report
    text = report.to_json()
    assert report.plan.converted == 41
    plan = json.loads(text)["plan"]
    for name in ("embedding", *(f"down{i}" for i in range(40))):
        assert text.count(f'"{name}"') == 2
        assert json.dumps(plan["norms"]).count(f'"{name}"') == 1
        assert json.dumps(plan["streams"]).count(f'"{name}"') == 1
    norms = plan["norms"]
    assert [norm["absorbed_by"] for norm in norms] == [
        ["embedding"],
        *([f"down{i}"] for i in range(40)),
    ]
    assert [norm["absorbed_above"] for norm in norms] == list(range(41))


def test_the_report_grows_with_the_norms() -> None:
    sizes = [len(graphopt.optimize(chain(n), verify=False).report.to_json()) for n in (19, 79)]
    assert sizes[1] <= 5 * sizes[0]


def test_a_recentring_is_told_by_every_norm_that_needs_it() -> None:
    model = chain(3)
    model.graph.outputs.append(next(v for n in model.graph for v in n.outputs if v.name == "h1"))
    plan: PlanSummary = graphopt.inspect(model)
    assert [recentring.value for recentring in plan.recentrings] == ["h1"]
    assert [norm.recentrings for norm in plan.norms] == [(), ("h1",), ("h1",), ("h1",)]
    assert [norm.absorbed_by for norm in plan.norms] == [(), (), ("down1",), ("down2",)]
    assert [norm.absorbed_above for norm in plan.norms] == [0, 0, 0, 1]
    assert plan.recentrings[0].unlocks == tuple(norm.name for norm in plan.norms[1:])
