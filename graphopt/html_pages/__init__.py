"""What every HTML page shares: its frame, its style, its colours, and drawings that stand in it.

The drawings are SVG that matplotlib makes and the page inlines. A page needs no JavaScript, so that
a file of many drawings stays small, opens at once on a phone, and can be printed; and the same
values give the same bytes. The interactive libraries put megabytes of script into each file.

Importing this package raises EnvironmentFailure where matplotlib is missing, so that a command can
say so before it does its work.
"""

from __future__ import annotations

__all__: list[str] = []

from graphopt.errors import EnvironmentFailure

try:
    import matplotlib.figure  # noqa: F401
except ImportError as error:
    raise EnvironmentFailure(
        f"matplotlib, which draws the HTML pages, cannot be imported ({error}): "
        'pip install "graphopt[bench]"'
    ) from error
