"""Quantized forms: what is written, what is left alone, and what is said where one cannot be."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

import graphopt
from graphopt.benchmarking import making, timing
from graphopt.benchmarking.output_errors import error_of
from graphopt.benchmarking.quantizing import quantize, write_quantized
from graphopt.benchmarking.result import Benchmark, Failure
from graphopt.benchmarking.settings import QUANTIZERS
from graphopt.errors import EnvironmentFailure
from graphopt.options import Sample
from graphopt.runtime.own_process import ProcessFailed
from graphopt.verification import Original
from tests.graphopt.benchmarking.benchmark_runs import QUICK, measured, try_here
from tests.graphopt.model_files import block, save_external, save_inline, snapshot
from tests.versions.conditions import needs_onnxruntime

pytestmark = needs_onnxruntime("1.22", "the 4-bit quantizer")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "input").mkdir()
    return save_external(block(), tmp_path / "input" / "model.onnx")


def operators(path: Path) -> Counter[str]:
    return Counter(node.op_type for node in onnx.load(path).graph.node)


@pytest.mark.parametrize(
    ("quantizer", "made", "bound"),
    [("dynamic", "MatMulInteger", 0.05), ("matmul4", "MatMulNBits", 0.4)],
)
def test_the_input_and_its_folder_are_not_touched(
    model: Path, tmp_path: Path, quantizer: str, made: str, bound: float
) -> None:
    """A quantizer writes beside what it reads, and onnx refuses data behind a link."""
    (tmp_path / "linked").mkdir()
    for file in model.parent.iterdir():
        (tmp_path / "linked" / file.name).symlink_to(file)
    linked = tmp_path / "linked" / "model.onnx"
    (tmp_path / "linked").chmod(0o500)
    (tmp_path / "out").mkdir()
    before, target = snapshot(model.parent), tmp_path / "out" / "model.onnx"
    said = quantize(quantizer, linked, target)
    (tmp_path / "linked").chmod(0o700)
    assert said.startswith(f"onnxruntime {onnxruntime.__version__}, ")
    assert snapshot(model.parent) == before
    assert {file.name for file in linked.parent.iterdir()} == {"model.onnx", "model.onnx.data"}
    assert {file.name for file in target.parent.iterdir()} == {"model.onnx", "model.onnx.data"}
    assert operators(target)[made] == 4
    with Original(model, Sample(dims={"batch": 2, "rows": 5})) as original:
        error = error_of(original, target, "cpu", None)
    assert error is not None
    assert 1e-4 < error < bound


@pytest.mark.parametrize("transposed", [0, 1])
def test_a_gemm_is_quantized_by_four_bits_too(tmp_path: Path, transposed: int) -> None:
    text = f"""<ir_version: 8, opset_import: ["" : 17]>
        g (float[n, 64] x) => (float[n, 96] y) {{ y = Gemm <transB = {transposed}> (x, w, b) }}"""
    gemm, rng = onnx.parser.parse_model(text), np.random.default_rng(1)
    shapes = {"w": (96, 64) if transposed else (64, 96), "b": (96,)}
    for name, shape in shapes.items():
        array = rng.normal(size=shape).astype(np.float32)
        gemm.graph.initializer.append(numpy_helper.from_array(array, name))
    path = save_inline(gemm, tmp_path / "gemm.onnx")
    write_quantized("matmul4", path, tmp_path / "out.onnx")
    assert operators(tmp_path / "out.onnx") == {"MatMulNBits": 1, "Add": 1}
    with Original(path, Sample(dims={"n": 9})) as original:
        error = error_of(original, tmp_path / "out.onnx", "cpu", None)
    assert error is not None
    assert error < 0.2


def test_the_error_is_relative_and_that_of_the_worst_output(tmp_path: Path) -> None:
    text = """<ir_version: 8, opset_import: ["" : 17]>
        g (float[n, 4] x) => (float[n, 4] y, float[n, 4] z, int64[2] s) <float[1] k = {FACTOR}> {
            y = Mul (x, k) two = Add (x, x) z = Mul (two, k) s = Shape (x) }"""
    paths = []
    for name, factor in {"base": "8.0", "candidate": "8.4"}.items():
        made = onnx.parser.parse_model(text.replace("FACTOR", factor))
        if name == "candidate":
            made.graph.node[-2].input[1] = "eight"
            eight = numpy_helper.from_array(np.array([8.0], np.float32), "eight")
            made.graph.initializer.append(eight)
        paths.append(save_inline(made, tmp_path / f"{name}.onnx"))
    with Original(paths[0], Sample(dims={"n": 3})) as original:
        assert error_of(original, paths[1], "cpu", None) == pytest.approx(0.05, rel=1e-4)
        assert error_of(original, paths[0], "cpu", None) == 0.0
        broken = tmp_path / "broken.onnx"
        broken.write_bytes(b"no model")
        assert error_of(original, broken, "cpu", None) is None


def quantize_here(quantizer: str, source: Path, target: Path) -> str:
    write_quantized(quantizer, source, target)
    return "here"


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trials and quantizers run in the process of the tests."""
    monkeypatch.setattr(timing, "try_model", try_here)
    monkeypatch.setattr(making, "quantize", quantize_here)


@pytest.mark.usefixtures("here")
def test_original_and_results_are_measured_quantized_in_one_table(model: Path) -> None:
    before = snapshot(model.parent)
    result = graphopt.benchmark(model, quantize=("dynamic",), **QUICK)
    assert snapshot(model.parent) == before
    names = ["original", "rms", "crms", "floor"]
    quantized = ["original dynamic", "rms dynamic", "crms dynamic"]
    assert measured(result) == [[*names, *quantized]]
    infos = {info.name: info for info in result.models}
    for name in quantized:
        base = name.removesuffix(" dynamic")
        assert infos[name].kind == infos[base].kind
        assert (infos[name].quantizer, infos[name].quantized_from) == ("dynamic", base)
    rows = {row.model: row for row in result.points[0].rows}
    assert {name for name, row in rows.items() if row.quantized_ratio} == set(quantized)
    assert {rows[name].quantized_baseline for name in quantized} == {"original dynamic"}
    own = rows["original dynamic"].quantized_ratio
    assert own is not None
    assert (own.low, own.value, own.high) == (1, 1, 1)
    to_quantized = rows["rms dynamic"].quantized_ratio
    assert to_quantized is not None
    medians = [np.median(rows[name].samples, axis=1) for name in ("rms dynamic", quantized[0])]
    assert to_quantized.value == pytest.approx(np.median(medians[0] / medians[1]))
    sizes = {name: row.file_bytes or 0 for name, row in rows.items()}
    assert sizes["original"] == sum(file.stat().st_size for file in model.parent.iterdir())
    # Bodies and metadata, which a model this small has little beside, stay as long as they were.
    assert all(0 < sizes[name] < sizes[name.removesuffix(" dynamic")] for name in quantized)
    assert rows["original"].error is None
    assert rows["floor"].error is None
    assert (rows["rms"].error or 1) < 1e-6
    assert all(1e-4 < (rows[name].error or 0) < 0.05 for name in quantized)
    assert all(rows[n].captured_reason.startswith("quantizing changes") for n in quantized)
    assert Benchmark.from_json(result.to_json()) == result


@pytest.mark.usefixtures("here")
def test_given_models_are_quantized_too(model: Path, tmp_path: Path) -> None:
    other = save_external(block(), tmp_path / "other.onnx")
    settings = QUICK | {"floor": False, "quantize": QUANTIZERS, "baseline": "model dynamic"}
    (point,) = graphopt.benchmark([model, other], **settings).points
    bases = {row.model: row.quantized_baseline for row in point.rows}
    assert bases == {
        "model": "",
        "other": "",
        "model dynamic": "model dynamic",
        "other dynamic": "model dynamic",
        "model matmul4": "model matmul4",
        "other matmul4": "model matmul4",
    }
    assert point.rows[1].error == 0.0
    assert {row.captured_reason for row in point.rows} >= {"there is no floor"}


@pytest.mark.usefixtures("here")
def test_a_model_that_cannot_be_quantized_is_named(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(quantizer: str, source: Path, target: Path) -> str:
        if source == model:
            raise ProcessFailed("ValueError: no weight of a known type")
        return quantize_here(quantizer, source, target)

    monkeypatch.setattr(making, "quantize", refuse)
    (point,) = graphopt.benchmark(model, quantize=("dynamic",), floor=False, **QUICK).points
    reason = "ValueError: no weight of a known type"
    assert point.failures == (Failure("original dynamic", reason),)
    assert [row.quantized_baseline for row in point.rows] == [""] * 5
    assert [row.quantized_ratio for row in point.rows] == [None] * 5


def test_a_missing_quantizer_is_one_line(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends the benchmark before anything is timed."""
    module = "onnxruntime.quantization.matmul_nbits_quantizer"
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(EnvironmentFailure, match=r'--quantize matmul4: .* pip install "g') as one:
        write_quantized("matmul4", model, tmp_path / "out.onnx")
    assert "\n" not in str(one.value)

    def fail(quantizer: str, source: Path, target: Path) -> str:
        raise ProcessFailed(str(one.value), kind="EnvironmentFailure")

    monkeypatch.setattr(making, "quantize", fail)
    monkeypatch.setattr(timing, "measure", lambda *_, **__: pytest.fail("timed"))
    with pytest.raises(EnvironmentFailure, match=r"--quantize .* pip install"):
        graphopt.benchmark(model, quantize=("matmul4",), **QUICK)
