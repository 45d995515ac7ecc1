"""A benchmark as one HTML file: plots, tables, environment and method.

Importing this package raises EnvironmentFailure where matplotlib, which draws, is missing.
"""

from __future__ import annotations

__all__ = ["render_html", "write_html"]

from graphopt import html_pages  # noqa: F401  # first: it says what to do without matplotlib
from graphopt.bench_report.page import render_html
from graphopt.bench_report.writing import write_html
