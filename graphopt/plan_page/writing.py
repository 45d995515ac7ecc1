"""Puts a page on disk, whole or not at all."""

from __future__ import annotations

__all__ = ["write_html"]

from pathlib import Path

from graphopt.files.text_files import write_text
from graphopt.passes.report import PlanSummary
from graphopt.plan_page.page import render_html


def write_html(plan: PlanSummary, model: str, path: Path, *, as_json: str) -> None:
    """Write the page to ``path``, replacing one that was there.

    Args:
        plan: The plan.
        model: What the model is called.
        path: The file to write.
        as_json: The plan as ``inspect --json`` prints it.

    Raises:
        EnvironmentFailure: The file cannot be written; nothing is left of it.
    """
    write_text(path, render_html(plan, model, as_json=as_json))
