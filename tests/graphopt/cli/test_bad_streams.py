"""Names and messages that a terminal cannot show, closed streams, and Ctrl-C at any time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import onnx
import pytest

from graphopt.errors import shortened
from tests.graphopt.model_files import block, save_external, save_inline

INTERRUPTED_IMPORT = """
import importlib.abc, os, signal, sys
class Interrupt(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == sys.argv[1]:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGINT)
signal.signal(signal.SIGINT, signal.default_int_handler)  # as in a terminal
sys.meta_path.insert(0, Interrupt())
from graphopt.cli import main
main(["optimize", sys.argv[2]])
"""

RAISE_ANOTHER = """
            try:
                os.kill(os.getpid(), signal.SIGINT)
            except KeyboardInterrupt as error:
                raise RuntimeError("Error calling __set_name__") from error
""".strip()

SESSIONS = "graphopt.runtime.session_process"
"""Starts the process that imports ONNX Runtime, which does not see Ctrl-C."""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return save_inline(block(), tmp_path / "model.onnx")


def graphopt(*arguments: str | Path | bytes, redirect: str = "") -> tuple[int, bytes, bytes]:
    """Run the command in a process of its own, its streams redirected by the shell."""
    command = [sys.executable, "-m", "graphopt", *arguments]
    if redirect:
        command = ["sh", "-c", f'exec "$@" {redirect}', "sh", *command]
    done = subprocess.run(command, capture_output=True, check=False)
    return done.returncode, done.stdout, done.stderr


def test_ctrl_c_that_becomes_another_error(model: Path) -> None:
    """Python 3.11 raises RuntimeError where a class that is made names its attributes."""
    script = INTERRUPTED_IMPORT.replace("os.kill(os.getpid(), signal.SIGINT)", RAISE_ANOTHER)
    done = subprocess.run(
        [sys.executable, "-c", script, "click", str(model)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr.strip() == "graphopt: error: interrupted; no output was written"
    assert done.returncode == 130


@pytest.mark.parametrize(
    "module",
    ["click", "numpy", "numpy.random", "onnx", "onnx_ir", "graphopt.cli.commands", SESSIONS],
)
def test_ctrl_c_while_a_module_is_imported(tmp_path: Path, model: Path, module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_IMPORT, module, str(model)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr.strip() == "graphopt: error: interrupted; no output was written"
    assert done.returncode == 130
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


def test_a_path_that_is_no_text(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path)
    model = Path(os.fsdecode(folder + b"/m\xff\xe9.onnx"))
    save_external(block(), tmp_path / "model.onnx")
    (tmp_path / "model.onnx").rename(model)
    code, out, error = graphopt("optimize", "-q", os.fsencode(model))
    assert (code, out) == (2, b"")
    assert b"a model names its data in UTF-8, and this is none" in error
    renamed = ("-o", tmp_path / "out.onnx")
    assert graphopt("optimize", "--no-verify", os.fsencode(model), *renamed)[0] == 0
    code, out, error = graphopt("inspect", os.fsencode(model) + b"x")
    assert (code, out) == (2, b"")
    assert b"m\xff\xe9.onnxx: no such file" in error


def test_a_path_that_is_no_text_for_weights_inside(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path)
    model = Path(os.fsdecode(folder + b"/m\xff\xe9.onnx"))
    save_inline(block(), model)
    report = folder + b"/r\xff.json"
    code, out, error = graphopt("optimize", "-q", "--report", report, os.fsencode(model))
    assert (code, out, error) == (0, folder + b"/m\xff\xe9.rms.onnx\n", b"")
    assert rb"m\udcff\udce9.rms.onnx" in Path(os.fsdecode(report)).read_bytes()


@pytest.mark.parametrize(
    ("redirect", "code"),
    [(">&-", 0), ("2>&-", 0), (">&- 2>&-", 0), (">/dev/full", 3), (">/dev/full 2>/dev/full", 3)],
)
def test_a_stream_that_takes_nothing(model: Path, redirect: str, code: int) -> None:
    found, _, error = graphopt("inspect", model, redirect=redirect)
    assert found == code
    assert b"Traceback" not in error
    assert b"Exception ignored" not in error


def test_an_error_that_nobody_reads(model: Path) -> None:
    assert graphopt("inspect", f"{model}x", redirect="2>/dev/full")[0] == 2


def test_a_long_message_fits_the_screen(tmp_path: Path) -> None:
    name = "n" * 5000
    header = '<ir_version: 8, opset_import: ["": 17]>'
    text = f"{header} g (float[2] x) => (float[2] y) {{ y = Add(x, {name}) }}"
    path = save_inline(onnx.parser.parse_model(text), tmp_path / "model.onnx")
    code, _, error = graphopt("inspect", path)
    assert code == 2
    assert len(error.decode().rstrip("\n")) < 500
    assert b"model.onnx: Add 'y' of graph 'g' reads 'nnn" in error
    assert error.rstrip().endswith(b"export the model again")


def test_a_short_message_is_whole() -> None:
    assert shortened("a" * 300) == "a" * 300
    assert len(shortened("a" * 301)) == 60
    assert len(shortened("a b " * 500)) == 300
    assert "(2000 characters)" in shortened("a b " * 500)
