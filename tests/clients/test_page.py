"""What docs/deploy-directories.md tells the users of each client to run, run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.clients.environments import client_python, made
from tests.pages import ROOT, blocks, execute
from tests.versions.node_environments import node_with

pytestmark = pytest.mark.slow

PAGE = ROOT / "docs" / "deploy-directories.md"
GIVEN = {
    "optimum": ("text-generation-with-past", "gpt2-onnx"),
    "sentence-transformers": ("sentence-transformers", "sentences"),
    "genai": ("genai", "phi"),
    "transformers-js": ("transformers.js", "minilm"),
}
"""What blocks of each environment find: a directory of a kind, under a name."""


def test_each_client_has_its_blocks() -> None:
    assert {block.environment for block in blocks(PAGE) if block.environment} == set(GIVEN)


@pytest.mark.parametrize("environment", GIVEN)
def test_what_the_page_says_runs(tmp_path: Path, environment: str) -> None:
    kind, name = GIVEN[environment]
    made(kind, tmp_path / name)
    for block in blocks(PAGE):
        if block.environment != environment:
            continue
        if block.language == "js":
            folder = node_with("transformers", "@huggingface/transformers@4.3.2")
            (tmp_path / "node_modules").symlink_to(folder / "node_modules")
            (tmp_path / "script.mjs").write_text(block.text, encoding="utf-8")
            command = ["node", "script.mjs"]
            done = subprocess.run(
                command, cwd=tmp_path, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stderr
        elif block.language == "sh":
            execute(block, tmp_path, Path(sys.executable))
        else:
            execute(block, tmp_path, client_python(kind))
