"""docs/deploy-ray.md as it stands: the server is started, on a free port, and asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.examples.ray_environment import ray_python, serving
from tests.graphopt.serving.running import free_ports
from tests.pages import ROOT, blocks, execute


@pytest.mark.slow
def test_every_block_of_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (port,) = free_ports(1)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    marked = blocks(ROOT / "docs" / "deploy-ray.md")
    (command,) = (block.text for block in marked if block.environment == "serve")
    for block in marked:
        if not block.environment:
            execute(block, tmp_path)
    words = command.replace("8000", str(port)).split()
    with serving([ray_python(), *words[1:]], tmp_path):
        asked = [block for block in marked if block.environment == "client"]
        printed = [
            execute(
                block._replace(text=block.text.replace("8000", str(port))), tmp_path, ray_python()
            )
            for block in asked
        ]
    assert "{'logits': (" in printed[0]
    assert '"right": 200, "wrong": 0, "lost": 0' in printed[1]
