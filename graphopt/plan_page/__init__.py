"""A plan as one HTML file: its residual streams as lines, and every norm that reads them.

Importing this package raises EnvironmentFailure where matplotlib, which draws, is missing.
"""

from __future__ import annotations

__all__ = ["render_html", "write_html"]

from graphopt import html_pages  # noqa: F401  # first: it says what to do without matplotlib
from graphopt.plan_page.page import render_html
from graphopt.plan_page.writing import write_html
