"""How far a command is, for who watches the terminal."""

from __future__ import annotations

__all__ = ["Bar", "progress_bar"]

import contextlib
import math
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress

_SECONDS_BETWEEN_DRAWINGS = 0.2


class Bar:
    """A bar on a terminal: called with what is going on and the share of it that is done.

    Args:
        bar: What draws it.
        still: As :func:`progress_bar` has it.
    """

    def __init__(self, bar: Progress, *, still: bool) -> None:
        self._bar, self._still = bar, still
        self._task, self._drawn = bar.add_task("load", total=1.0), -math.inf

    def __call__(self, what: str, share: float) -> None:
        """Show it, at most five times a second."""
        # A bar that pulses says: nobody knows how much of it is done.
        total = 1.0 if self._still or share else None
        self._bar.update(self._task, description=what, completed=share, total=total)
        if time.monotonic() - self._drawn > _SECONDS_BETWEEN_DRAWINGS:
            self._bar.refresh()
            self._drawn = time.monotonic()

    @contextlib.contextmanager
    def hidden(self) -> Iterator[None]:
        """No bar on the screen, so that something else can be printed there."""
        self._bar.stop()
        try:
            yield
        finally:
            self._bar.start()


@contextlib.contextmanager
def progress_bar(*, quiet: bool = False, still: bool = False) -> Iterator[Bar | None]:
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
        Progress,
        ProgressColumn,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns: list[ProgressColumn] = [TextColumn("{task.description:<24}"), BarColumn()]
    if still:
        columns += [TaskProgressColumn(), TimeRemainingColumn(), TextColumn("left")]
    else:
        columns += [TimeElapsedColumn()]
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, auto_refresh=not still) as bar:
        yield Bar(bar, still=still)
