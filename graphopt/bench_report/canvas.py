"""The one layout of all plots: slots of a label and a number, each with its mark below.

The labels stand above the marks rather than beside them, so that a plot needs no more than the
width of a phone, where it is drawn at its own size: one unit is one CSS pixel.
"""

from __future__ import annotations

__all__ = ["Canvas", "Heading", "Slot", "shortened"]

import dataclasses
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from graphopt.html_pages.drawn_text import SMALL_FONT, draw_text
from graphopt.html_pages.palette import colour

_WIDTH = 358
_SIDE = 10
_HEADING = 24
_TEXT = 18
_AXIS = 38
_LONGEST_LABEL = 26


@dataclasses.dataclass(frozen=True)
class Heading:
    """A line of text above the slots that follow."""

    text: str


@dataclasses.dataclass(frozen=True)
class Slot:
    """Room for a mark, below a label on the left and a number in words on the right."""

    label: str
    value: str


class Canvas:
    """A figure with an empty slot for each mark.

    Attributes:
        figure: The figure.
        axes: Its one pair of axes: x in data, y in pixels from the top.
        centres: For each slot in order the y of the middle of its mark.
        mark: Height of a mark in pixels.
    """

    def __init__(
        self,
        entries: Sequence[Heading | Slot],
        *,
        limits: tuple[float, float],
        axis_label: str,
        mark: int = 14,
    ) -> None:
        step = _TEXT + mark + 9
        slots = sum(isinstance(entry, Slot) for entry in entries)
        body = slots * step + (len(entries) - slots) * _HEADING
        height = body + _AXIS
        self.mark = mark
        self.figure: Figure = Figure(figsize=(_WIDTH / 72, height / 72), dpi=72)
        self.figure.patch.set_visible(False)
        box = (_SIDE / _WIDTH, _AXIS / height, 1 - 2 * _SIDE / _WIDTH, body / height)
        self.axes: Axes = self.figure.add_axes(box)
        self.axes.set_xlim(limits)
        self.axes.set_ylim(body, 0)
        self.centres: list[float] = []
        y = 0
        for entry in entries:
            if isinstance(entry, Heading):
                self._text(-_SIDE, y + 17, entry.text, "ink", bold=True)
                y += _HEADING
            else:
                self._text(-_SIDE, y + 13, shortened(entry.label), "ink")
                self._text(_WIDTH - _SIDE, y + 13, entry.value, "muted", right=True)
                self.centres.append(y + _TEXT + mark / 2)
                y += step
        self._style(axis_label)

    def rule(self, x: float, ink: str = "ink", width: float = 1.2) -> None:
        """A vertical line at ``x`` behind every mark, which leaves the text free."""
        top, bottom = -self.mark / 2, self.mark / 2 + 5
        gap = float("nan")  # lifts the pen between two slots
        heights = [y for centre in self.centres for y in (centre + top, centre + bottom, gap)]
        self.axes.plot(
            [x] * len(heights),
            heights,
            color=colour(ink).stand_in,
            linewidth=width,
            clip_on=False,
            zorder=1,
        )

    def _style(self, axis_label: str) -> None:
        self.axes.patch.set_visible(False)
        self.axes.set_yticks([])
        for spine in self.axes.spines.values():
            spine.set_visible(False)
        self.axes.locator_params(axis="x", nbins=5)
        muted = colour("muted").stand_in
        self.axes.tick_params(axis="x", length=0, labelsize=SMALL_FONT, labelcolor=muted, pad=4)
        self.axes.set_xlabel(axis_label, fontsize=SMALL_FONT, color=muted, labelpad=3)
        low, high = self.axes.get_xlim()
        for tick in self.axes.get_xticks():
            if low <= tick <= high:
                self.rule(float(tick), "line", 1)

    def _text(
        self, x: float, y: float, text: str, ink: str, *, bold: bool = False, right: bool = False
    ) -> None:
        """Text at pixels from the left and top of the axes."""
        transform = self.axes.get_yaxis_transform()  # x as a share of the axes, y in data
        share = x / (_WIDTH - 2 * _SIDE)
        draw_text(self.axes, share, y, text, ink, bold=bold, right=right, transform=transform)


def shortened(label: str) -> str:
    """``label`` with its middle left out where it would run into the number beside it."""
    if len(label) <= _LONGEST_LABEL:
        return label
    half = (_LONGEST_LABEL - 1) // 2
    return f"{label[:half]}…{label[-half:]}"
