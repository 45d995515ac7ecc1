from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from graphopt.evaluation import evaluate
from graphopt.passes import pipeline
from graphopt.passes.fuse_key_transposes import FuseKeyTransposes
from tests.onnx_runtime import OptimizedSession
from tests.passes.attention import block, feeds, records
from tests.passes.graphs import graph

# The order of the keys, from float[2,5,3,4] k or float[2,3,5,4] p; the order that is left.
CASES: dict[str, tuple[str, list[int] | None]] = {
    "heads split off": ("t = Transpose<perm=[0,2,3,1]>(k) s = MatMul(q, t)", [0, 2, 1, 3]),
    "keys of earlier tokens": ("t = Transpose<perm=[0,1,3,2]>(p) s = MatMul(q, t)", []),
    "values": ("t = Transpose<perm=[0,2,1,3]>(k) u = MatMul(q, z) s = MatMul(u, t)", None),
    "keys that others read": (
        "t = Transpose<perm=[0,2,3,1]>(k) s0 = MatMul(q, t) r = ReduceSum(t) s = Add(s0, r)",
        None,
    ),
    "a weight": ("t = Transpose<perm=[1,0]>(w) s = MatMul(q, t)", None),
    "the left operand": ("t = Transpose<perm=[0,2,3,1]>(k) s = MatMul(t, p)", None),
}


def _model(body: str, float64: bool = False) -> ir.Model:
    return graph(
        f"{body} y = Identity(s)",
        "z[4,5] w[3,4]",
        inputs="float[2,3,5,4] q, float[2,5,3,4] k, float[2,3,5,4] p",
        outputs="float y",
        float64=float64,
    )


@pytest.mark.parametrize("case", CASES)
def test_keys_are_multiplied_as_they_lie(case: str) -> None:
    body, order = CASES[case]
    model, original = _model(body), _model(body)
    found = records(model, FuseKeyTransposes())
    assert found == ({} if order is None else {"key transposes fused": 1})
    if order is not None:
        turns = [node for node in model.graph if node.op_type == "Transpose"]
        orders = [list(node.attributes.get_ints("perm", ())) for node in turns]
        assert orders == ([order] if order else [])
        assert "FusedMatMul" in OptimizedSession(model).operators
    draw = np.random.default_rng(0).normal
    given = {v.name: draw(size=tuple(v.shape or ())).astype(np.float32) for v in model.graph.inputs}
    before, after = (evaluate(each, given)["y"] for each in (original, model))
    assert np.abs(after - before).max() <= 1e-6 * np.abs(before).max()


def test_what_the_file_declared_of_the_keys_goes_with_them() -> None:
    model = graph(
        CASES["heads split off"][0] + " y = Identity(s)",
        inputs="float[2,3,5,4] q, float[2,5,3,4] k",
        outputs="float[2,3,5,5] y",
        declared="float[2,3,4,5] t",
        float64=False,
    )
    pipeline.run(model, pipeline.Options())
    onnx.checker.check_model(ir.to_proto(model), full_check=True)
    assert "t" not in [value.name for node in model.graph for value in node.outputs]


def test_types_that_the_kernel_does_not_have_stay() -> None:
    model = _model(CASES["heads split off"][0], float64=True)
    assert records(model, FuseKeyTransposes()) == {}


@pytest.mark.parametrize(("ops", "fused"), [("ort", 1), ("custom", 1), ("standard", 0)])
def test_only_results_for_onnx_runtime_have_its_operator(ops: str, fused: int) -> None:
    model = block("two low ones added", float64=False)
    _, found = pipeline.run(model, pipeline.Options(ops=ops))
    counts = {name: count for record in found for name, count in record.detail.items()}
    assert counts.get("key transposes fused", 0) == fused
    given = feeds("left", np.float32)
    original = OptimizedSession(block("two low ones added", float64=False)).run(given)["y"]
    result = OptimizedSession(model).run(given)["y"]
    assert np.abs(result - original).max() <= 1e-6 * np.abs(original).max()
