"""What docs/deploy-native.md says of the programs in examples/, run as it stands there."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from graphopt.native.build import find_compiler
from graphopt.runtime.library import find_library
from tests.examples.test_run_model import NODE, SCRIPT
from tests.pages import ROOT, blocks, execute
from tests.versions.node_environments import node_with

PAGE = ROOT / "docs" / "deploy-native.md"


@pytest.mark.slow
def test_the_programs_of_the_page_run(tmp_path: Path) -> None:
    if find_compiler() is None or find_library("cpu") is None:
        pytest.skip("there is no C++ compiler, or the kernels were not built")
    (tmp_path / "node_modules").symlink_to(node_with("onnxruntime", NODE) / "node_modules")
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    (tmp_path / SCRIPT.name).write_bytes(SCRIPT.read_bytes())
    printed = {
        block.environment: execute(block, tmp_path, Path(sys.executable))
        for block in blocks(PAGE)
        if block.environment in ("", "native", "node")
    }
    program = printed["native"].splitlines()[-1].split()
    script = printed["node"].splitlines()[-1].split()
    assert program[:3] == script[:3] == ["logits", "1", "10:"]
    assert [float(each) for each in program[3:]] == pytest.approx(
        [float(each) for each in script[3:]], rel=1e-3, abs=1e-4
    )
