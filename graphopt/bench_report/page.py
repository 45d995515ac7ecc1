"""The page of a report."""

from __future__ import annotations

__all__ = ["render_html"]

from graphopt.bench_report.layout import LAYOUT
from graphopt.bench_report.sections import Sections
from graphopt.benchmarking.result import Benchmark
from graphopt.html_pages.document import document


def render_html(benchmark: Benchmark) -> str:
    """The report as one HTML document that needs nothing else: no network, no script.

    The same benchmark gives the same text, with the same release of matplotlib.
    """
    sections = Sections(benchmark)
    return document(
        f"{benchmark.title}: latency",
        (
            sections.headline(),
            sections.gains(),
            sections.latencies(),
            sections.operators(),
            sections.tables(),
            sections.method(),
        ),
        LAYOUT,
    )
