"""benchmarks/cuda.py: steps that fail, runs that go on, the record and the page, without a GPU."""

from __future__ import annotations

import dataclasses
import importlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from graphopt import Benchmark, ModelError, UsageError
from graphopt.benchmarking.result import BenchmarkEnvironment, Failure, Method
from tests.graphopt.benchmarking.benchmark_values import MODELS, point

ROOT = Path(__file__).parents[1]
HERE = BenchmarkEnvironment(
    "EPYC", 16, "Linux x86_64", "H100 (driver 1)", "1.32.0", "0.1", "3.12", ""
)
ELSEWHERE = dataclasses.replace(HERE, gpu="L4 (driver 1)")


@pytest.fixture(scope="module")
def scripts() -> Iterator[dict[str, ModuleType]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        names = ("cuda_record", "cuda_running", "cuda_steps", "cuda_page", "cuda", "subjects")
        yield {name: importlib.import_module(name) for name in names}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "docs" / "results-cuda.json"


def measured(title: str = "vit", *batches: int, **changes: Any) -> Benchmark:
    method = Method("wall", 6, 1, 0.95, 2000, 0, False, True)
    points = tuple(point(batch, profiled=False, **changes) for batch in batches)
    return Benchmark(title, "2026-01-01T00:00:00+00:00", HERE, method, MODELS, points)


class Machine:
    """Runs steps as told, and has so many seconds, of which each takes ten."""

    def __init__(self, scripts: dict[str, ModuleType], path: Path, seconds: float = 1e3) -> None:
        self.running, self.records = scripts["cuda_running"], scripts["cuda_record"]
        self.path, self.seconds = path, seconds
        self.taken: list[str] = []
        self.lines: list[str] = []

    def take(
        self, names: str, ends: dict[str, tuple[int | None, str]], environment: Any = HERE
    ) -> Any:
        steps = [self.running.Planned(name, f"the {name}") for name in names.split()]

        def start(name: str, seconds: float) -> Any:
            self.taken.append(name)
            self.seconds -= min(10.0, seconds)
            return self.running.Ended(*ends.get(name, (0, f"{name} is well\n")))

        record = self.running.take(
            steps,
            self.path,
            environment,
            start=start,
            left=lambda: self.seconds,
            tell=self.lines.append,
        )
        assert record == self.records.Record.load(self.path)
        return record

    def statuses(self, record: Any, environment: Any = HERE) -> dict[str, str]:
        return {name: step.status for name, step in record.here(environment).steps.items()}


def test_a_step_that_fails_costs_no_other(scripts: dict[str, ModuleType], path: Path) -> None:
    machine = Machine(scripts, path)
    ends = {
        "a": (1, "a long story\nRuntimeError: it is broken\n\n"),
        "b": (-11, "began\n"),
        "c": (3, "there is no nvcc: install the CUDA toolkit\n"),
        "d": (7, ""),
    }
    record = machine.take("a b c d e", ends)
    assert machine.taken == ["a", "b", "c", "d", "e"]
    found = {name: (s.status, s.reason) for name, s in record.here(HERE).steps.items()}
    assert found == {
        "a": ("failed", "RuntimeError: it is broken"),
        "b": ("failed", "it was ended by signal 11 after: began"),
        "c": ("skipped", "there is no nvcc: install the CUDA toolkit"),
        "d": ("failed", "it ended with code 7 and printed nothing"),
        "e": ("done", ""),
    }
    assert record.here(HERE).steps["a"].text.startswith("a long story")
    assert record.here(HERE).steps["e"].seconds == 10
    assert machine.lines[0] == "the a: failed: RuntimeError: it is broken"


def test_the_next_run_goes_on(scripts: dict[str, ModuleType], path: Path) -> None:
    """First what was begun, then what was never tried, then what failed; nothing that is done."""
    machine = Machine(scripts, path, seconds=35)
    machine.take("a b c d e f", {"a": (1, "no"), "b": (3, "no"), "d": (None, "half")})
    assert machine.taken == ["a", "b", "c", "d"]
    assert machine.lines[-2:] == [
        "the e: not taken, the time is out",
        "the f: not taken, the time is out",
    ]
    machine.seconds, machine.taken = 1e3, []
    record = machine.take("a b c d e f", {})
    assert machine.taken == ["d", "e", "f", "a", "b"]
    assert set(machine.statuses(record).values()) == {"done"}
    machine.taken = []
    machine.take("a b c d e f", {})
    assert machine.taken == []


def test_a_step_that_hangs_does_not_take_all_time(
    scripts: dict[str, ModuleType], path: Path
) -> None:
    machine = Machine(scripts, path, seconds=1e3)
    record = machine.take("a b", {"a": (None, "")})
    assert record.here(HERE).steps["a"].reason == "it took more than 240 s"
    assert machine.statuses(record) == {"a": "failed", "b": "done"}


def test_another_machine_begins_anew_and_keeps_the_old(
    scripts: dict[str, ModuleType], path: Path
) -> None:
    machine = Machine(scripts, path)
    machine.take("a b", {})
    record = machine.take("a b", {"b": (1, "no")}, ELSEWHERE)
    assert machine.taken == ["a", "b", "a", "b"]
    assert [run.environment for run in record.runs] == [HERE, ELSEWHERE]
    assert machine.statuses(record) == {"a": "done", "b": "done"}
    assert machine.statuses(record, ELSEWHERE) == {"a": "done", "b": "failed"}


def test_points_are_saved_as_they_come(scripts: dict[str, ModuleType], path: Path) -> None:
    """A step that is ended has lost nothing, and goes on behind what it has."""
    record_of = scripts["cuda_record"].Record.load
    keep = scripts["cuda"].keeper(path, HERE, "a", ())
    keep(measured("vit", 1))
    keep(measured("vit", 1, 8))
    machine = Machine(scripts, path)
    machine.seconds = 10
    outcome = machine.take("a", {"a": (None, "killed")}).here(HERE).steps["a"]
    assert outcome.status == "unfinished"
    assert outcome.benchmarks == (measured("vit", 1, 8),)
    place = scripts["cuda_steps"].Place(False, None, outcome.benchmarks, keep)
    assert place.left((1, 8, 32)) == (32,)
    scripts["cuda"].keeper(path, HERE, "a", outcome.benchmarks)(measured("vit", 32))
    saved = record_of(path).here(HERE).steps["a"].benchmarks
    assert [[p.batch for p in each.points] for each in saved] == [[1, 8], [32]]


def test_a_point_without_rows_is_not_done(scripts: dict[str, ModuleType]) -> None:
    result = measured("vit", 1, rows=(), failures=(Failure("original", "out of memory"),))
    place = scripts["cuda_steps"].Place(False, None, (result,), lambda result: None)
    assert place.left((1, 8)) == (1, 8)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("{", "Expecting property name"),
        ("[]", "its schema is None, not 'graphopt.cuda-results/1'"),
        ('{"schema": "graphopt.cuda-results/1", "runs": 3}', "record.runs is 3"),
    ],
)
def test_a_file_that_is_no_record_is_left(
    text: str, what: str, scripts: dict[str, ModuleType], path: Path
) -> None:
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(UsageError) as refused:
        scripts["cuda_record"].Record.load(path)
    assert what in str(refused.value)
    assert "move it away to begin anew" in str(refused.value)
    assert path.read_text() == text


@pytest.mark.parametrize(
    ("error", "code", "last"),
    [
        (None, 0, "well"),
        ("skip", 3, "bring the models"),
        (ModelError("vit.onnx: no shape"), 1, "vit.onnx: no shape"),
        (ModelError("Failed to allocate memory for 9 GB"), 3, "Failed to allocate memory for 9 GB"),
        (ValueError("a defect"), 1, "ValueError: a defect"),
    ],
)
def test_a_step_says_in_its_last_line_what_came_of_it(
    error: Any,
    code: int,
    last: str,
    scripts: dict[str, ModuleType],
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    steps = scripts["cuda_steps"]

    def run(place: Any) -> None:
        print("well")
        if error is not None:
            raise steps.Skipped("bring the models") if error == "skip" else error

    step = steps.Step("a", "the a", run)
    monkeypatch.setattr(scripts["cuda"], "all_steps", lambda dry: [step])
    arguments = ["--dry-run", "--step", "a", "--record", str(path)]
    assert scripts["cuda"].main(arguments) == code
    assert capsys.readouterr().out.splitlines()[-1] == last


def test_a_run_writes_the_page_and_says_that_a_step_failed(
    scripts: dict[str, ModuleType],
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Whole, in processes of its own: a step that does not exist fails in its process."""
    steps = scripts["cuda_steps"]
    step = steps.Step("nowhere", "a step that is nowhere", lambda place: None)
    monkeypatch.setattr(scripts["cuda"], "all_steps", lambda dry: [step])
    assert scripts["cuda"].main(["--dry-run", "--record", str(path)]) == 1
    assert "a step that is nowhere: failed: KeyError: 'nowhere'" in capsys.readouterr().out
    page = path.with_suffix(".md").read_text()
    assert "| a step that is nowhere | failed: KeyError: 'nowhere' |" in page


def test_a_process_is_ended_with_all_that_it_started(scripts: dict[str, ModuleType]) -> None:
    run = scripts["cuda_running"].in_own_process
    ended = run(["sh", "-c", "echo begun; sleep 1000 & sleep 1000"], 0.5)
    assert ended.code is None
    ended = run(["sh", "-c", "echo out; echo err >&2; exit 5"], 100.0)
    assert (ended.code, ended.output) == (5, "out\nerr\n")


def test_every_step_has_a_name_of_its_own(scripts: dict[str, ModuleType]) -> None:
    steps = scripts["cuda_steps"]
    names = [step.name for step in steps.all_steps()]
    assert len(set(names)) == len(names)
    assert {step.name for step in steps.check_steps()} < set(names)
    assert names[:4] == ["harness", "library", "sessions", "vit-b-16.float16.custom"]
    for model in ("vit-b-16", "bert-base", "gpt2"):
        for dtype in ("float16", "float32"):
            assert {f"{model}.{dtype}.custom", f"{model}.{dtype}.ort"} < set(names)
    dry = [step.name for step in steps.all_steps(dry=True)]
    kinds = {name.split(".")[0] for name in dry}
    assert kinds == {
        *("harness", "library", "sessions", "memory", "operators", "study", "vit-ti-16-tiny")
    }


def test_models_are_brought_or_said_to_be_missing(
    scripts: dict[str, ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = scripts["cuda_steps"]
    vit, bert, gpt2 = steps.SUBJECTS
    nested = tmp_path / "bert-base" / "bert-base.onnx"
    nested.parent.mkdir()
    for file in (tmp_path / "vit-b-16.onnx", nested):
        file.touch()
    assert steps.find_model(vit, tmp_path) == tmp_path / "vit-b-16.onnx"
    assert steps.find_model(bert, tmp_path) == nested

    def no_torch(subject: Any) -> Path:
        raise ImportError("No module named 'torch'")

    monkeypatch.setattr(steps, "model_file", no_torch)
    with pytest.raises(steps.Skipped) as skipped:
        steps.find_model(gpt2, tmp_path)
    assert str(skipped.value) == (
        "gpt2.onnx cannot be exported here (No module named 'torch'): where PyTorch and "
        'transformers are, run "graphopt export gpt2 -o DIR/gpt2.onnx", and give DIR as MODELS'
    )


def test_the_page_says_that_nothing_was_measured(scripts: dict[str, ModuleType]) -> None:
    page = scripts["cuda_page"].page(scripts["cuda_record"].Record(), [])
    assert "**Nothing has been measured yet**" in page


def test_the_page_has_all_that_is_in_the_record(scripts: dict[str, ModuleType]) -> None:
    records, steps = scripts["cuda_record"], scripts["cuda_steps"].all_steps()
    lacking = Failure("crms", "ONNX Runtime | cannot allocate\n2 GB")
    harness = "H100\n0 of 7800 cases wrong\n| type | rows |\n| ---- | ---- |\n| float32 | 197 |\n"
    tried = measured("vit", 8, rows=(), failures=(lacking,))
    outcomes = {
        "harness": records.Outcome("done", text=harness),
        "sessions": records.Outcome("skipped", "this build of ONNX Runtime has no CUDA"),
        "vit-b-16.float16.custom": records.Outcome(
            "done", benchmarks=(measured("vit", 1), tried, measured("vit", 8), tried)
        ),
        "gpt2.float32.ort": records.Outcome("failed", "it is broken", benchmarks=(tried,)),
    }
    run = records.Run(HERE, outcomes)
    page = scripts["cuda_page"].page(records.Record((records.Run(ELSEWHERE), run)), steps)
    assert "Nothing has been measured" not in page
    assert "## H100 (driver 1)" in page and "L4" not in page
    assert "H100 (driver 1), EPYC (16 cores), Linux x86_64, ONNX Runtime 1.32.0" in page
    assert "| float32 | 197 |" in page
    skipped = "skipped: this build of ONNX Runtime has no CUDA"
    assert f"| sessions and captured graphs | {skipped} |" in page
    assert (
        "| GPT-2, 128 tokens, float32, --ops ort | failed: it is broken; batch 8: no crms: ONNX "
        "Runtime / cannot allocate 2 GB |"
    ) in page
    assert "| the paper's study, vit-ti, float16 | not taken yet |" in page
    vit = "| ViT-B/16, float16, --ops custom |"
    lines = [line for line in page.splitlines() if line.startswith(vit)]
    assert lines[0] == f"{vit} done |"
    assert [line.split(" | ")[1] for line in lines[1:]] == ["batch 1", "batch 8"]
    assert "**0.953 [0.948, 0.957]** | 0.998 [0.991, 1.004]" in lines[1]


def test_the_page_in_the_docs_is_what_the_record_says(scripts: dict[str, ModuleType]) -> None:
    docs = ROOT / "docs"
    record = scripts["cuda_record"].Record.load(docs / "results-cuda.json")
    page = scripts["cuda_page"].page(record, scripts["cuda_steps"].all_steps())
    assert (docs / "results-cuda.md").read_text(encoding="utf-8") == page


def commands(tmp_path: Path, *arguments: str, gpu: bool) -> str:
    """What make would run, where there is a GPU or none."""
    make = shutil.which("make")
    if make is None:
        pytest.skip("make is not installed")
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("sh", "uname"):
        (tools / name).symlink_to(shutil.which(name) or "")
    if gpu:
        tool = tools / "nvidia-smi"
        tool.write_text("#!/bin/sh\n")
        tool.chmod(0o755)
    done = subprocess.run(
        [make, "-n", *arguments],
        cwd=ROOT,
        env={**os.environ, "PATH": str(tools), "MAKEFLAGS": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_with_a_gpu_make_installs_what_is_brought_and_measures(tmp_path: Path) -> None:
    shown = commands(tmp_path, "bench-cuda", "WHEELS=/w", "MODELS=/m", "VENV_CUDA=v", gpu=True)
    assert "v/bin/python benchmarks/cuda.py  --models '/m'" in shown
    installed = [line for line in shown.splitlines() if " install " in line]
    assert any("'.[gpu,bench,test]'" in line for line in installed)
    assert all("--no-index --find-links '/w'" in line for line in installed)


@pytest.mark.parametrize(
    ("gpu", "arguments", "expected"),
    [
        (False, ["bench-cuda"], "benchmarks/cuda.py --dry-run"),
        (True, ["bench-cuda", "DRY_RUN=1"], "benchmarks/cuda.py --dry-run"),
        (True, ["test-cuda", "CUDA_PYTHON=p"], "p benchmarks/cuda.py   --checks"),
        (False, ["test-cuda"], "--dry-run  --checks"),
    ],
)
def test_without_a_gpu_make_runs_dry(
    gpu: bool, arguments: list[str], expected: str, tmp_path: Path
) -> None:
    shown = commands(tmp_path, *arguments, gpu=gpu)
    assert expected in shown
    assert "onnxruntime-gpu" not in shown


@pytest.mark.slow
def test_a_dry_run_takes_every_step(tmp_path: Path) -> None:
    """With exports, and nvcc where there is one."""
    path = tmp_path / "results-cuda.json"
    command = [sys.executable, "benchmarks/cuda.py", "--dry-run", "--record", str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "failed" not in done.stdout
    page = path.with_suffix(".md").read_text()
    assert "### Models" in page and "### Operators alone" in page and "study" in page
