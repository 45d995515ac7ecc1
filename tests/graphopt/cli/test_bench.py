"""`graphopt bench` from the command line: files, exit codes, one line for each error."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest

from graphopt.benchmarking.result import Benchmark
from graphopt.cli import cli, exit_codes
from graphopt.files import parsing
from tests.graphopt.benchmarking.benchmark_values import benchmark, point

QUICK = (
    *("--iterations", "6", "--sessions", "6", "--warmup", "1", "--dim", "rows=4"),
    "--no-norms-alone",
)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "saved.json"
    path.write_text(benchmark(point(1)).to_json())
    return path


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = exit_codes.run(cli, ["bench", *map(str, arguments)])
    return code, *capsys.readouterr()


def test_a_benchmark_is_printed_and_saved(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [tmp_path / f"bench.{kind}" for kind in ("json", "csv", "html")]
    written = [f"--{file.suffix[1:]}={file}" for file in files]
    code, out, error = run(capsys, model, *QUICK, "--batch", "1,2", *written)
    assert (code, error) == (0, "")
    assert "batch 1, float32, CPUExecutionProvider, 1 thread (batch=1, rows=4)\n" in out
    assert "\nbatch 2, float32, " in out
    assert "\n--batch binds batch\n" in out
    assert ", ONNX Runtime " in out.splitlines()[-1]
    result = Benchmark.from_json(files[0].read_text())
    assert [row.model for row in result.points[1].rows] == ["original", "rms", "crms", "floor"]
    assert len(files[1].read_text().splitlines()) == 1 + 2 * 4
    assert "<html" in files[2].read_text()
    code, _, error = run(capsys, model, *QUICK, written[0])
    assert code == 2
    assert error == (
        f"graphopt: error: --json {files[0]}: exists: choose another file, or replace it "
        "(--force)\n"
    )


def test_quantized_forms_are_measured_beside_the_others(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(tmp_path.iterdir())
    code, out, error = run(capsys, model, *QUICK, "--no-floor", "--quantize", "dynamic")
    assert (code, error) == (0, "")
    assert sorted(tmp_path.iterdir()) == before
    rows = [line.split("  ")[0] for line in out.splitlines()[4:10]]
    names = ["original", "rms", "crms"]
    assert rows == [*names, *(f"{name} dynamic" for name in names)]
    assert "rms dynamic: onnxruntime " in out


def test_the_original_is_loaded_once(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        read: list[Path] = []

        def reading(path: Path, real: Callable[[Path], onnx.ModelProto] = parsing.read) -> Any:
            read.append(path)
            return real(path)

        patch.setattr(parsing, "read", reading)
        code, *_ = run(capsys, model, *QUICK, "--no-floor", "--json", tmp_path / "bench.json")
    assert code == 0
    assert read.count(model) == 1


def test_what_was_measured_is_printed_though_a_file_cannot_be_written(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.replace

    def full(path: Path, target: Path) -> Path:
        if target.name == "r.json":
            raise OSError(28, "No space left on device")
        return real(path, target)

    monkeypatch.setattr(Path, "replace", full)
    code, out, error = run(capsys, model, *QUICK, "--no-floor", "--json", tmp_path / "r.json")
    assert code == 3
    assert "batch 1, float32" in out
    assert error == (
        f"graphopt: error: {tmp_path}/r.json: cannot be written: No space left on device: check "
        "the disk and its permissions\n"
    )
    assert not [path for path in tmp_path.iterdir() if "r.json" in path.name]


def test_saved_benchmarks_are_compared(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, error = run(capsys, "--compare", saved, saved)
    assert (code, error) == (0, "")
    assert out.count("intervals overlap") == 3


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ((), 2, "Missing argument 'MODEL'"),
        (("{model}", "--batch", "few"), 2, "'few' is no list of numbers: write it as 1,8,32"),
        (("{model}", "--dim", "rows"), 2, "--dim 'rows': write it as NAME=N"),
        (("{model}", "--sessions", "3"), 2, "3 sessions of each model cannot carry"),
        (("{model}", "--provider", "cuda"), 3, "CUDAExecutionProvider does not start"),
        (("{model}", "--seq", "8"), 2, "--seq: no symbolic dimension"),
        (("{model}", "--json", "{model}"), 2, "--json {model}: is a model of this run"),
        (("{model}", "--csv", "{folder}"), 2, "--csv {folder}: is a folder or a device"),
        (
            ("{model}", "--html", "{folder}/no/r"),
            2,
            "there is no folder {folder}/no: make it first",
        ),
        (("{model}", "--json", "{model}.data"), 2, "--json {model}.data: is a model of this run"),
        (
            ("{model}", "--json", "{folder}/r", "--csv", "{folder}/r"),
            2,
            "--csv {folder}/r: --json names it, too: choose another file",
        ),
        (("{model}", "--seed", "-1"), 2, "seed -1: give 0 or more"),
        (("{model}", "{folder}/absent.onnx"), 2, "absent.onnx: there is no such file"),
        (("{model}", "{saved}"), 2, "{saved}: not an ONNX file"),
        (("{model}", "--compare", "{saved}", "{saved}"), 2, "two saved benchmarks and no MODEL"),
        (("--compare", "{saved}", "{folder}/other.json"), 2, "other.json: "),
        (("{folder}/absent.onnx",), 2, "absent.onnx"),
        (("--compare", "{model}", "{saved}"), 2, "{model}: is no benchmark, because no text"),
        (("--compare", "{folder}/absent.json", "{saved}"), 2, "absent.json: cannot be read"),
    ],
)
def test_an_error_is_one_line_and_a_code(
    arguments: tuple[str, ...],
    code: int,
    message: str,
    model: Path,
    saved: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (model.parent / "other.json").write_text("{}")
    names = {"model": model, "saved": saved, "folder": model.parent}
    found, out, error = run(capsys, *(argument.format(**names) for argument in arguments))
    assert (found, out) == (code, "")
    assert message.format(**names) in error
    assert error.count("\n") == 1


def test_help_and_the_package_import_nothing_heavy() -> None:
    code = """
import sys
from graphopt.cli import cli
import graphopt
try:
    cli(["bench", "--help"])
except SystemExit:
    pass
heavy = {"numpy", "onnx", "onnx_ir", "onnxruntime", "rich", "matplotlib", "torch"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "--compare A.json B.json" in done.stdout
