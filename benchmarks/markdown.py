"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from graphopt.benchmarking.figures import ratio_text
from graphopt.measuring.comparison import verdict_on
from graphopt.measuring.intervals import Estimate

__all__ = ["ratio_cell", "table"]


def table(headings: Sequence[str], body: Iterable[Sequence[str]]) -> Iterator[str]:
    """The lines of a table."""
    yield f"| {' | '.join(headings)} |"
    yield f"|{' --- |' * len(headings)}"
    for texts in body:
        yield f"| {' | '.join(texts)} |"


def ratio_cell(ratio: Estimate) -> str:
    """A ratio with its interval, in bold where it says faster or slower."""
    text = ratio_text(ratio)
    return text if verdict_on(ratio) == "no difference" else f"**{text}**"
