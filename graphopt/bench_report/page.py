"""The page of a report."""

from __future__ import annotations

__all__ = ["render_html"]

from html import escape

from graphopt.bench_report.sections import Sections
from graphopt.bench_report.stylesheet import stylesheet
from graphopt.benchmarking.result import Benchmark


def render_html(benchmark: Benchmark) -> str:
    """The report as one HTML document that needs nothing else: no network, no script.

    The same benchmark gives the same text, with the same release of matplotlib.
    """
    sections = Sections(benchmark)
    body = [
        sections.headline(),
        sections.gains(),
        sections.latencies(),
        sections.operators(),
        sections.tables(),
        sections.method(),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(benchmark.title)}: latency</title>\n"
        f"<style>\n{stylesheet()}\n</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(filter(None, body))
        + "\n</main>\n</body>\n</html>\n"
    )
