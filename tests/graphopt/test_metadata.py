"""An output says how, of what and for what it was made, and how it was checked."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import onnx
import onnxruntime
import pytest

import graphopt
import graphopt.passes.pipeline
from graphopt.cli import cli
from graphopt.errors import UsageError
from graphopt.files.digests import Digests
from graphopt.optimization import metadata
from tests.conftest import ZooModel


@pytest.fixture(scope="module")
def model(zoo_model: ZooModel) -> Path:
    return zoo_model("gpt2-tiny", exporter="dynamo")


def said(path: Path) -> dict[str, str]:
    entries = onnx.load(path).metadata_props
    assert len({entry.key for entry in entries}) == len(entries)
    return {entry.key: entry.value for entry in entries}


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def optimized(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("metadata") / "out.onnx"
    graphopt.optimize(model, output=path, target="onnxruntime")
    return path


def test_all_is_said(model: Path, optimized: Path) -> None:
    found = said(optimized)
    error = found.pop("graphopt.verification.error")
    assert 0 <= float(error) < 1e-4
    provider = "CPUExecutionProvider"
    assert found == {
        "graphopt.version": graphopt.__version__,
        "graphopt.variant": "rms",
        "graphopt.ops": "custom",
        "graphopt.target": "onnxruntime",
        "graphopt.provider": "cpu",
        "graphopt.least_onnxruntime": "1.20",
        "graphopt.least_ir": str(onnx.load(optimized).ir_version),
        "graphopt.source.sha256": digest(model),
        "graphopt.verification": "passed",
        "graphopt.verification.runtime": f"ONNX Runtime {onnxruntime.__version__} (cpu)",
    }
    assert {f"graphopt.{key}" for key in metadata.KEYS} >= found.keys()
    session = onnxruntime.InferenceSession(optimized, providers=[provider])
    assert session.get_modelmeta().custom_metadata_map.items() >= found.items()


def test_the_same_input_gives_the_same_bytes(model: Path, optimized: Path, tmp_path: Path) -> None:
    again = tmp_path / "out.onnx"
    result = graphopt.optimize(model, output=again, target="onnxruntime")
    assert digest(again) == digest(optimized)
    assert result.model.metadata_props == said(again)


def test_external_data_is_named_and_not_written_again(model: Path, tmp_path: Path) -> None:
    external, out = tmp_path / "m.onnx", tmp_path / "out.onnx"
    onnx.save(
        onnx.load(model), external, save_as_external_data=True, location="m.data", size_threshold=64
    )
    graphopt.optimize(external, "crms", output=out, verify=False)
    found = said(out)
    assert found["graphopt.source.sha256"] == digest(external)
    assert found["graphopt.source.data.sha256"] == digest(tmp_path / "m.data")
    assert found["graphopt.basis"] == "orthonormal"
    assert found["graphopt.verification"] == "not asked for"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "m.data",
        "m.onnx",
        "out.onnx",
        "out.onnx.data",
    ]


def test_what_was_optimized_before_says_so_and_works(
    model: Path, optimized: Path, tmp_path: Path
) -> None:
    out = tmp_path / "standard.onnx"
    report = graphopt.optimize(optimized, output=out, target="any").report
    (caution,) = (text for text in report.cautions if "before" in text)
    assert caution == (
        f"the input was optimized before, by graphopt {graphopt.__version__} "
        "(variant rms, ops custom, target onnxruntime)"
    )
    found = said(out)
    assert (found["graphopt.target"], found["graphopt.ops"]) == ("any", "standard")
    assert found["graphopt.source.sha256"] == digest(optimized)
    assert not [text for text in graphopt.optimize(model).report.cautions if "before" in text]


def test_inspect_prints_it(
    optimized: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cli(["inspect", str(optimized)], standalone_mode=False)
    printed = " ".join(capsys.readouterr().out.split())
    assert printed.startswith(
        f"the input was optimized before, by graphopt {graphopt.__version__} "
        "(variant rms, ops custom, target onnxruntime); verification: passed "
    )
    assert "least_ir" not in printed
    cli(["inspect", str(optimized), "-v"], standalone_mode=False)
    assert "metadata: graphopt.least_ir 10, " in " ".join(capsys.readouterr().out.split())
    cli(["inspect", str(optimized), "--json"], standalone_mode=False)
    assert json.loads(capsys.readouterr().out)["metadata"] == said(optimized)
    cli(["inspect", str(model)], standalone_mode=False)
    assert "optimized before" not in capsys.readouterr().out


def test_a_full_disk_leaves_nothing(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, properties: object) -> None:
        raise graphopt.EnvironmentFailure(f"{path}: cannot be written: No space left on device")

    monkeypatch.setattr("graphopt.files.saving.append_metadata", full)
    with pytest.raises(graphopt.EnvironmentFailure):
        graphopt.optimize(model, output=tmp_path / "out.onnx")
    assert list(tmp_path.iterdir()) == []


def test_an_input_that_is_gone_leaves_nothing(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(self: Digests) -> tuple[str, ...]:
        raise FileNotFoundError(2, "No such file or directory", "in.onnx")

    monkeypatch.setattr(Digests, "wait", gone)
    with pytest.raises(graphopt.EnvironmentFailure, match=r"^in\.onnx: cannot be read \(No such"):
        graphopt.optimize(model, output=tmp_path / "out.onnx", verify=False)
    assert list(tmp_path.iterdir()) == []


TARGETS = {
    ("onnxruntime", "cpu"): "custom",
    ("onnxruntime", "cuda"): "ort",
    ("onnxruntime+library", "cuda"): "custom",
    ("openvino", "cpu"): "standard",
    ("tract", "cpu"): "standard",
    ("any", "cpu"): "standard",
}


@pytest.mark.parametrize(("chosen", "ops"), TARGETS.items(), ids=map("-".join, TARGETS))
def test_a_target_chooses_the_operators(chosen: tuple[str, str], ops: str) -> None:
    target, provider = chosen
    options = graphopt.passes.pipeline.Options(target=target, provider=provider)
    assert options.ops == ops
    assert graphopt.passes.pipeline.Options(target=target, provider=provider, ops=ops) == options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"target": "openvino", "ops": "custom"},
            "target 'openvino' takes ops 'standard', not 'custom': leave one of them out",
        ),
        (
            {"target": "tract", "provider": "cuda"},
            "target 'tract' is not ONNX Runtime on CUDA: leave out the provider 'cuda', or choose "
            "another target",
        ),
        (
            {"target": "tpu"},
            "unknown target 'tpu': choose onnxruntime or onnxruntime+library or openvino or tract "
            "or any",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_contradicts_a_target_is_refused(options: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError) as error:
        graphopt.passes.pipeline.Options(**options)
    assert str(error.value) == message


READERS = {
    "custom": "ONNX Runtime 1.20 and newer (--target any for others)",
    "ort": "ONNX Runtime 1.20 and newer, OpenVINO",
    "standard": "ONNX Runtime 1.20 and newer; OpenVINO, tract and others that read the input",
}


@pytest.mark.parametrize(("ops", "expected"), READERS.items())
def test_a_report_says_who_reads_the_output(ops: str, expected: str, model: Path) -> None:
    made = graphopt.optimize(model, ops=ops, fuse=False, verify=False)
    assert made.report.readers == expected
