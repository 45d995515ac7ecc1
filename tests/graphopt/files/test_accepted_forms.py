"""Forms of a file that ONNX Runtime runs, and so graphopt loads, optimizes and verifies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

import graphopt
from graphopt.files import loading

_WEIGHTS = f"""float[4,8] w = {{{", ".join(str(n % 7 - 2) for n in range(32))}}},
    float[8] g = {{1, 2, 3, 4, 5, 6, 7, 8}}, float[8] c = {{1, 0, 1, 0, 1, 0, 1, 0}}"""
_SKIP = "com.microsoft.SkipLayerNormalization<epsilon = 0.001>"


def _model(body: str, imports: str = '"" : 17', inputs: str = "float[B, 4] a") -> onnx.ModelProto:
    return onnx.parser.parse_model(
        f"""<ir_version: 8, opset_import: [{imports}]>
        graph ({inputs}) => (float[B, 8] y) <{_WEIGHTS}> {{ {body} }}"""
    )


def _without_import(domain: str, model: onnx.ModelProto) -> onnx.ModelProto:
    kept = [entry for entry in model.opset_import if entry.domain != domain]
    del model.opset_import[:]
    model.opset_import.extend(kept)
    return model


def _untyped_value(model: onnx.ModelProto) -> onnx.ModelProto:
    model.graph.value_info.add(name="x")
    return model


def _mistyped_constants(model: onnx.ModelProto) -> onnx.ModelProto:
    """As a converter of types leaves it that forgets what is declared."""
    model.graph.value_info.extend(
        onnx.helper.make_tensor_value_info(weight.name, onnx.TensorProto.FLOAT16, weight.dims)
        for weight in model.graph.initializer
    )
    return model


def _untyped_output(model: onnx.ModelProto) -> onnx.ModelProto:
    model.graph.output[0].ClearField("type")
    return model


_BOTH = '"" : 17, "com.microsoft" : 1'
_NORM = "x = MatMul(a, w) y = LayerNormalization(x, g, c)"
FORMS = {
    "com.microsoft alone is imported": (
        _without_import("", _model(f"x = MatMul(a, w) y = {_SKIP}(x, x, g, c)", _BOTH)),
        1,
    ),
    "com.microsoft is not imported": (
        _without_import(
            "com.microsoft", _model(f"x = MatMul(a, w) y = {_SKIP}(x, x, g, c)", _BOTH)
        ),
        1,
    ),
    "a value without a type": (_untyped_value(_model(_NORM)), 1),
    "constants of another type than is declared": (
        _mistyped_constants(
            _model("x = MatMul(a, w) n = LayerNormalization(x, g, c) y = Neg(n)"),
        ),
        1,
    ),
    "an output without a type": (_untyped_output(_model(_NORM)), 1),
}
_IF = """i = If(k)<then_branch = t () => (float[B,8] {0}) {{{1}}},
    else_branch = e () => (float[B,8] e) {{e = Neg(x)}}>"""
SHARED_NAMES = {
    "a value": _IF.format("o", "v = Relu(x) o = Neg(v)") + " v = Add(i, x) n = Relu(v)",
    "an output": _IF.format("v", "v = Relu(x)") + " v = Add(i, x) n = Relu(v)",
    "an output of both branches": _IF.format("e", "e = Relu(x)") + " e = Add(i, x) n = Relu(e)",
    "an input of a body": """t = Constant<value_int = 2>()
        i = Loop(t, k, x)<body = b (int64 s, bool q, float[B, 8] v) => (bool p, float[B, 8] o)
            {p = Identity(q) o = Neg(v)}> v = Add(i, x) n = Relu(v)""",
    "a value of a nested branch": _IF.format(
        "o",
        "o = If(k)<then_branch = t2 () => (float[B,8] p) {v = Relu(x) p = Neg(v)}, "
        "else_branch = e2 () => (float[B,8] q) {q = Neg(x)}>",
    )
    + " v = Add(i, x) n = Relu(v)",
}


@pytest.mark.parametrize("name", FORMS)
def test_a_form_that_the_runtime_takes_is_optimized(tmp_path: Path, name: str) -> None:
    proto, converts = FORMS[name]
    path = tmp_path / "model.onnx"
    path.write_bytes(proto.SerializeToString())
    report = graphopt.optimize(path, output=tmp_path / "out.onnx").report
    assert report.plan.converted == converts
    assert report.verification is not None
    assert report.verification.status == "passed"


@pytest.mark.parametrize("name", SHARED_NAMES)
def test_a_name_of_a_branch_may_be_used_again_outside(tmp_path: Path, name: str) -> None:
    body = f"x = MatMul(a, w) {SHARED_NAMES[name]} y = LayerNormalization(x, g, c) z = Add(y, n)"
    proto = _model(body, inputs="float[B, 4] a, bool k")
    proto.graph.output.add().CopyFrom(
        onnx.helper.make_tensor_value_info("z", onnx.TensorProto.FLOAT, ["B", 8])
    )
    path = tmp_path / "model.onnx"
    path.write_bytes(proto.SerializeToString())
    for taken in (True, False):
        report = graphopt.optimize(
            path, output=tmp_path / "out.onnx", force=True, inputs={"k": np.array(taken)}
        ).report
        assert report.verification is not None
        assert report.verification.status == "passed"


def test_a_branch_that_reads_what_it_decides_is_cyclic(tmp_path: Path) -> None:
    body = f"x = MatMul(a, w) {_IF.format('o', 'o = Neg(v)')} v = Add(i, x) y = Relu(v)"
    path = tmp_path / "model.onnx"
    path.write_bytes(_model(body, inputs="float[B, 4] a, bool k").SerializeToString())
    with pytest.raises(graphopt.ModelError, match="cyclic"):
        loading.load(path)


def test_outputs_that_are_left_out_are_written(tmp_path: Path) -> None:
    """EmbedLayerNormalization counts its mask index, which nobody needs to read."""
    proto = onnx.parser.parse_model(
        f"""<ir_version: 8, opset_import: [{_BOTH}]> g (int64[B, S] ids) => (float[B, S, 8] y)
        <float[4,8] w = {{{", ".join(str(n % 7 - 2) for n in range(32))}}},
         float[2,8] p = {{{", ".join(str(n % 5) for n in range(16))}}},
         float[8] g = {{1, 2, 3, 4, 5, 6, 7, 8}}, float[8] c = {{1, 0, 1, 0, 1, 0, 1, 0}},
         float[8,8] v = {{{", ".join(str(n % 11 - 3) for n in range(64))}}}> {{
            i = Cast<to = 6>(ids)
            x, "" = com.microsoft.EmbedLayerNormalization<epsilon = 0.001>(i, "", w, p, "", g, c)
            s = MatMul(x, v) y = LayerNormalization(s, g, c) }}"""
    )
    path, target = tmp_path / "model.onnx", tmp_path / "out.onnx"
    path.write_bytes(proto.SerializeToString())
    feeds = {"ids": np.array([[0, 1], [3, 2]])}
    report = graphopt.optimize(path, output=target, inputs=feeds).report
    assert report.verification is not None
    assert report.verification.status == "passed"
    assert report.plan.converted == 1
    assert list(onnx.load(target).graph.node[1].output) == ["x", ""]
