"""A benchmark as one HTML file: plots, tables, environment and method.

The plots are SVG that matplotlib draws and the page inlines. It needs no JavaScript, so that a file
of many points stays small, opens at once on a phone, and can be printed; and it draws the same
bytes for the same benchmark. The interactive libraries put megabytes of script into each file.

Importing this package raises EnvironmentFailure where matplotlib is missing, so that a command can
say so before it measures.
"""

from __future__ import annotations

__all__ = ["render_html", "write_html"]

from graphopt.errors import EnvironmentFailure

try:
    import matplotlib.figure  # noqa: F401
except ImportError as error:
    raise EnvironmentFailure(
        f"matplotlib, which draws the HTML report, cannot be imported ({error}): "
        'pip install "graphopt[bench]"'
    ) from error

from graphopt.bench_report.page import render_html
from graphopt.bench_report.writing import write_html
