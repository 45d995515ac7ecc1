"""The commands of the README run, and print what it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from graphopt.cli import cli

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text(encoding="utf-8")


class Block(NamedTuple):
    """A fenced block under the comment ``<!-- run -->`` or ``<!-- output -->``."""

    mark: str
    language: str
    text: str


BLOCKS = [
    Block(*match)
    for match in re.findall(r"<!-- (run|output) -->\n```(\w+)\n(.*?)```", README, re.DOTALL)
]


def execute(block: Block, directory: Path) -> str:
    """Run a block and return what it printed."""
    programs = {"sh": ["bash", "-euo", "pipefail", "-c"], "python": [sys.executable, "-c"]}
    scripts = Path(sys.executable).parent
    done = subprocess.run(
        [*programs[block.language], block.text],
        cwd=directory,
        env={**os.environ, "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "80"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{block.text}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_every_block_runs_and_prints_what_is_shown(tmp_path: Path) -> None:
    assert [block.language for block in BLOCKS if block.mark == "run"].count("python") == 3
    printed = ""
    for block in BLOCKS:
        if block.mark == "run":
            printed = execute(block, tmp_path)
        else:
            shown = [line.rstrip() for line in block.text.splitlines()]
            assert [line.rstrip() for line in printed.splitlines()] == shown


def test_commands_that_are_shown_are_run() -> None:
    fences = re.findall(r"(<!-- \w+ -->\n)?```(sh|python)\n(.*?)```", README, re.DOTALL)
    unmarked = [text for mark, _, text in fences if not mark]
    assert all("graphopt" not in text for text in unmarked)


def test_links_to_files_lead_somewhere() -> None:
    targets = re.findall(r"\]\((?!https://)([^)#]+)\)", README)
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_every_option_in_the_table_exists() -> None:
    options = {
        name for p in cli.commands["optimize"].params for name in (*p.opts, *p.secondary_opts)
    }
    table = README[README.index("| option |") : README.index("Exit codes:")]
    assert (
        set(re.findall(r"--?[a-z][a-z-]*", re.sub(r"\|[^|]*\|$", "", table, flags=re.M))) <= options
    )


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"\bmake ([a-z-]+)", README):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
