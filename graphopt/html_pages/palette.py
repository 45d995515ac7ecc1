"""The colours of a page, each for light and for dark screens."""

from __future__ import annotations

__all__ = ["COLOURS", "Colour", "colour", "declarations"]

import dataclasses


@dataclasses.dataclass(frozen=True)
class Colour:
    """A colour that the reader's screen chooses.

    Attributes:
        name: Name of the CSS variable, without the dashes.
        light: On a light screen, ``#rrggbb``.
        dark: On a dark one.
        stand_in: The colour that the plotting library is given in its place.
    """

    name: str
    light: str
    dark: str
    stand_in: str

    @property
    def css(self) -> str:
        """The colour for CSS and for attributes of SVG."""
        return f"var(--{self.name})"


_TABLE = {
    # name: (light, dark); the marks have a contrast of 3 or more to the panel, the texts of 4.5
    "page": ("#ffffff", "#0e1116"),
    "panel": ("#f6f8fa", "#161b22"),
    "line": ("#d0d7de", "#30363d"),
    "ink": ("#1b1f24", "#e6edf3"),
    "muted": ("#57606a", "#9da7b3"),
    "good": ("#0b7a4b", "#4fd195"),
    "bad": ("#b3261e", "#ff8f86"),
    "baseline": ("#57606a", "#9da7b3"),
    "floor": ("#7d8590", "#7d8590"),
    "series-1": ("#0a5fbe", "#6cb0ff"),
    "series-2": ("#b85400", "#ff9d4d"),
    "series-3": ("#0b7a4b", "#4fd195"),
    "series-4": ("#8338b8", "#c99bff"),
    "series-5": ("#c0264c", "#ff8299"),
    "series-6": ("#00728a", "#4cc9e0"),
    "series-7": ("#7a5a00", "#e0bd50"),
}
COLOURS = tuple(
    Colour(name, light, dark, f"#00fe{index:02x}")
    for index, (name, (light, dark)) in enumerate(_TABLE.items())
)
"""All colours. The stand-ins are shades that nothing else draws with."""

_BY_NAME = {entry.name: entry for entry in COLOURS}


def colour(name: str) -> Colour:
    """The colour called ``name``."""
    return _BY_NAME[name]


def declarations(*, dark: bool) -> str:
    """The CSS variables of all colours."""
    return " ".join(f"--{c.name}: {c.dark if dark else c.light};" for c in COLOURS)
