"""The frame of a page."""

from __future__ import annotations

__all__ = ["document"]

from collections.abc import Iterable
from html import escape

from graphopt.html_pages.stylesheet import stylesheet


def document(title: str, sections: Iterable[str], rules: str = "") -> str:
    """One HTML document that needs nothing else: no network, no script.

    Args:
        title: What the window is called, as plain text.
        sections: The content, as HTML; empty ones are left out.
        rules: Style rules of this page, beside those that all pages have.
    """
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(title)}</title>\n"
        f"<style>\n{stylesheet(rules)}\n</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(filter(None, sections))
        + "\n</main>\n</body>\n</html>\n"
    )
