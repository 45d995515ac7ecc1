"""Remembers Ctrl-C: a module that it finds half imported may turn it into another error."""

from __future__ import annotations

__all__ = ["interruptions", "remember_interruptions"]

import signal

interruptions: list[bool] = []
"""One entry for each Ctrl-C since it was cleared."""


def remember_interruptions() -> None:
    """Let Ctrl-C leave an entry, and raise KeyboardInterrupt as ever; who ignores it still does."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)


def _interrupt(*_: object) -> None:
    interruptions.append(True)
    raise KeyboardInterrupt
