"""The colours of the pages."""

from __future__ import annotations

import pytest

from graphopt.html_pages.palette import COLOURS


@pytest.mark.parametrize("dark", [False, True])
def test_colours_can_be_told_from_what_is_behind_them(dark: bool) -> None:
    shades = {entry.name: entry.dark if dark else entry.light for entry in COLOURS}
    for name, shade in shades.items():
        if name in ("page", "panel", "line"):
            continue
        least = 4.5 if name in ("ink", "muted", "good", "bad") else 3.0
        for behind in ("page", "panel"):
            assert contrast(shade, shades[behind]) >= least, (name, behind)


def contrast(one: str, other: str) -> float:
    """The contrast ratio of WCAG 2.2, 1 to 21."""
    bright, dim = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


def luminance(shade: str) -> float:
    parts = [int(shade[index : index + 2], 16) / 255 for index in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
