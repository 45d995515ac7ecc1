"""The console and the tables that all commands print with."""

from __future__ import annotations

__all__ = ["console", "size_text", "table", "wrapped"]

import os
import sys
import textwrap
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from graphopt.errors import printable, shortened_name

_UNLIMITED = 10_000


def console() -> Console:
    """A console on standard output, as wide as the terminal, or as its text where there is none.

    So names stay whole for who searches the output of a pipe. ``COLUMNS`` sets another width.
    """
    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else _UNLIMITED
    return _Console(width=width, highlight=False, emoji=False, markup=False)


class _Console(Console):
    """Shows names as they are, and leaves a broken pipe to the caller.

    Rich would exit with the code of a failed check.
    """

    def print(self, *objects: Any, **how: Any) -> None:
        """Print, with whatever would command the terminal written out."""
        super().print(*(_shown(each, "") for each in objects), **how)

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


class _Table(Table):
    def add_row(self, *cells: Any, **how: Any) -> None:
        """Add a row, with whatever would command the terminal written out."""
        super().add_row(*(_shown(each, "\n") for each in cells), **how)


def _shown(what: Any, keep: str) -> Any:
    """Text without what commands a terminal; all else as it is."""
    if isinstance(what, str):
        return printable(what, keep)
    if isinstance(what, Text) and (text := printable(what.plain, "\n")) != what.plain:
        return Text(text, what.style)
    return what


def table(*headings: str) -> Table:
    """An empty table of plain text, with lines folded where they are too long."""
    made = _Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        collapse_padding=True,
        header_style="bold",
    )
    for heading in headings:
        # Long names are folded: cut off, they could not be found in the graph.
        made.add_column(heading, overflow="fold", no_wrap=heading == "name")
    return made


def wrapped(out: Console, line: str, style: str = "") -> None:
    """Print a line, broken at spaces, the rest indented; longer names lose their middle."""
    words = (shortened_name(word, out.width - 2) for word in printable(line).split(" "))
    lines = textwrap.wrap(
        " ".join(words),
        out.width,
        subsequent_indent="  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    out.print(Text("\n".join(lines), style), soft_wrap=True)


def size_text(count: int) -> str:
    """A number of bytes in kB or MB."""
    return f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{count / 1e3:.1f} kB"
