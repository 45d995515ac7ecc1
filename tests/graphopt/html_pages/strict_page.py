"""Reads an HTML page strictly, and says what must be true of every page."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from graphopt.html_pages.palette import COLOURS

VOID = {"meta", "br"}


class Page(HTMLParser):
    """Reads a page strictly: every element is closed in its turn, every id is given once."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.text = text
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.texts.setdefault(tag, []).append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        for tag in set(self.open):
            self.texts[tag][-1] += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def stands_alone(self) -> None:
        """Nothing is loaded, and no script runs."""
        outside = {"script", "link", "img", "image", "iframe", "object", "base"}
        assert not outside & {tag for tag, _ in self.tags}
        for _, attributes in self.tags:
            for name in ("src", "href", "action", "data", "poster", "srcset"):
                assert (attributes.get(name) or "#").startswith("#")
        assert "@import" not in self.texts["style"][0]
        assert not re.search(r"url\((?!#)", self.text)

    def references_resolve(self) -> None:
        """Each id is given once, and what is referred to is there."""
        ids = [attributes["id"] for _, attributes in self.tags if "id" in attributes]
        assert len(ids) == len(set(ids))
        used = set(re.findall(r'(?:url\(|href=")#([\w-]+)', self.text))
        for drawing in self.all("svg"):
            used |= set((drawing["aria-labelledby"] or "").split())
        assert used <= set(ids)

    def has_no_stand_in(self) -> None:
        """All that is drawn has a colour that the reader's screen chooses."""
        for entry in COLOURS:
            assert entry.stand_in not in self.text
        drawn = set(re.findall(r"(?:fill|stroke): ([^;\"]+)", self.text))
        assert all(value == "none" or value.startswith("var(--") for value in drawn)
