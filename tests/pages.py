"""The blocks of README and of the pages under docs/ that run, and that show what is printed."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

__all__ = [
    "PAGES",
    "ROOT",
    "Block",
    "blocks",
    "execute",
    "exports",
    "held",
    "unmarked",
    "with_exports",
]

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


def exports(page: Path) -> dict[str, str]:
    """The tiny zoo models that a page exports with the defaults, each with its command."""
    return {
        name: command
        for block in blocks(page)
        if block.mark == "run" and not block.environment
        for command, name in re.findall(
            r"^graphopt (export ([\w-]+-tiny) -o \S+)", block.text, re.M
        )
    }


def with_exports(directory: Path, ready: Mapping[str, Path]) -> Path:
    """A folder with a ``graphopt`` that copies what was exported before, which takes a moment.

    Args:
        directory: Where it is made.
        ready: The file that each command leaves, by the words behind ``graphopt``.
    """
    folder = directory / "programs"
    folder.mkdir()
    cases = "".join(
        f"{shlex.quote(command)}) cp {shlex.quote(str(file))} {shlex.quote(command.split()[-1])}\n"
        f"  echo {shlex.quote(command.split()[-1])} ;;\n"
        for command, file in ready.items()
    )
    program = folder / "graphopt"
    real = shutil.which("graphopt", path=str(Path(sys.executable).parent))
    program.write_text(f'#!/bin/sh\ncase "$*" in\n{cases}*) exec {real} "$@" ;;\nesac\n')
    program.chmod(0o755)
    return folder


def execute(
    block: Block,
    directory: Path,
    python: Path = Path(sys.executable),
    *,
    programs: Path | None = None,
) -> str:
    """Run a block with the programs beside ``python``, and return what it printed.

    Args:
        block: The block.
        directory: The folder that it runs in.
        python: The interpreter, beside whose programs others are found behind it.
        programs: A folder whose programs are taken first.
    """
    run_by = {"sh": ["bash", "-euo", "pipefail", "-c"], "python": [str(python), "-c"]}
    first = [] if programs is None else [str(programs)]
    path = os.pathsep.join([*first, str(python.parent), os.environ["PATH"]])
    done = subprocess.run(
        [*run_by[block.language], block.text],
        cwd=directory,
        env={**os.environ, "PATH": path, "COLUMNS": "80"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{block.text}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def held(page: Path, directory: Path, *, programs: Path | None = None) -> None:
    """Run the blocks of a page that run here, one after the other, and compare what it shows."""
    printed, known = "", True
    for block in blocks(page):
        if block.mark == "run":
            known = not block.environment
            printed = execute(block, directory, programs=programs) if known else ""
        elif known:
            assert _compared(printed, block.environment) == _compared(block.text, block.environment)


def _compared(text: str, how: str) -> list[str]:
    """The lines of an output, with ``like`` as words: a longer number breaks a line elsewhere."""
    if how != "like":
        return [line.rstrip() for line in text.splitlines()]
    return re.sub(r"\d+(\.\d+)*(e-?\d+)?", "#", text).split()
