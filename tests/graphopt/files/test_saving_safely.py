"""Nothing is replaced unasked, and what fails leaves every file as it was."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from graphopt.errors import EnvironmentFailure, UsageError
from graphopt.files import loading, saving, serializing
from tests.graphopt.files.savers import SAVERS, Saver, lazy
from tests.graphopt.model_files import block, save_external, save_inline, snapshot


def test_an_existing_output_needs_force(tmp_path: Path) -> None:
    model = loading.load(save_external(block(), tmp_path / "model.onnx"))
    for name in ("copy.onnx", "copy.onnx.data"):
        (tmp_path / name).write_text("something of the user's")
        with pytest.raises(UsageError, match=rf"{name}: exists: .* \(--force\)"):
            saving.save(model, tmp_path / "copy.onnx")
        (tmp_path / name).unlink()
    (tmp_path / "copy.onnx").write_text("something of the user's")
    saving.save(model, tmp_path / "copy.onnx", force=True)
    onnx.checker.check_model(tmp_path / "copy.onnx")


@pytest.mark.parametrize("name", ["copy.onnx", "copy.onnx.data"])
def test_an_output_that_appears_meanwhile_needs_force_too(tmp_path: Path, name: str) -> None:
    model = loading.load(save_external(block(), tmp_path / "model.onnx"))
    with (
        pytest.raises(UsageError, match=rf"{name}: exists: .* \(--force\)"),
        saving.staged(model, tmp_path / "copy.onnx"),
    ):
        (tmp_path / name).write_text("something of the user's")
        before = snapshot(tmp_path)
    before = {path: content for path, content in before.items() if ".tmp" not in path}
    assert snapshot(tmp_path) == before


def the_model(directory: Path) -> Path:
    return directory / "model.onnx"


def a_symbolic_link(directory: Path) -> Path:
    (directory / "link.onnx").symlink_to("model.onnx")
    return directory / "link.onnx"


def a_hard_link(directory: Path) -> Path:
    os.link(directory / "model.onnx", directory / "link.onnx")
    return directory / "link.onnx"


def a_name_whose_data_is_the_input_s(directory: Path) -> Path:
    os.link(directory / "model.onnx.data", directory / "other.onnx.data")
    return directory / "other.onnx"


@pytest.mark.parametrize(
    "output", [the_model, a_symbolic_link, a_hard_link, a_name_whose_data_is_the_input_s]
)
def test_the_input_is_never_written_to(tmp_path: Path, output: Callable[[Path], Path]) -> None:
    model = loading.load(save_external(block(), tmp_path / "model.onnx"))
    target = output(tmp_path)
    before = snapshot(tmp_path)
    with pytest.raises(UsageError, match="is the input, which is never written to"):
        saving.save(model, target, force=True)
    assert snapshot(tmp_path) == before


def full_disk(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


FAILURES = {
    "the disk fills up": (full_disk, EnvironmentFailure, "No space left on device: free some"),
    "Ctrl-C": (interrupt, KeyboardInterrupt, "^$"),
}


@SAVERS
@pytest.mark.parametrize(("failure", "error", "message"), FAILURES.values(), ids=FAILURES)
def test_a_failed_write_leaves_everything_as_it_was(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    save: Saver,
    failure: Callable[..., None],
    error: type[BaseException],
    message: str,
) -> None:
    model = loading.load(save(block(), tmp_path / "model.onnx"))
    saving.save(model, tmp_path / "copy.onnx")
    before = snapshot(tmp_path)
    copied = 0

    def fail_on_the_third(*arguments: object) -> None:
        nonlocal copied
        copied += 1
        (failure if copied == 3 else copy)(*arguments)

    copy = serializing._copy
    monkeypatch.setattr(serializing, "_copy", fail_on_the_third)
    with pytest.raises(error, match=message):
        saving.save(model, tmp_path / "copy.onnx", force=True)
    assert copied == 3
    assert snapshot(tmp_path) == before
    assert not list(tmp_path.glob(".*.tmp"))


def test_the_data_is_in_place_before_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = loading.load(save_external(block(), tmp_path / "model.onnx"))
    moved = []
    replace = Path.replace

    def record(self: Path, target: Path) -> Path:
        moved.append(target.name)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", record)
    saving.save(model, tmp_path / "copy.onnx")
    assert moved == ["copy.onnx.data", "copy.onnx"]


@pytest.mark.parametrize("failing_move", [1, 2, 3, 4])
def test_a_failed_move_leaves_everything_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing_move: int
) -> None:
    model = loading.load(save_external(block(), tmp_path / "model.onnx"))
    saving.save(model, tmp_path / "copy.onnx")
    before = snapshot(tmp_path)
    lazy(model.graph.initializers["weight_1"], lambda: np.ones((40, 40), np.float32))
    moves = 0
    replace = Path.replace

    def fail_once(self: Path, target: Path) -> Path:
        nonlocal moves
        moves += 1
        if moves == failing_move:
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", fail_once)
    with pytest.raises(EnvironmentFailure, match="cannot be written: Operation not permitted"):
        saving.save(model, tmp_path / "copy.onnx", force=True)
    assert snapshot(tmp_path) == before


def test_a_staged_model_that_is_not_wanted_leaves_nothing(tmp_path: Path) -> None:
    model = loading.load(save_external(block(), tmp_path / "model.onnx"))
    before = snapshot(tmp_path)
    with (
        pytest.raises(ZeroDivisionError),
        saving.staged(model, tmp_path / "copy.onnx") as candidate,
    ):
        onnx.checker.check_model(candidate)
        raise ZeroDivisionError
    assert snapshot(tmp_path) == before
    assert not candidate.parent.exists()


def test_the_output_needs_a_directory(tmp_path: Path) -> None:
    model = loading.load(save_inline(block(), tmp_path / "model.onnx"))
    with pytest.raises(UsageError, match="is not a directory: create it first"):
        saving.save(model, tmp_path / "model.onnx" / "copy.onnx")
    with pytest.raises(UsageError, match="is a directory: name the file"):
        saving.save(model, tmp_path)
