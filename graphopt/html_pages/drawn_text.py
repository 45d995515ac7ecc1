"""Text in a drawing: its sizes, and how it is written."""

from __future__ import annotations

__all__ = ["FONT", "SMALL_FONT", "draw_text"]

from matplotlib.axes import Axes
from matplotlib.transforms import Transform

from graphopt.html_pages.palette import colour

FONT, SMALL_FONT = 12, 11
"""Sizes of text in pixels."""


def draw_text(
    axes: Axes,
    x: float,
    y: float,
    text: str,
    ink: str,
    *,
    size: int = FONT,
    bold: bool = False,
    right: bool = False,
    link: str = "",
    transform: Transform | None = None,
) -> None:
    """Write ``text`` into a drawing.

    Args:
        axes: Where to.
        x: Its left end, or its right one.
        y: Its baseline.
        text: The text; nothing in it is read as mathematics.
        ink: Name of its colour.
        size: Its size in pixels.
        bold: Whether its letters are bold.
        right: True where ``x`` is the right end.
        link: Id in the page of what it leads to, or "".
        transform: What ``x`` and ``y`` are measured in; by default data.
    """
    axes.text(
        x,
        y,
        text,
        transform=transform or axes.transData,
        fontsize=size,
        color=colour(ink).stand_in,
        weight="bold" if bold else "normal",
        ha="right" if right else "left",
        va="baseline",
        parse_math=False,
        url=f"#{link}" if link else None,
    )
