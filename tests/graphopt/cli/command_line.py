"""The command line, run in the process of the test."""

from __future__ import annotations

import pytest

from graphopt.cli import cli, exit_codes


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Run the command line; return the exit code, stdout and stderr."""
    code = exit_codes.run(cli, [str(argument) for argument in arguments])
    return code, *capsys.readouterr()


def assert_one_line(error: str, message: str) -> None:
    assert error.startswith("graphopt: error: "), error
    assert error.count("\n") == 1, error
    assert message in error
    assert "Traceback" not in error
