"""`graphopt package --format triton` from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from graphopt.cli import cli
from graphopt.errors import GraphoptError
from graphopt.options import Sample
from graphopt.packaging import job
from graphopt.packaging.job import PackageOptions
from graphopt.packaging.triton_options import TritonOptions
from tests.graphopt.packaging.triton_models import EVERYTHING, NEEDS, ROWS, saved


def test_the_command_takes_the_options_for_triton_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, TritonOptions]] = []

    def remember(model: Path, kind: str, output: Path, options: PackageOptions, _: Sample) -> None:
        asked.append((kind, options.triton))
        raise GraphoptError("asked")

    monkeypatch.setattr(job, "write_package", remember)
    command = ["package", "a.onnx", "-o", str(tmp_path / "out"), "--format"]
    given = {
        "--max-batch-size": ["4"],
        "--dynamic-batching": [],
        "--instances": ["2"],
        "--warmup": [],
        "--version": ["7"],
        "--graph-level": ["extended"],
        "--repository": ["/srv/models/"],
    }
    every = [word for option, value in given.items() for word in (option, *value)]
    CliRunner().invoke(cli, [*command, "triton", *every])
    assert asked == [("triton", EVERYTHING)]
    for option, value in given.items():
        done = CliRunner().invoke(cli, [*command, "kserve", option, *value])
        assert done.exit_code == 2
        assert f"{option} goes with --format triton" in done.output
    assert len(asked) == 1


def test_the_command_says_which_release_reads_it(tmp_path: Path) -> None:
    model = saved(ROWS, tmp_path / "rows.onnx")
    out = tmp_path / "repo"
    done = CliRunner().invoke(cli, f"package {model} --format triton -o {out} --name r".split())
    assert done.exit_code == 0, done.output
    assert done.output.splitlines() == [
        f"{out}: model 'r' for triton",
        NEEDS,
    ]
