"""What the command line says of options that do not go together."""

from __future__ import annotations

from pathlib import Path

import pytest

from graphopt.cli import cli
from graphopt.cli.exit_codes import run

ASKED = "--endpoint http://127.0.0.1:1 --model m --golden golden.npz"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("verify", "Missing argument 'BASE'"),
        ("verify a.onnx", "Missing argument 'CANDIDATE'"),
        ("verify --endpoint http://h:1", "--endpoint needs --golden FILE.npz"),
        ("verify --endpoint http://h:1 --golden g.npz", "--endpoint needs --model NAME"),
        ("verify a.onnx b.onnx --model m", "--model goes with --endpoint URL"),
        ("verify a.onnx b.onnx --golden g.npz", "--golden goes with --endpoint URL"),
        (f"verify a.onnx {ASKED}", "BASE is of no use with --endpoint: leave it out"),
        (f"verify {ASKED} --kernels", "--kernels is of no use with --endpoint: leave it out"),
        (f"verify {ASKED} --rtol 1", "--rtol is of no use with --endpoint: leave it out"),
        (f"verify {ASKED}", "golden.npz: there is no such file"),
        (f"bench {ASKED} --threads 2", "--threads is of no use with --endpoint: leave it out"),
        (f"bench {ASKED}", "golden.npz: there is no such file"),
        (f"bench {ASKED} --model n --model o", "--endpoint needs --model NAME: one for all"),
        ("package a.onnx --format kserve", "Missing option '-o'"),
        (
            "package a.onnx --format kserve -o o --session-option a",
            "--session-option 'a': write it as KEY=VALUE",
        ),
    ],
)
def test_usage(
    command: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(cli, command.split()) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert said in error
    assert list(tmp_path.iterdir()) == []
