"""Draws docs/stream.svg, where the mean of a LayerNorm goes: python docs/stream_picture.py

Two rows show the same part of a Pre-LN block, as it was exported and as graphopt writes it; between
them arrows lead from what the norm loses to what takes it in. The picture brings its own
background, in light and dark, so that it can be read wherever it is shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

__all__ = ["picture"]

PICTURE = Path(__file__).with_name("stream.svg")
WIDTH, HEIGHT = 860, 336
ROW = 190  # from a row down to the next one
STYLE = """
.card { fill: #fbfbfd; stroke: #d5d8de }
.box { fill: #ffffff; stroke: #8a93a3 }
.gone { fill: #fdeceb; stroke: #c4443a }
.taken { fill: #e6f4ea; stroke: #2b7d46 }
.line { stroke: #5b6472; fill: none; stroke-width: 1.6 }
.arrow { stroke: #5b6472; stroke-width: 1.6 } .moved { stroke: #2b7d46; stroke-dasharray: 5 4 }
.head { fill: #5b6472 } .head.moved { fill: #2b7d46; stroke: none }
text { font: 14px system-ui, sans-serif; fill: #1d232c; text-anchor: middle }
.title { font-weight: 600; text-anchor: start }
.note { fill: #5b6472; font-size: 13px }
.formula { font-family: ui-monospace, monospace; font-size: 13px }
@media (prefers-color-scheme: dark) {
.card { fill: #161a20; stroke: #353c47 }
.box { fill: #20262f; stroke: #7d8796 }
.gone { fill: #43201f; stroke: #f08a80 }
.taken { fill: #163524; stroke: #6fcf91 }
.line, .arrow { stroke: #a5aebb } .head { fill: #a5aebb }
.moved { stroke: #6fcf91 } .head.moved { fill: #6fcf91 }
text { fill: #e8ebf0 } .note { fill: #a5aebb }
}
"""


class Part(NamedTuple):
    """A box of a row.

    Attributes:
        left: Where it begins, in pixels.
        width: How wide it is, in pixels.
        text: What stands in it.
        look: Class of its style: box, gone (the norm loses it) or taken (it was taken in here).
    """

    left: int
    width: int
    text: str
    look: str = "box"


EXPORTED = (
    Part(44, 150, "W"),
    Part(330, 84, "x - mean", "gone"),
    Part(418, 70, "/ rms"),
    Part(492, 76, "· gamma"),
    Part(572, 70, "+ beta", "gone"),
    Part(690, 126, "V,  b"),
)
OPTIMIZED = (
    Part(44, 150, "W - rowmean(W)", "taken"),
    Part(418, 70, "/ rms"),
    Part(492, 76, "· gamma"),
    Part(690, 126, "V,  b + beta V", "taken"),
)


def picture() -> str:
    """The picture, as SVG."""
    size = {"width": str(WIDTH), "height": str(HEIGHT), "viewBox": f"0 0 {WIDTH} {HEIGHT}"}
    told = "The mean moves from LayerNorm into the weight before it, beta into the bias behind it"
    root = ElementTree.Element(
        "svg", {"xmlns": "http://www.w3.org/2000/svg", "role": "img", **size}
    )
    _add(root, "title").text = told
    _add(root, "style").text = STYLE
    _add(root, "rect", "card", x=1, y=1, width=WIDTH - 2, height=HEIGHT - 2, rx=10)
    _row(root, 0, "exported: LayerNorm", EXPORTED)
    _row(root, ROW, "optimized: RMSNorm", OPTIMIZED)
    _moved(root, (372, 122), (119, 256))
    _moved(root, (607, 122), (753, 256))
    _text(root, 450, 166, "removed in advance", "note")
    _text(root, 700, 166, "folded into the bias", "note")
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def _row(root: ElementTree.Element, top: int, title: str, parts: Sequence[Part]) -> None:
    """Draw the residual stream, its writer, the norm and the norm's reader."""
    middle, stream = top + 102, top + 52
    _text(root, 330, top + 32, title, "title")
    _arrow(root, (232, stream), (826, stream))
    _text(root, 640, stream - 8, "residual stream", "note")
    _add(root, "path", "line", d=f"M 194 {middle} H 262 V {stream + 10}")
    _add(root, "circle", "box", cx=262, cy=stream, r=10)
    _text(root, 262, stream + 5, "+")
    first, last = parts[1].left, parts[-2].left + parts[-2].width
    _add(root, "path", "line", d=f"M 296 {stream} V {middle} H {first}")
    _arrow(root, (last, middle), (parts[-1].left, middle))
    for part in parts:
        box = {"x": part.left, "y": middle - 20, "width": part.width, "height": 40, "rx": 6}
        _add(root, "rect", part.look, **box)
        _text(root, part.left + part.width // 2, middle + 5, part.text, "formula")


def _moved(root: ElementTree.Element, start: tuple[int, int], end: tuple[int, int]) -> None:
    """Draw a dashed curve from what a norm loses to what takes it in, above which it ends."""
    (x, y), (to_x, to_y) = start, end
    bend = (y + to_y) // 2
    curve = f"M {x} {y} C {x} {bend + 20} {to_x} {bend - 20} {to_x} {to_y}"
    _add(root, "path", "line moved", d=curve)
    _add(root, "path", "head moved", d=f"M {to_x - 5} {to_y} h 10 l -5 10 z")


def _arrow(root: ElementTree.Element, start: tuple[int, int], end: tuple[int, int]) -> None:
    """Draw an arrow to the right."""
    (x, y), (to_x, _) = start, end
    _add(root, "path", "arrow", d=f"M {x} {y} H {to_x - 8}")
    _add(root, "path", "head", d=f"M {to_x - 10} {y - 5} v 10 l 10 -5 z")


def _text(root: ElementTree.Element, x: int, y: int, text: str, look: str = "") -> None:
    _add(root, "text", look, x=x, y=y).text = text


def _add(
    parent: ElementTree.Element, tag: str, look: str = "", **attributes: object
) -> ElementTree.Element:
    written = {"class": look} if look else {}
    written |= {name: str(value) for name, value in attributes.items()}
    return ElementTree.SubElement(parent, tag, written)


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
