"""docs/deploy-serving.md as it stands: its servers are started, on free ports, and asked."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.graphopt.serving import environments
from tests.graphopt.serving.running import free_ports, loopback_path, running
from tests.pages import ROOT, blocks, execute


def programs(folder: Path, python: Path) -> Path:
    """A folder with python, graphopt and mlserver of an environment; its python."""
    folder.mkdir()
    for name, command in (
        ("python", python),
        ("graphopt", f"{python} -m graphopt"),
        ("mlserver", python.with_name("mlserver")),
    ):
        (folder / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        (folder / name).chmod(0o755)
    return folder / "python"


@pytest.mark.slow
def test_every_block_of_the_page_runs(tmp_path: Path) -> None:
    http, grpc, *others = free_ports(5)
    client = programs(tmp_path / "client", environments.client())
    printed = []
    with ExitStack() as servers:
        for block in blocks(ROOT / "docs" / "deploy-serving.md"):
            text = block.text.replace("8080", str(http)).replace("8081", str(grpc))
            if block.mark == "run" and not block.environment:
                execute(block, tmp_path)
            elif block.environment == "endpoint":
                printed.append(execute(block._replace(text=text), tmp_path, client))
            elif block.environment in ("kserve", "mlserver"):
                python = getattr(environments, block.environment)()
                made = programs(tmp_path / f"{block.environment}-programs", python)
                names = ("MLSERVER_HTTP_PORT", "MLSERVER_GRPC_PORT", "MLSERVER_METRICS_PORT")
                environment = dict(zip(names, map(str, others), strict=True))
                is_kserve = block.environment == "kserve"
                environment["PYTHONPATH"] = loopback_path() if is_kserve else str(ROOT)
                port = http if is_kserve else others[0]
                package = tmp_path / f"vit-{block.environment}"
                command = ["env", f"PATH={made.parent}:/usr/bin:/bin", "bash", "-c", text]
                servers.enter_context(running(command, environment, package, port, "vit"))
    assert sum(text.count("verification: PASSED by vit") for text in printed) == 2
    assert "ratio to the first" in printed[-1]
