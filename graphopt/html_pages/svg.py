"""Turns a figure of matplotlib into SVG that can stand inside a page."""

from __future__ import annotations

__all__ = ["TIP", "inline_svg"]

import io
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator

import matplotlib
from matplotlib.figure import Figure

from graphopt.html_pages.palette import COLOURS

TIP = "tip: "
"""An artist whose gid begins with this shows the rest of it to a pointer that rests on it."""

_LONG_FRACTION = re.compile(r"(\.\d)\d+")
_SPACES = re.compile(r"\s+")
_REFERENCE = re.compile(r"#([\w-]+)")
_GEOMETRY = ("d", "x", "y", "transform", "width", "height", "points")


def inline_svg(figure: Figure, name: str, *, title: str, description: str) -> str:
    """The figure as an ``svg`` element.

    The stand-ins of the palette become its CSS variables, so that the drawing follows the reader's
    colour scheme. What could clash with the page or with another drawing goes: the style sheet,
    namespaces, ids that nothing refers to. Coordinates are cut to tenths of a pixel.

    Args:
        figure: The figure; its size in points becomes the drawing's in CSS pixels.
        name: Unique name in the page, of letters, digits and dashes.
        title: What it shows, in a few words, for readers who do not see it.
        description: What it shows, in words and numbers.
    """
    drawn = io.StringIO()
    # Ids are hashes of what they name, with this salt; by default with a random one.
    with matplotlib.rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}):
        figure.savefig(drawn, format="svg", metadata={"Date": None}, transparent=True)
    root = ElementTree.fromstring(drawn.getvalue())
    for element in root.iter():
        _simplify(element)
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in ("metadata", "style"):
                parent.remove(child)
    _describe(root, name, title, description)
    _keep_ids_in_use(root, name)
    text = ElementTree.tostring(root, encoding="unicode")
    for colour in COLOURS:
        text = text.replace(colour.stand_in, colour.css)
    return text


def _simplify(element: ElementTree.Element) -> None:
    element.tag = element.tag.rpartition("}")[2]
    for key, value in list(element.attrib.items()):
        del element.attrib[key]
        short = key.rpartition("}")[2]
        if short in _GEOMETRY:
            value = _SPACES.sub(" ", _LONG_FRACTION.sub(r"\1", value)).strip()
        element.set(short, value)
    if element.tag == "a":
        element.attrib.pop("target", None)  # a place in the page itself
    element.tail = None
    if element.text is not None and not element.text.strip():
        element.text = None


def _describe(root: ElementTree.Element, name: str, title: str, description: str) -> None:
    for key in ("width", "height", "version"):
        root.attrib.pop(key, None)
    for element in list(root.iter()):
        gid = element.get("id", "")
        if gid.startswith(TIP):
            _insert(element, "title", gid.removeprefix(TIP))
    root.set("role", "img")
    root.set("aria-labelledby", f"{name}-title {name}-description")
    _insert(root, "desc", description).set("id", f"{name}-description")
    _insert(root, "title", title).set("id", f"{name}-title")


def _insert(parent: ElementTree.Element, tag: str, text: str) -> ElementTree.Element:
    child = ElementTree.Element(tag)
    child.text = text
    parent.insert(0, child)
    return child


def _keep_ids_in_use(root: ElementTree.Element, name: str) -> None:
    used = {reference for value in _references(root) for reference in _REFERENCE.findall(value)}
    for element in root.iter():
        gid = element.get("id")
        if gid is not None and gid not in used and not gid.startswith(f"{name}-"):
            del element.attrib["id"]


def _references(root: ElementTree.Element) -> Iterator[str]:
    for element in root.iter():
        for key, value in element.attrib.items():
            if key == "href" or "url(#" in value:
                yield value
