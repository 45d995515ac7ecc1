"""Input that cannot be optimized: one clear line, and nothing touched or left behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.graphopt.cli.bad_files import TABLE, Row
from tests.graphopt.cli.command_line import assert_one_line, run
from tests.graphopt.model_files import snapshot
from tests.message_table import is_of_a_row


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.what)
def test_bad_input(row: Row, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = row.make(tmp_path)
    before = snapshot(tmp_path)
    for command in (["optimize", "--no-verify"], ["inspect"]):
        code, out, error = run(capsys, *command, path)
        assert_one_line(error, row.message)
        said = error.removeprefix("graphopt: error: ").strip()
        assert is_of_a_row(said) or is_of_a_row(said.removeprefix(f"{path}: "))
        assert (code, out) == (row.code, "")
        assert str(path) in error
        assert snapshot(tmp_path) == before


@pytest.mark.parametrize(
    ("command", "message"),
    [("optimize", "has no .onnx file"), ("inspect", "is a directory: give a .onnx file")],
)
def test_a_directory_without_a_model(
    command: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, error = run(capsys, command, tmp_path)
    assert_one_line(error, message)
    assert (code, out) == (2, "")
