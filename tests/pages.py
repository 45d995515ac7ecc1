"""The blocks of README and of the pages under docs/ that run, and that show what is printed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

__all__ = ["PAGES", "ROOT", "Block", "blocks", "execute", "held", "unmarked"]

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md")))


class Block(NamedTuple):
    """A fenced block under ``<!-- run -->``, ``<!-- run ENVIRONMENT -->`` or ``<!-- output -->``.

    ``<!-- output like -->`` has the words that are printed; numbers, which another machine rounds
    or measures differently, may be others.

    Attributes:
        mark: run or output.
        environment: What it runs in; "" is this one. Of an output, "like" or "".
        language: sh, python or text.
        text: What stands in it.
    """

    mark: str
    environment: str
    language: str
    text: str


def blocks(page: Path) -> list[Block]:
    """The marked blocks of a page, in their order."""
    text = page.read_text(encoding="utf-8")
    found = re.findall(
        r"<!-- (run|output) ?([\w-]*) -->\n```(\w+)\n(.*?)```", text, flags=re.DOTALL
    )
    return [Block(*match) for match in found]


def unmarked(page: Path) -> list[str]:
    """The blocks of a page that are commands or Python and have no mark."""
    text = page.read_text(encoding="utf-8")
    fences = re.findall(r"(<!-- [\w -]+ -->\n)?```(sh|python)\n(.*?)```", text, re.DOTALL)
    return [text for mark, _, text in fences if not mark]


def execute(block: Block, directory: Path, python: Path = Path(sys.executable)) -> str:
    """Run a block with the programs beside ``python``, and return what it printed."""
    programs = {"sh": ["bash", "-euo", "pipefail", "-c"], "python": [str(python), "-c"]}
    path = os.pathsep.join([str(python.parent), os.environ["PATH"]])
    done = subprocess.run(
        [*programs[block.language], block.text],
        cwd=directory,
        env={**os.environ, "PATH": path, "COLUMNS": "80"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{block.text}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def held(page: Path, directory: Path) -> None:
    """Run the blocks of a page that run here, one after the other, and compare what it shows."""
    printed, known = "", True
    for block in blocks(page):
        if block.mark == "run":
            known = not block.environment
            printed = execute(block, directory) if known else ""
        elif known:
            assert _compared(printed, block.environment) == _compared(block.text, block.environment)


def _compared(text: str, how: str) -> list[str]:
    """The lines of an output, with ``like`` as words: a longer number breaks a line elsewhere."""
    if how != "like":
        return [line.rstrip() for line in text.splitlines()]
    return re.sub(r"\d+(\.\d+)*(e-?\d+)?", "#", text).split()
