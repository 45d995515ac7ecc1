"""How far a command is, for who watches the terminal."""

from __future__ import annotations

__all__ = ["progress_bar"]

import contextlib
import math
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graphopt.passes.report import Progress

_SECONDS_BETWEEN_DRAWINGS = 0.2


@contextlib.contextmanager
def progress_bar(*, quiet: bool = False, still: bool = False) -> Iterator[Progress | None]:
    """A bar on the terminal, which vanishes at the end; nothing where nobody watches.

    Args:
        quiet: Show nothing.
        still: Draw where a call reports and at no other time, thus between timed calls, which a
            thread that draws would disturb; and show the time left instead of the time gone.
    """
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        ProgressColumn,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bar

    columns: list[ProgressColumn] = [TextColumn("{task.description:<24}"), BarColumn()]
    if still:
        columns += [TaskProgressColumn(), TimeRemainingColumn(), TextColumn("left")]
    else:
        columns += [TimeElapsedColumn()]
    console = Console(stderr=True)
    with Bar(*columns, console=console, transient=True, auto_refresh=not still) as bar:
        task, drawn = bar.add_task("load", total=1.0), -math.inf

        def advance(what: str, share: float) -> None:
            nonlocal drawn
            # A bar that pulses says: nobody knows how much of it is done.
            bar.update(
                task, description=what, completed=share, total=1.0 if still or share else None
            )
            if time.monotonic() - drawn > _SECONDS_BETWEEN_DRAWINGS:
                bar.refresh()
                drawn = time.monotonic()

        yield advance
