"""The command line; the entry point is ``graphopt.cli:main``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from graphopt.cli.interruptions import interruptions, remember_interruptions

if TYPE_CHECKING:
    from graphopt.cli.application import cli

__all__ = ["cli", "main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit."""
    remember_interruptions()
    try:
        # Imported in here, because Ctrl-C may come before there is a command to interrupt.
        from graphopt.cli import application

        application.main(arguments)
    except (KeyboardInterrupt, Exception):
        if not interruptions:
            raise
        print("graphopt: error: interrupted; no output was written", file=sys.stderr)
        sys.exit(130)


def __getattr__(name: str) -> Any:
    if name != "cli":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from graphopt.cli.application import cli

    return cli
