"""A directory goes in and one comes out: whole, with all its names, or not at all."""

from __future__ import annotations

import json
import os
from pathlib import Path

import onnx
import pytest

from graphopt.cli import cli, exit_codes
from graphopt.directories import checking, weights
from graphopt.directories.publishing import staged_directory
from graphopt.errors import EnvironmentFailure, UsageError
from graphopt.runtime.library import find_library
from tests.graphopt.directories.model_directories import (
    NO_NORM,
    configure,
    encoder_decoder,
    quantized,
)
from tests.graphopt.model_files import WIDTH, block, save_external, save_inline, snapshot


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Models at both places, one that cannot be optimized, one without norms, and other files."""
    source = tmp_path / "in"
    (source / "onnx").mkdir(parents=True)
    (source / "1_Pooling").mkdir()
    save_external(block(), source / "onnx" / "model.onnx")
    quantized(source / "onnx" / "model_quantized.onnx")
    save_external(block(NO_NORM), source / "head.onnx")
    configure(source, hidden_size=WIDTH)
    configure(source, "1_Pooling/config.json", dimension=WIDTH)
    (tmp_path / "blob").write_text("words")
    (source / "vocab.txt").symlink_to("../blob")
    return source


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = exit_codes.run(cli, ["optimize", *map(str, arguments)])
    return code, *capsys.readouterr()


def test_a_directory_comes_out_under_the_same_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], directory: Path
) -> None:
    before, out = snapshot(directory), tmp_path / "out"
    code, printed, error = run(capsys, directory, "-o", out, "--report", tmp_path / "report.json")
    assert (code, error) == (0, "")
    after = snapshot(out)
    changed = {name for name in before if after.get(name) != before[name]}
    assert after.keys() == before.keys()
    assert changed == {"onnx/model.onnx", "onnx/model.onnx.data"}
    assert snapshot(directory) == before
    assert not (out / "vocab.txt").is_symlink()
    onnx.checker.check_model(out / "onnx" / "model.onnx")
    rows = {line.split()[0]: " ".join(line.split()[1:]) for line in printed.splitlines()}
    assert rows["onnx/model.onnx"].startswith("2 of 2")
    assert rows["onnx/model.onnx"].endswith("passed")
    assert rows["head.onnx"] == "0 of 0 copied: nothing in it converts"
    assert "copied: the model is quantized" in rows["onnx/model_quantized.onnx"]
    assert f"\nwrote {out}\n" in printed
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["schema"] == "graphopt.directory-report/1"
    assert [(file["name"], file["action"]) for file in report["files"]] == [
        ("head.onnx", "copied"),
        ("onnx/model.onnx", "optimized"),
        ("onnx/model_quantized.onnx", "copied"),
    ]
    made = report["files"][1]["report"]
    assert made["verification"]["status"] == "passed"
    assert made["output"]["path"] == str(out / "onnx" / "model.onnx")
    assert report["bytes_after"] == sum(p.stat().st_size for p in out.rglob("*") if p.is_file())


def test_the_output_is_named_after_the_variant(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    encoder_decoder(tmp_path / "m2m")
    code, out, _ = run(capsys, f"{tmp_path}/m2m/", "--quiet", "--no-verify")
    assert (code, out) == (0, f"{tmp_path / 'm2m.rms'}\n")
    assert len(list((tmp_path / "m2m.rms").glob("*.onnx"))) == 3


def test_the_directory_one_is_in_gets_its_result_beside_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder_decoder(tmp_path / "m2m")
    monkeypatch.chdir(tmp_path / "m2m")
    code, out, _ = run(capsys, ".", "--quiet", "--no-verify")
    assert (code, out) == (0, f"{tmp_path / 'm2m.rms'}\n")


def test_sizes_reach_the_models_that_have_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, report = encoder_decoder(tmp_path / "in"), tmp_path / "report.json"
    code, _, _ = run(capsys, source, "--dim", "target=5", "--report", report)
    assert code == 0
    code, _, error = run(capsys, source, "--dim", "rows=5", "-o", tmp_path / "other")
    assert code == 2
    assert "no model has a symbolic dimension 'rows': choose one of batch, past, source" in error


@pytest.mark.parametrize(
    "option", [["--input", "x:FILE"], ["--input-shape", "x:1,2,40"], ["--measure"], ["--tune"]]
)
def test_what_is_for_one_model_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], directory: Path, option: list[str]
) -> None:
    import numpy as np

    np.save(tmp_path / "x.npy", np.zeros(1))
    option = [part.replace("FILE", str(tmp_path / "x.npy")) for part in option]
    code, _, error = run(capsys, directory, *option)
    assert code == 2
    assert f"{option[0]} is for one model, and {directory} is a directory" in error
    assert not (tmp_path / "in.rms").exists()


def test_outputs_that_would_cost_something_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], directory: Path
) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "diary.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to("in")
    before = snapshot(tmp_path)
    for output, force, message in (
        (directory, True, "is the input"),
        (tmp_path / "link", True, "is the input"),
        (directory / "onnx" / "out", False, "lies in the input"),
        (tmp_path, True, "holds the input"),
        (tmp_path / "taken", False, "exists: choose another output, or replace it"),
        (tmp_path / "taken", True, "holds no model, so it is not replaced"),
        (tmp_path / "file", True, "is no directory"),
        (tmp_path / "none" / "out", False, "create it first"),
    ):
        arguments = [directory, "-o", output, "--no-verify", *(["--force"] if force else [])]
        code, _, error = run(capsys, *arguments)
        assert (code, error.count("\n")) == (2, 1)
        assert message in error
    assert snapshot(tmp_path) == before


def test_a_report_lies_in_neither_directory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], directory: Path
) -> None:
    for folder in (directory, tmp_path / "in.rms"):
        code, _, error = run(capsys, directory, "--report", folder / "report.json", "--force")
        assert (code, f"lies in {folder}" in error) == (2, True)


def test_a_directory_that_appears_meanwhile_stays(tmp_path: Path) -> None:
    def made_by_another() -> None:
        with staged_directory(tmp_path / "out") as (draft, _):
            (draft / "a").write_text("a")
            (tmp_path / "out").mkdir()
            (tmp_path / "out" / "diary.txt").write_text("mine")

    with pytest.raises(UsageError, match="out: exists: choose another output"):
        made_by_another()
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == [
        "out",
        "out/diary.txt",
    ]


def linked(folder: Path, blobs: Path, data: str) -> Path:
    """A folder with a link to a model elsewhere, which has its weights beside it, as in a cache."""
    blobs.mkdir()
    save_external(block(), blobs / "one.onnx")
    folder.mkdir()
    (folder / "model.onnx").symlink_to(blobs / "one.onnx")
    if data:
        (folder / data).symlink_to(blobs / data)
    return folder


@pytest.mark.parametrize("data", ["", "one.onnx.data"])
def test_a_file_that_the_input_links_to_is_never_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], data: str
) -> None:
    blobs = tmp_path / "blobs"
    source = linked(tmp_path / "linked", blobs, data)
    before = snapshot(tmp_path)
    for name in ("one.onnx", "one.onnx.data"):
        code, _, error = run(capsys, source, "--report", blobs / name, "--force")
        assert (code, "is a model of this run" in error) == (2, True)
    code, _, error = run(capsys, source, "-o", blobs, "--force", "--no-verify")
    assert (code, f"{blobs}: holds the file that {source}" in error) == (2, True)
    assert snapshot(tmp_path) == before


def test_force_replaces_a_directory_of_models_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], directory: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    save_inline(block(), out / "old.onnx")
    assert run(capsys, directory, "-o", out, "--no-verify", "--force")[0] == 0
    assert snapshot(out).keys() == snapshot(directory).keys()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["blob", "in", "out"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError("No space left"), MemoryError])
@pytest.mark.parametrize("existing", [False, True])
def test_nothing_is_left_of_a_run_that_is_broken_off(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    directory: Path,
    error: BaseException,
    existing: bool,
) -> None:
    out = tmp_path / "out"
    if existing:
        out.mkdir()
        save_inline(block(), out / "old.onnx")
    before = snapshot(tmp_path)

    def broken(*_: object) -> None:
        raise error

    monkeypatch.setattr(weights, "_refer", broken)
    code, _, _ = run(capsys, directory, "-o", out, "--no-verify", "--force")
    assert code in (3, 130)
    assert snapshot(tmp_path) == before
    assert {path.name for path in tmp_path.iterdir()} - {"out"} == {"blob", "in"}


def test_a_rejected_directory_is_not_written_but_reported(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = encoder_decoder(tmp_path / "in")

    def other(*arguments: object) -> object:
        from graphopt.verification import Verification

        return Verification("failed", reason="the second call differs", outputs=())

    monkeypatch.setattr(checking, "verify_together", other)
    report = tmp_path / "report.json"
    code, _, error = run(capsys, source, "--report", report, "-o", tmp_path / "out")
    assert code == 1
    assert "run one after the other differ from the originals" in error
    assert not (tmp_path / "out").exists()
    found = json.loads(report.read_text())
    assert found["together"]["verification"]["status"] == "failed"


def test_a_damaged_model_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], directory: Path
) -> None:
    (directory / "head.onnx").write_bytes(b"\x08\x08nothing")
    code, _, error = run(capsys, directory)
    assert code == 2
    assert "in/head.onnx: " in error
    assert not (tmp_path / "in.rms").exists()


def test_models_that_cannot_be_read_together_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], directory: Path
) -> None:
    configure(directory, hidden_size=768)
    code, _, error = run(capsys, directory)
    assert code == 2
    assert "put the configuration of this model there" in error


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_to_is_no_defect(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], directory: Path
) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    code, _, _ = run(capsys, directory, "-o", tmp_path / "closed" / "out")
    assert code == 3


def genai(directory: Path) -> Path:
    directory.mkdir()
    save_inline(block(), directory / "model.onnx")
    configure(
        directory,
        "genai_config.json",
        model={"decoder": {"filename": "model.onnx", "session_options": {}}},
    )
    return directory


@pytest.mark.parametrize("ops", ["custom", "standard", "ort"])
def test_genai_gets_the_kernels_where_the_model_has_their_operators(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], ops: str
) -> None:
    source, out = genai(tmp_path / "in"), tmp_path / "out"
    assert run(capsys, source, "-o", out, "--no-verify", "--ops", ops)[0] == 0
    library = find_library("cpu")
    if ops != "custom" or library is None:
        assert snapshot(out).keys() == {"genai_config.json", "model.onnx"}
        assert snapshot(out)["genai_config.json"] == snapshot(source)["genai_config.json"]
        return
    options = json.loads((out / "genai_config.json").read_text())["model"]["decoder"]
    assert options["session_options"] == {"custom_ops_library": library.name}
    assert (out / library.name).read_bytes() == library.read_bytes()


def test_without_kernels_genai_runs_the_models_as_they_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from graphopt.directories import job

    monkeypatch.setattr(job, "find_library", lambda provider: None)
    code, out, _ = run(capsys, genai(tmp_path / "in"), "--no-verify")
    assert code == 0
    assert "the kernels for cpu were not built, so the models run without them" in out
    assert {path.name for path in (tmp_path / "in.rms").iterdir()} == {
        "genai_config.json",
        "model.onnx",
    }


def test_no_runtime_is_an_environment_failure(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    directory: Path,
) -> None:
    def missing(*arguments: object, **options: object) -> object:
        raise EnvironmentFailure("ONNX Runtime is not installed")

    monkeypatch.setattr(checking, "verified", missing)
    assert run(capsys, directory)[0] == 3
    assert not (tmp_path / "in.rms").exists()
