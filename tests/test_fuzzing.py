"""However a file is damaged, optimizing it ends well: with a result that is right, or a message.

Each case runs in a process of its own, within 30 s and 2 GB; ``python benchmarks/damaged_files.py
--case N`` shows one again.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.conftest import QUICK, ROOT, ZooModel
from tests.fuzzing import SOURCES

SHARE = 12


def run(
    zoo_model: ZooModel,
    tmp_path: Path,
    first: int,
    cases: int,
    seed: int,
    sources: Sequence[tuple[str, str, str]] = SOURCES,
) -> None:
    """The cases in an interpreter of their own, which has no threads when it splits."""
    folder = tmp_path / "models"
    folder.mkdir()
    for name, exporter, dtype in sources:
        export = zoo_model(name, exporter=exporter, dtype=dtype)
        (folder / f"{name}.{exporter}.{dtype}.onnx").symlink_to(export)
    command = [sys.executable, str(ROOT / "benchmarks" / "damaged_files.py"), "--jobs", "1"]
    command += ["--seed", str(seed), "--first", str(first), "--cases", str(cases)]
    done = subprocess.run(
        [*command, *map(str, sorted(folder.iterdir()))],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("first", range(0, 2 * SHARE, SHARE))
def test_damaged_files_end_well(zoo_model: ZooModel, tmp_path: Path, first: int) -> None:
    run(zoo_model, tmp_path, first, SHARE, 1, [source for source in SOURCES if source[0] in QUICK])


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 10_000, 500))
def test_ten_thousand_damaged_files_end_well(
    zoo_model: ZooModel, tmp_path: Path, first: int
) -> None:
    run(zoo_model, tmp_path, first, 500, seed=0)
