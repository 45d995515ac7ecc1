"""What a killed run left beside an output goes with the next run; a living one's stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from graphopt.files import loading, saving
from graphopt.files.scratch import remove_leftovers, scratch_directory
from tests.graphopt.model_files import block, save_external, save_inline, snapshot

WORKER = """
import sys
from pathlib import Path
from graphopt.files.scratch import scratch_directory
with scratch_directory(Path(sys.argv[1])) as directory:
    (directory / "half.onnx").write_bytes(b"half")
    print(directory, flush=True)
    sys.stdin.read()
"""

PUBLISHER = """
import os, signal, sys
from pathlib import Path
from graphopt.files import loading, saving
replace, moves = Path.replace, []
def killed(self, target):
    moves.append(target)
    if len(moves) == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)
    return replace(self, target)
Path.replace = killed
saving.save(loading.load(sys.argv[1]), sys.argv[2], force=True)
"""


def start(target: Path) -> tuple[subprocess.Popen[str], Path]:
    """A process that works on ``target``, and its directory."""
    process = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(target)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def test_what_a_killed_run_left_is_removed(tmp_path: Path) -> None:
    target = tmp_path / "a[b]*.onnx"
    process, left = start(target)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert left.is_dir()
    with scratch_directory(target) as directory:
        assert [path for path in tmp_path.iterdir()] == [directory]
    assert not list(tmp_path.iterdir())


def test_what_a_living_run_has_stays(tmp_path: Path) -> None:
    target = tmp_path / "model.onnx"
    process, held = start(target)
    with scratch_directory(target):
        pass
    assert (held / "half.onnx").read_bytes() == b"half"
    process.communicate("")
    assert not held.exists()


def test_what_is_not_ours_stays(tmp_path: Path) -> None:
    target = tmp_path / "model.onnx"
    for name in (".model.onnx.backup.tmp", ".other.onnx.12345678.tmp", "model.onnx.tmp"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "precious").write_text("something of the user's")
    process, other = start(tmp_path / "model.onnx.json")
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    before = snapshot(tmp_path)
    remove_leftovers(target)
    assert snapshot(tmp_path) == before
    assert other.is_dir()


@pytest.mark.parametrize("moves", [2, 3, 4])
def test_a_run_that_is_killed_while_it_publishes_is_undone(tmp_path: Path, moves: int) -> None:
    """The output has two files: the one that was there before comes back with both of them."""
    path = save_external(block(), tmp_path / "model.onnx")
    target = tmp_path / "copy.onnx"
    saving.save(loading.load(path), target)
    (tmp_path / "copy.onnx.data").write_bytes(b"the old data")
    target.write_bytes(b"the old model")
    before = snapshot(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", PUBLISHER, str(path), str(target), str(moves)], check=False
    )
    assert done.returncode == -signal.SIGKILL
    assert snapshot(tmp_path) != before
    remove_leftovers(target)
    assert snapshot(tmp_path) == before


def test_a_save_begins_by_clearing_up(tmp_path: Path) -> None:
    path = save_inline(block(), tmp_path / "model.onnx")
    process, left = start(tmp_path / "copy.onnx")
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    saving.save(loading.load(path), tmp_path / "copy.onnx")
    assert not left.exists()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["copy.onnx", "model.onnx"]
