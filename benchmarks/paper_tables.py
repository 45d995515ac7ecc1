"""The tables of the paper's study, in Markdown, with the numbers of the paper beside ours."""

from __future__ import annotations

__all__ = ["Measured", "Missing", "heading", "row", "summary"]

import dataclasses
import statistics
from collections.abc import Iterable, Iterator, Sequence

from paper_variants import BASELINE

from graphopt.benchmarking.candidates import FLOOR
from graphopt.benchmarking.figures import ratio_text
from graphopt.benchmarking.result import Point

RATIOS = {
    FLOOR: "no-norm",
    "pre-rms": "pre-rms",
    "pre-crms": "pre-crms",
    "pre-crms-same-dim": "pre-crms-same-dim",
}
"""Headings of the columns with ratios, by the name of the variant."""

PAPER = {
    "ViT, PyTorch, mixed precision, A100 (36 points)": (0.857, 0.970, 0.978),
    "ViT, PyTorch, float32, A100": (0.935, 0.985, 0.995),
    "ViT, JAX, A100": (0.961, 0.987, 1.0005),
}
"""Mean ratios to Pre-LN that the paper reports: no norm, Pre-RMSNorm, Pre-CRMSNorm."""


@dataclasses.dataclass(frozen=True)
class Measured:
    """A point of the study.

    Attributes:
        size: The size of the model, for example ``vit-ti``.
        tokens: Tokens of one item of the batch.
        point: What was measured.
    """

    size: str
    tokens: int
    point: Point

    @property
    def group(self) -> str:
        """What is averaged together: family, type of the weights, execution provider."""
        family = {"vit": "ViT", "gpt": "GPT"}[self.size.partition("-")[0]]
        return f"{family}, {self.point.dtype}, {self.point.provider}"

    def seconds(self) -> float:
        """Median seconds of a call of pre-ln."""
        return next(r.p50 for r in self.point.rows if r.model == BASELINE)


@dataclasses.dataclass(frozen=True)
class Missing:
    """What was not run, and why."""

    what: str
    reason: str


def heading() -> str:
    """The first two lines of the table of points."""
    names = ["size", "type", "EP", "tokens", "batch", "pre-ln ms", *RATIOS.values()]
    return f"| {' | '.join(names)} |\n|{' --- |' * len(names)}"


def row(measured: Measured) -> str:
    """One line: the median of pre-ln, and the ratios to it with their intervals."""
    point = measured.point
    ratios = {r.model: ratio_text(r.ratio) for r in point.rows}
    cells = [measured.size, point.dtype, point.provider, str(measured.tokens), str(point.batch)]
    cells.append(f"{1e3 * measured.seconds():.2f}{'' if point.stable else ' (unstable)'}")
    cells += [ratios.get(name, "failed") for name in RATIOS]
    return f"| {' | '.join(cells)} |"


def summary(results: Sequence[Measured]) -> Iterator[str]:
    """The mean ratios of each family, type and provider, and the paper's.

    All means of a group are over the same points: those without a variant that others have are
    left out.
    """
    names = ["mean ratio to pre-ln", "points", *RATIOS.values()]
    yield f"| {' | '.join(names)} |"
    yield f"|{' --- |' * len(names)}"
    for group in dict.fromkeys(measured.group for measured in results):
        points = _comparable([m.point for m in results if m.group == group])
        means = [_mean(points, name) for name in RATIOS]
        yield f"| {group} | {len(points)} | {' | '.join(means)} |"
    for setting, values in PAPER.items():
        cells = [str(value) if value > 1 else f"{value:.3f}" for value in values]
        yield f"| the paper: {setting} | | {' | '.join(cells)} | |"


def _comparable(points: Sequence[Point]) -> list[Point]:
    variants = {r.model for point in points for r in point.rows}
    return [point for point in points if {r.model for r in point.rows} == variants]


def _mean(points: Iterable[Point], name: str) -> str:
    ratios = [r.ratio.value for point in points for r in point.rows if r.model == name]
    return f"{statistics.mean(ratios):.3f}" if ratios else "failed"
