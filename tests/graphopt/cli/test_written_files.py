"""No option makes a command write to a file of the input or the output, or to what is no file."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from graphopt.cli import cli, exit_codes
from tests.graphopt.model_files import snapshot


def run(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str]:
    code = exit_codes.run(cli, [str(argument) for argument in arguments])
    return code, capsys.readouterr().err


def itself(file: Path) -> Path:
    return file


def symbolic_link(file: Path) -> Path:
    link = file.with_name("symbolic")
    link.symlink_to(file.name)
    return link


def hard_link(file: Path) -> Path:
    link = file.with_name("hard")
    os.link(file, link)
    return link


@pytest.mark.parametrize("name", [itself, symbolic_link, hard_link])
@pytest.mark.parametrize("file", ["model.onnx", "model.onnx.data"])
@pytest.mark.parametrize("option", ["--report", "--json", "--csv", "--html"])
def test_a_file_of_the_input_is_never_replaced(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    model: Path,
    option: str,
    file: str,
    name: Callable[[Path], Path],
) -> None:
    path = name(tmp_path / file)
    before = snapshot(tmp_path)
    command = ["optimize", "--no-verify"] if option == "--report" else ["bench"]
    code, error = run(capsys, *command, model, option, path, "--force")
    assert (code, snapshot(tmp_path)) == (2, before)
    assert f"{option} {path}: is a model of this run: choose another file" in error


@pytest.mark.parametrize("file", ["out.onnx", "out.onnx.data", "folder/../out.onnx"])
def test_a_report_is_not_the_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], model: Path, file: str
) -> None:
    (tmp_path / "folder").mkdir()
    before = snapshot(tmp_path)
    output = ("-o", tmp_path / "out.onnx")
    code, error = run(capsys, "optimize", model, *output, "--report", tmp_path / file, "--force")
    assert (code, snapshot(tmp_path)) == (2, before)
    assert "is a model of this run" in error


def test_a_damaged_model_keeps_its_data_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], model: Path
) -> None:
    data = tmp_path / "model.onnx.data"
    data.write_bytes(data.read_bytes()[:-7])
    code, error = run(capsys, "optimize", model, "--report", data, "--force")
    assert code == 2
    assert "is a model of this run" in error


def pipe(path: Path) -> None:
    os.mkfifo(path)


def bound_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


def link_to_a_device(path: Path) -> None:
    path.symlink_to(os.devnull)


@pytest.mark.parametrize("make", [pipe, bound_socket, link_to_a_device, Path.mkdir])
@pytest.mark.parametrize(
    "command",
    [
        ("optimize", "--no-verify", "-o"),
        ("optimize", "--no-verify", "--report"),
        ("bench", "--csv"),
    ],
    ids=" ".join,
)
def test_what_is_no_file_is_refused(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    model: Path,
    make: Callable[[Path], None],
    command: tuple[str, ...],
) -> None:
    path = tmp_path / "taken"
    make(path)
    kind = path.lstat().st_mode
    code, error = run(capsys, command[0], model, *command[1:], path, "--force")
    assert code == 2
    assert (
        "is a directory" in error
        or "no regular file" in error
        or "is a folder or a device" in error
    )
    assert path.lstat().st_mode == kind


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="the system has no /proc")
@pytest.mark.parametrize(
    "command", [("optimize", "--no-verify", "-o"), ("optimize", "--no-verify", "--report")]
)
def test_a_stream_is_no_file_where_it_is_redirected_to_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], model: Path, command: tuple[str, ...]
) -> None:
    """/dev/stdout is a link into this folder."""
    with (tmp_path / "redirected").open("w") as file:
        stream = f"/proc/self/fd/{file.fileno()}"
        code, error = run(capsys, command[0], model, *command[1:], stream, "--force")
    assert code == 2
    assert "no regular file" in error or "is a folder or a device" in error


@pytest.mark.parametrize("make", [pipe, Path.mkdir])
def test_an_export_replaces_no_such_thing_either(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], make: Callable[[Path], None]
) -> None:
    make(tmp_path / "taken")
    code, error = run(capsys, "export", "gpt2-tiny", "-o", tmp_path / "taken", "--force")
    assert code == 2
    assert "name the file to write" in error
