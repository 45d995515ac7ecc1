"""Draws a stream as a line from top to bottom, with a mark and its words in each row.

The words stand below one another rather than along the line, so that the picture needs no more than
the width of a phone, where it is drawn at its own size: one unit is one CSS pixel.
"""

from __future__ import annotations

__all__ = ["Block", "draw"]

import dataclasses
import textwrap
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.markers import MarkerStyle
from matplotlib.patches import FancyBboxPatch, PathPatch
from matplotlib.path import Path
from matplotlib.transforms import Affine2D

from graphopt.html_pages.drawn_text import SMALL_FONT, draw_text
from graphopt.html_pages.palette import colour
from graphopt.html_pages.svg import TIP
from graphopt.passes.report import StreamState
from graphopt.plan_page.marks import Kind, Row

_WIDTH = 358
_LINE, _MARK, _TEXT = 18, 44, 60
_ROW, _DETAIL, _TITLE, _GAP = 25, 15, 24, 7
_SIZE = 11
_LABEL_LENGTH, _LABEL_LINES = 42, 3
_DETAIL_LENGTH, _DETAIL_LINES = 47, 3

_STATES: dict[StreamState, str] = {"raw": "muted", "centred": "series-3", "compressed": "series-1"}
_MARKS = {
    # kind: (colour, shape, filled)
    Kind.ABSORBS: ("series-3", "P", True),
    Kind.WRITES: ("muted", "P", True),
    Kind.SOURCE: ("bad", "X", True),
    Kind.CONVERTED: ("series-3", "o", True),
    Kind.COPIED: ("series-4", "o", True),
    Kind.JOINS: ("muted", "v", True),
    Kind.KEPT: ("series-2", "o", False),
    Kind.READER: ("bad", "s", True),
    Kind.RECENTRED: ("series-4", "D", True),
    Kind.CHANGED: ("series-1", "D", True),
}


@dataclasses.dataclass(frozen=True)
class Block:
    """Rows that belong together; a title puts a frame around them."""

    rows: Sequence[Row]
    title: str = ""


def draw(blocks: Sequence[Block], *, connected: bool = True) -> Figure:
    """The picture of one stream.

    Args:
        blocks: Its blocks, from where it begins.
        connected: False where each row explains itself, as in a legend.
    """
    height = sum(map(_height, blocks))
    figure = Figure(figsize=(_WIDTH / 72, height / 72), dpi=72)
    figure.patch.set_visible(False)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, _WIDTH)
    axes.set_ylim(height, 0)
    axes.set_axis_off()
    _Drawing(axes, connected).draw(blocks)
    return figure


def _height(block: Block) -> float:
    frame = _TITLE + 2 * _GAP if block.title else 0
    return frame + sum(map(_row_height, block.rows))


def _row_height(row: Row) -> float:
    lines = len(_lines(row.label, _LABEL_LENGTH, _LABEL_LINES)) - 1
    return _ROW + _DETAIL * (lines + len(_details(row)))


def _details(row: Row) -> list[str]:
    return _lines(row.detail, _DETAIL_LENGTH, _DETAIL_LINES)


def _shape(name: str, x: float, y: float) -> Path:
    """The outline of a marker of matplotlib, at a place of the picture, whose y points down."""
    marker = MarkerStyle(name)
    outline = marker.get_path().transformed(marker.get_transform())
    return outline.transformed(Affine2D().scale(_SIZE, -_SIZE).translate(x, y))


def _lines(text: str, length: int, most: int) -> list[str]:
    """``text`` in lines; a word that is too long loses its beginning, which tells least."""
    words = [word if len(word) <= length else f"…{word[1 - length :]}" for word in text.split()]
    return textwrap.wrap(
        " ".join(words), length, max_lines=most, placeholder=" …", break_on_hyphens=False
    )


class _Drawing:
    def __init__(self, axes: Axes, connected: bool) -> None:
        self._axes, self._connected = axes, connected
        self._below: tuple[float, StreamState] | None = None

    def draw(self, blocks: Sequence[Block]) -> None:
        y = 0.0
        for block in blocks:
            if block.title:
                self._frame(block, y)
                y += _GAP + _TITLE
            for row in block.rows:
                self._row(row, y + _ROW / 2)
                y += _row_height(row)
            y += _GAP if block.title else 0

    def _frame(self, block: Block, top: float) -> None:
        height = _height(block) - _GAP
        shape = FancyBboxPatch(
            (1, top + _GAP / 2),
            _WIDTH - 2,
            height,
            boxstyle="round,pad=0,rounding_size=6",
            facecolor=colour("page").stand_in,
            edgecolor=colour("line").stand_in,
            linewidth=1,
            zorder=0,
        )
        self._axes.add_patch(shape)
        title = _lines(block.title, _LABEL_LENGTH, 1)[0]
        draw_text(self._axes, _TEXT, top + _GAP + 16, title, "ink", bold=True)

    def _row(self, row: Row, y: float) -> None:
        self._line(row, y)
        shade, shape, filled = _MARKS[row.kind]
        x = _LINE if row.on_line else _MARK
        ink = colour(shade).stand_in
        if not row.on_line:
            self._axes.plot((_LINE, _MARK), (y, y), color=ink, linewidth=2, zorder=2)
        if row.writes:
            self._axes.plot(_LINE + 7, y, "<", color=ink, markersize=7, zorder=3)
        mark = PathPatch(
            _shape(shape, x, y),
            facecolor=ink if filled else colour("panel").stand_in,
            edgecolor=ink,
            linewidth=1 if filled else 2.5,
            zorder=4,
            gid=TIP + (row.tip or row.kind.value),
            url=f"#{row.link}" if row.link else None,
        )
        self._axes.add_patch(mark)
        baseline = y + 4
        for line in _lines(row.label, _LABEL_LENGTH, _LABEL_LINES):
            draw_text(self._axes, _TEXT, baseline, line, "ink", link=row.link)
            baseline += _DETAIL
        for line in _details(row):
            draw_text(self._axes, _TEXT, baseline, line, "muted", size=SMALL_FONT)
            baseline += _DETAIL

    def _line(self, row: Row, y: float) -> None:
        """The stream from the row above down to this one; a legend has a piece for each row."""
        state = row.state or "raw"
        if not self._connected:
            self._segment(y - 9, y + 9, state)
        elif self._below is not None and not row.begins:
            above, before = self._below
            self._segment(above, y, before)
        self._below = (y, state)

    def _segment(self, top: float, bottom: float, state: StreamState) -> None:
        ink = colour(_STATES[state]).stand_in
        self._axes.plot(
            (_LINE, _LINE), (top, bottom), color=ink, linewidth=4, zorder=1, solid_capstyle="round"
        )
