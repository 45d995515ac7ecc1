"""The bar on the screen."""

from __future__ import annotations

import io
import sys

import pytest

from graphopt.cli.progress import progress_bar


def test_the_bar_leaves_the_screen_to_what_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(screen, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", screen)
    with progress_bar(still=True) as bar:
        assert bar is not None
        bar("step", 0.5)
        with bar.hidden():
            drawn = screen.tell()
            bar("step", 0.6)
            assert screen.tell() == drawn
        assert screen.tell() > drawn
