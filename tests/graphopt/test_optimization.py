from __future__ import annotations

import json
import pkgutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest

import graphopt
from graphopt.errors import UsageError
from graphopt.files import loading
from graphopt.json_values import to_json
from graphopt.options import Sample
from graphopt.passes import pipeline
from graphopt.verification import Original, OutputError, Verification
from tests.graphopt.model_files import (
    block,
    save_external,
    save_inline,
    snapshot,
    weights,
)

SAVERS = pytest.mark.parametrize("save", [save_inline, save_external])


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return save_external(block(), tmp_path / "model.onnx")


def run(path: Path) -> np.ndarray:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    x = np.random.default_rng(1).normal(size=(2, 3, 40)).astype(np.float32) + 0.5
    return session.run(None, {"x": x})[0]


@SAVERS
def test_a_file_is_optimized_into_a_file(
    tmp_path: Path, save: Callable[[onnx.ModelProto, Path], Path]
) -> None:
    path, target = save(block(), tmp_path / "model.onnx"), tmp_path / "out.onnx"
    before = snapshot(tmp_path)
    report = graphopt.optimize(path, output=target).report

    assert [norm.converted for norm in report.plan.norms] == [True, True]
    assert report.verification is not None
    assert report.verification.status == "passed"
    np.testing.assert_allclose(run(target), run(path), rtol=0, atol=2e-5)
    onnx.checker.check_model(target)
    assert not [n for n in onnx.load(target).graph.node if n.op_type == "LayerNormalization"]
    assert before.items() <= snapshot(tmp_path).items()


def test_the_output_says_what_made_it_and_keeps_the_rest(tmp_path: Path, model: Path) -> None:
    graphopt.optimize(model, output=tmp_path / "out.onnx")
    given, made = onnx.load(model), onnx.load(tmp_path / "out.onnx")
    for field in ("ir_version", "producer_name", "doc_string"):
        assert getattr(made, field) == getattr(given, field)
    imports = [(entry.domain, entry.version) for entry in given.opset_import]
    assert [(entry.domain, entry.version) for entry in made.opset_import] == [
        *imports,
        ("graphopt", 1),
    ]
    assert made.graph.input == given.graph.input
    assert made.graph.output == given.graph.output


def test_a_compressed_output_says_how(tmp_path: Path, model: Path) -> None:
    graphopt.optimize(model, "crms", basis="drop", output=tmp_path / "out.onnx")
    made = onnx.load(tmp_path / "out.onnx")
    props = {entry.key: entry.value for entry in made.metadata_props}
    assert (props["graphopt.variant"], props["graphopt.basis"]) == ("crms", "drop")
    np.testing.assert_allclose(run(tmp_path / "out.onnx"), run(model), rtol=0, atol=2e-5)


@pytest.mark.parametrize(
    ("options", "operators"),
    [
        ({}, {"graphopt.RMSNorm", "graphopt.SkipRMSNorm"}),
        ({"variant": "crms"}, {"graphopt.RMSNorm", "graphopt.SkipRMSNorm"}),
        ({"variant": "crms", "basis": "drop"}, {"graphopt.CRMSNorm", "graphopt.SkipCRMSNorm"}),
        ({"variant": "crms", "basis": "drop", "ops": "standard"}, set()),
        ({"ops": "standard"}, set()),
        ({"ops": "ort"}, {".SimplifiedLayerNormalization"}),
    ],
)
def test_the_norms_are_written_in_the_operators_asked_for(
    model: Path, options: dict[str, str], operators: set[str]
) -> None:
    result = graphopt.optimize(model, verify=False, **options)
    found = {f"{node.domain}.{node.op_type}" for node in result.model.graph}
    assert {name for name in found if name.startswith("graphopt") or "Layer" in name} == operators
    assert result.report.has_custom_operators == any("graphopt" in name for name in operators)


def test_the_same_input_gives_the_same_bytes(tmp_path: Path, model: Path) -> None:
    files = []
    for directory in (tmp_path / "1", tmp_path / "2"):
        directory.mkdir()
        graphopt.optimize(model, verify=False, output=directory / "out.onnx")
        files.append(snapshot(directory))
    assert files[0] == files[1]


def test_without_an_output_nothing_is_written(tmp_path: Path, model: Path) -> None:
    before = snapshot(tmp_path)
    result = graphopt.optimize(model)
    assert snapshot(tmp_path) == before
    assert result.report.output.path is None
    graphopt.save(result.model, tmp_path / "out.onnx")
    np.testing.assert_allclose(run(tmp_path / "out.onnx"), run(model), rtol=0, atol=2e-5)


def test_a_model_in_memory_is_not_changed(tmp_path: Path, model: Path) -> None:
    given = loading.load(model)
    text = str(given)
    result = graphopt.optimize(given, output=tmp_path / "out.onnx")
    assert str(given) == text
    assert result.model is not given
    assert result.report.plan.converted == 2
    assert result.report.input.path == str(model)


def test_a_model_that_was_never_a_file_is_verified(tmp_path: Path) -> None:
    result = graphopt.optimize(ir.from_proto(block()))
    assert result.report.verification is not None
    assert result.report.verification.status == "passed"
    assert result.report.input.path is None


def rejecting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the pipeline produce a model that is not the same function."""
    run_pipeline = pipeline.run

    def wrong(model: ir.Model, *arguments: object) -> object:
        outcome = run_pipeline(model, *arguments)
        head = model.graph.initializers["head"]
        head.const_value = ir.Tensor(2 * head.const_value.numpy(), name="head")
        return outcome

    monkeypatch.setattr(pipeline, "run", wrong)


def test_a_wrong_result_is_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: Path
) -> None:
    rejecting(monkeypatch)
    before = snapshot(tmp_path)
    with pytest.raises(graphopt.OutputRejected, match=r"1 of 1 outputs differ.* 'y'") as caught:
        graphopt.optimize(model, output=tmp_path / "out.onnx")
    assert caught.value.report.verification.status == "failed"
    assert snapshot(tmp_path) == before


def test_a_wrong_result_leaves_the_replaced_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: Path
) -> None:
    graphopt.optimize(model, output=tmp_path / "out.onnx")
    before = snapshot(tmp_path)
    rejecting(monkeypatch)
    with pytest.raises(graphopt.OutputRejected):
        graphopt.optimize(model, output=tmp_path / "out.onnx", force=True)
    assert snapshot(tmp_path) == before


def test_what_could_not_be_verified_is_written_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: Path
) -> None:
    unverified = Verification("unverified", reason="no kernel for Frobnicate")
    monkeypatch.setattr("graphopt.verification.verify", lambda *_, **__: unverified)
    report = graphopt.optimize(model, output=tmp_path / "out.onnx").report
    assert (tmp_path / "out.onnx").exists()
    assert report.verification == unverified


def test_given_inputs_and_tolerances_reach_the_verification(
    monkeypatch: pytest.MonkeyPatch, model: Path
) -> None:
    asked, originals = [], []

    def verify(base: Original, candidate: Path, **options: object) -> Verification:
        originals.append(base)
        asked.append(options)
        return Verification("passed", (OutputError("y", "float32", 0, 0, 0, 0, True),))

    monkeypatch.setattr("graphopt.verification.verify", verify)
    monkeypatch.setattr(
        "graphopt.optimization.checking.find_library", lambda provider: Path("library")
    )
    sample = {
        "inputs": {"x": np.zeros((1, 2, 40), np.float32)},
        "input_shapes": {"x": (1, 2, 40)},
        "dims": {"batch": 5},
        "seed": 3,
        "custom_op_libraries": ("own.so",),
    }
    graphopt.optimize(model, rtol=0.1, atol=0.2, **sample)
    norms: dict[str, tuple[str, ...]] = {"normed": (), "final": ()}  # no If stands before them
    expected = {"rtol": 0.1, "atol": 0.2, "provider": "cpu", "norms": norms}
    assert asked == [{**expected, "library": None}, {**expected, "library": Path("library")}]
    assert [original.sample for original in originals] == [Sample(**sample)] * 2
    assert originals[0] is originals[1]
    asked.clear()
    graphopt.optimize(model, ops="standard")
    assert len(asked) == 1


def with_kernels(monkeypatch: pytest.MonkeyPatch, outcome: Verification | Exception) -> None:
    """Decide what comes of the verification with kernels."""

    def verify(*_: Path, library: Path | None = None, **__: object) -> Verification:
        if library is None:
            return Verification("passed")
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr("graphopt.verification.verify", verify)
    monkeypatch.setattr(
        "graphopt.optimization.checking.find_library", lambda provider: Path("library")
    )


def test_a_result_that_the_kernels_compute_wrongly_is_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: Path
) -> None:
    wrong = OutputError("y", "float32", 3.0, 0.5, 1e-3, 1e-4, passed=False)
    with_kernels(monkeypatch, Verification("failed", (wrong,), runtime="1.31.1 (cpu, kernels)"))
    message = r"failed in ONNX Runtime 1\.31\.1 \(cpu, kernels\), no output was written"
    with pytest.raises(graphopt.OutputRejected, match=message) as caught:
        graphopt.optimize(model, output=tmp_path / "out.onnx")
    assert caught.value.report.verification == Verification("passed")
    assert not (tmp_path / "out.onnx").exists()


def test_a_runtime_that_refuses_the_kernels_leaves_them_unverified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: Path
) -> None:
    with_kernels(monkeypatch, graphopt.EnvironmentFailure("too old"))
    report = graphopt.optimize(model, output=tmp_path / "out.onnx").report
    assert report.verification == Verification("passed")
    assert report.verification_with_kernels == Verification("unverified", reason="too old")
    assert (tmp_path / "out.onnx").exists()


def test_what_is_for_cuda_is_verified_there_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: Path
) -> None:
    asked: list[tuple[str, str]] = []

    def verify(*_: Any, provider: str = "cpu", library: Any = None, **__: Any) -> Verification:
        asked.append((provider, library))
        wrong = OutputError("y", "float32", 3.0, 0.5, 1e-3, 1e-4, passed=False)
        return Verification("failed", (wrong,)) if provider == "cuda" else Verification("passed")

    monkeypatch.setattr(
        "graphopt.optimization.checking.find_library", lambda provider: f"{provider}.so"
    )
    monkeypatch.setattr("graphopt.verification.verify", verify)
    with pytest.raises(graphopt.OutputRejected, match="1 of 1 outputs differ"):
        graphopt.optimize(model, provider="cuda", output=tmp_path / "out.onnx")
    assert asked == [("cpu", None), ("cpu", "cpu.so"), ("cuda", "cuda.so")]
    assert not (tmp_path / "out.onnx").exists()
    asked.clear()
    assert graphopt.optimize(model).report.verification_on_cuda is None
    assert asked == [("cpu", None), ("cpu", "cpu.so")]


def test_without_cuda_what_is_for_it_is_said_to_be_unverified_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: Path
) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    report = graphopt.optimize(model, provider="cuda", output=tmp_path / "out.onnx").report
    assert report.verification is not None
    assert report.verification.status == "passed"
    assert report.verification_on_cuda is not None
    assert report.verification_on_cuda.status == "unverified"
    assert "CUDAExecutionProvider does not start" in report.verification_on_cuda.reason
    assert (tmp_path / "out.onnx").exists()


def only_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without CUDA, wherever the test runs."""
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])


def with_an_operator_of_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the pipeline write an operator that ONNX Runtime has no kernel for on the CPU."""
    run_pipeline = pipeline.run

    def lowered(model: ir.Model, *arguments: object) -> object:
        outcome = run_pipeline(model, *arguments)
        relu = next(node for node in model.graph if node.op_type == "Relu")
        channels = ir.Value(name="channels", const_value=ir.tensor(np.zeros(1, np.float32)))
        model.graph.register_initializer(channels)
        relu.domain, relu.op_type = "com.microsoft", "BiasAdd"
        relu.resize_inputs(3)
        relu.replace_input_with(1, channels)
        relu.replace_input_with(2, relu.inputs[0])
        model.graph.opset_imports["com.microsoft"] = 1
        return outcome

    monkeypatch.setattr(pipeline, "run", lowered)


def test_what_the_cpu_has_no_kernel_for_is_unverified_there_and_verified_where_it_is_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: Path
) -> None:
    only_the_cpu(monkeypatch)
    with_an_operator_of_cuda(monkeypatch)
    target = {"ops": "ort", "provider": "cuda", "output": tmp_path / "out.onnx"}
    report = graphopt.optimize(model, **target).report
    assert report.verification is not None
    assert (report.verification.status, report.verification.outputs) == ("unverified", ())
    assert "it was made for cuda" in report.verification.reason
    assert "BiasAdd" in report.verification.reason
    assert report.verification_on_cuda is not None
    assert report.verification_on_cuda.status == "unverified"
    assert report.doubt.startswith("could not be verified on CUDA: CUDAExecutionProvider does not")
    assert (tmp_path / "out.onnx").exists()

    verify = graphopt.verification.verify
    wrong = OutputError("y", "float32", 3.0, 0.5, 1e-3, 1e-4, passed=False)
    outcomes = [Verification("passed"), Verification("failed", (wrong,))]

    def on_cuda(*given: Any, provider: str = "cpu", **others: Any) -> Verification:
        return outcomes.pop(0) if provider == "cuda" else verify(*given, **others)

    monkeypatch.setattr("graphopt.verification.verify", on_cuda)
    assert graphopt.optimize(model, force=True, **target).report.doubt == ""
    with pytest.raises(graphopt.OutputRejected, match="1 of 1 outputs differ"):
        graphopt.optimize(model, force=True, **target)


@pytest.mark.parametrize("target", [{"ops": "ort"}, {"ops": "standard", "provider": "cuda"}])
def test_what_the_cpu_should_run_and_does_not_is_rejected(
    monkeypatch: pytest.MonkeyPatch, model: Path, target: dict[str, str]
) -> None:
    only_the_cpu(monkeypatch)
    with_an_operator_of_cuda(monkeypatch)
    with pytest.raises(graphopt.OutputRejected, match=r"the candidate does not run: .*BiasAdd"):
        graphopt.optimize(model, **target)


def test_what_the_cpu_cannot_run_at_all_is_still_verified_on_cuda(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    def verify(*_: Any, provider: str, **__: Any) -> Verification:
        asked.append(provider)
        return Verification("passed" if provider == "cuda" else "unverified")

    monkeypatch.setattr("graphopt.verification.verify", verify)
    report = graphopt.optimize(ir.from_proto(block()), provider="cuda").report
    assert asked == ["cpu", "cuda"]
    assert report.verification_with_kernels is None
    assert report.doubt == ""


def test_kernels_that_were_not_built_are_not_verified(
    monkeypatch: pytest.MonkeyPatch, model: Path
) -> None:
    monkeypatch.setattr("graphopt.optimization.checking.find_library", lambda provider: None)
    report = graphopt.optimize(model).report
    assert report.verification is not None
    assert report.verification_with_kernels is None


def test_inspecting_changes_nothing(tmp_path: Path, model: Path) -> None:
    before = snapshot(tmp_path)
    given = loading.load(model)
    text = str(given)
    plans = [graphopt.inspect(model), graphopt.inspect(given)]
    assert str(given) == text
    assert snapshot(tmp_path) == before
    assert plans[0] == plans[1] == graphopt.optimize(model, verify=False).report.plan


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"variant": "batch"}, "unknown variant 'batch': choose rms or crms"),
        ({"variant": "crms", "basis": "x"}, "unknown basis 'x': choose orthonormal or drop"),
        ({"basis": "drop"}, "basis 'drop' is for the variant crms: leave it out for rms"),
        ({"ops": "all"}, "unknown ops 'all': choose custom or standard or ort"),
        ({"provider": "tpu"}, "unknown provider 'tpu': choose cpu or cuda"),
        ({"max_growth": -1.0}, "max_growth -1.0 is negative"),
        ({"skip": ["nothing"]}, "no pass is called 'nothing' here"),
        (
            {"skip": ["recentre"]},
            r"'recentre' cannot be skipped, .* one that graphopt passes marks",
        ),
    ],
)
def test_choices_that_do_not_exist_are_refused(
    model: Path, options: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        graphopt.optimize(model, **options)


def test_an_optional_pass_can_be_skipped(model: Path) -> None:
    report = graphopt.optimize(model, skip=["fold-affine"]).report
    assert "fold-affine" not in [record.name for record in report.passes]
    assert report.verification is not None
    assert report.verification.status == "passed"


NO_LAYER_NORM = """
<ir_version: 8, opset_import: ["" : 17]>
g (float[N, 4] x) => (float[N, 4] y) { y = Relu (x) }
"""
KEPT = """
<ir_version: 8, opset_import: ["" : 17]>
g (float[N, 4] x, float[4] s) => (float[N, 4] y, float[N, 4] z) {
    y = LayerNormalization (x, s) z = Relu (x)
}
"""


@pytest.mark.parametrize(("text", "norms"), [(NO_LAYER_NORM, 0), (KEPT, 1)])
def test_nothing_to_convert_is_not_an_error(tmp_path: Path, text: str, norms: int) -> None:
    path = save_inline(onnx.parser.parse_model(text), tmp_path / "model.onnx")
    report = graphopt.optimize(path, output=tmp_path / "out.onnx").report
    assert (len(report.plan.norms), report.plan.converted) == (norms, 0)
    assert all(norm.reason for norm in report.plan.norms)
    assert (tmp_path / "out.onnx").exists()


def test_what_was_optimized_already_is_not_an_error(tmp_path: Path, model: Path) -> None:
    graphopt.optimize(model, output=tmp_path / "once.onnx")
    report = graphopt.optimize(tmp_path / "once.onnx", output=tmp_path / "twice.onnx").report
    assert report.plan.norms == ()
    first, second = weights(tmp_path / "once.onnx"), weights(tmp_path / "twice.onnx")
    assert first.keys() == second.keys()
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name])


def test_weights_behind_links_are_optimized_and_verified(tmp_path: Path, model: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    for name in ("model.onnx", "model.onnx.data"):
        (tmp_path / name).rename(cache / f"blob of {name}")
        (tmp_path / name).symlink_to(cache / f"blob of {name}")
    report = graphopt.optimize(model, output=tmp_path / "out.onnx").report
    assert report.verification is not None
    assert report.verification.status == "passed"


def test_the_report_is_json(tmp_path: Path, model: Path) -> None:
    report = graphopt.optimize(model, output=tmp_path / "out.onnx").report
    found = json.loads(report.to_json())
    assert list(found) == [
        "schema",
        "input",
        "output",
        "variant",
        "ops",
        "target",
        "provider",
        "plan",
        "passes",
        "verification",
        "verification_with_kernels",
        "verification_on_cuda",
        "has_custom_operators",
        "readers",
        "cautions",
        "speedup",
        "tuning",
        "environment",
        "seconds",
    ]
    assert found["schema"] == "graphopt.report/1"
    sizes = [
        sum(file.stat().st_size for file in tmp_path.glob(f"{name}*")) for name in ("model", "out")
    ]
    assert [found["input"]["bytes"], found["output"]["bytes"]] == sizes
    assert found["plan"]["norms"][0]["converted"] is True
    assert found["verification"]["status"] == "passed"
    assert found["environment"]["onnxruntime"] == onnxruntime.__version__
    assert list(found["seconds"]) == ["load", "optimize", "write", "verify"]


def test_numbers_that_json_lacks_are_strings() -> None:
    assert json.loads(to_json({"a": float("inf"), "b": [float("nan"), 1.5]})) == {
        "a": "inf",
        "b": ["nan", 1.5],
    }


def test_importing_graphopt_imports_nothing_heavy() -> None:
    code = "import graphopt, sys; print([m for m in ('onnx', 'numpy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_public_names_exist() -> None:
    for name in graphopt.__all__:
        assert getattr(graphopt, name).__name__ == name
    assert set(graphopt.__all__) <= set(dir(graphopt))
    with pytest.raises(AttributeError, match="nothing"):
        _ = graphopt.nothing


def test_no_module_hides_a_public_name() -> None:
    modules = {module.name for module in pkgutil.iter_modules(graphopt.__path__)}
    assert "evaluation" in modules
    assert not modules & set(graphopt.__all__)


def test_large_weights_are_not_held_in_memory(model: Path) -> None:
    result = graphopt.optimize(model, verify=False)
    tensors = [value.const_value for value in result.model.graph.initializers.values()]
    large = [tensor for tensor in tensors if tensor.nbytes > 1024]
    assert len(large) == 4
    assert all(isinstance(tensor, ir.LazyTensor | ir.ExternalTensor) for tensor in large)


def _described(node: onnx.NodeProto) -> tuple[object, ...]:
    return node.domain, node.op_type, list(node.input), list(node.output), list(node.attribute)


_UNTOUCHED = """<ir_version: 8, opset_import: ["" : 17, "com.microsoft" : 1, "local" : 1]>
    g (float[B, 4] a, float[B, 4] b) => (float[B, 4] y)
    <float[4] g = {1, 2, 3, 4}, float[4] c = {1, 0, 1, 0}, float[4, 4] w = {1, 2, 3, 4, 2, 3, 4, 5,
     3, 4, 5, 6, 1, 1, 2, 2}, float[4] dead = {1, 2, 3, 4}> {
        s, "", "", u = com.microsoft.SkipLayerNormalization<epsilon = 0.001>(a, b, g, c)
        t = Transpose(w) m = MatMul(s, t) k = Mul(m, g) r = local.Half(k)
        y = com.microsoft.SkipLayerNormalization<epsilon = 0.001>(u, r, g, c) }
    <domain: "local", opset_import: ["" : 17]> Half (X) => (Y) {
        h = Constant<value_float = 0.5>() Y = Mul(X, h) }"""


@pytest.mark.parametrize("in_memory", [True, False])
def test_a_model_in_which_nothing_converts_is_left_as_it_was(
    tmp_path: Path, in_memory: bool
) -> None:
    path, target = tmp_path / "model.onnx", tmp_path / "out.onnx"
    proto = onnx.parser.parse_model(_UNTOUCHED)
    onnx.save(proto, path)
    model = ir.from_proto(proto) if in_memory else path
    report = graphopt.optimize(model, output=target, fuse=False).report
    assert [norm.converted for norm in report.plan.norms] == [False, False]
    assert all(norm.reason for norm in report.plan.norms)
    assert report.passes[-1].name == "leave-as-it-was"
    assert {r.changed for r in report.passes if r.name != "plan"} == {0}
    made = onnx.load(target)
    assert [_described(node) for node in made.graph.node] == [
        _described(node) for node in proto.graph.node
    ]
    kept, given = made.graph.initializer, proto.graph.initializer
    assert [tensor.name for tensor in kept] == [tensor.name for tensor in given]
    ((written,), (read,)) = made.functions, proto.functions
    assert [_described(node) for node in written.node] == [_described(node) for node in read.node]
    assert made.opset_import == proto.opset_import
    assert not made.metadata_props


def test_what_is_fused_beside_norms_that_stay_is_written(tmp_path: Path) -> None:
    result = graphopt.optimize(
        ir.from_proto(onnx.parser.parse_model(_UNTOUCHED)), output=tmp_path / "out.onnx"
    )
    assert result.report.plan.converted == 0
    assert result.report.verification is not None
    assert result.report.verification.status == "passed"
    counts = {what: n for record in result.report.passes for what, n in record.detail.items()}
    assert counts["scales folded"] == 1
    assert "Mul" not in [node.op_type for node in onnx.load(tmp_path / "out.onnx").graph.node]
