"""A plan as a table: every norm with its decision, a row each."""

from __future__ import annotations

__all__ = ["becomes", "norm_table"]

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from graphopt.errors import shortened, shortened_name
from graphopt.printing.console import table
from graphopt.printing.names import joined_names

if TYPE_CHECKING:
    from graphopt.passes.report import NormDecision, PlanSummary


def norm_table(plan: PlanSummary, width: int) -> Table:
    """The norms of a plan, their names cut in the middle to a third of ``width`` columns."""
    made = table("LayerNorm", "axis", "size", "becomes", "its mean and beta, or why it stays")
    made.columns[0].no_wrap = True
    for norm in plan.norms:
        made.add_row(
            shortened_name(norm.name, width // 3),
            str(norm.axis) if norm.axis >= 0 else "?",
            _features(norm),
            Text(becomes(norm, plan), "green") if norm.converted else Text("kept", "yellow"),
            _details(norm, plan, width // 2),
        )
    return made


def becomes(norm: NormDecision, plan: PlanSummary) -> str:
    """What a norm that is converted becomes."""
    return "CRMSNorm" if norm.compressed and plan.basis == "drop" else "RMSNorm"


def _details(norm: NormDecision, plan: PlanSummary, width: int) -> str:
    uncompressed = f"not compressed: {norm.uncompressed}" if norm.uncompressed else ""
    words = "; ".join(filter(None, (_mean(norm, plan), norm.affine, uncompressed)))
    return " ".join(shortened_name(word, width) for word in words.split(" "))


def _features(norm: NormDecision) -> str:
    if norm.size is None:
        return "?"
    return f"{norm.size} to {norm.size - 1}" if norm.compressed else str(norm.size)


def _mean(norm: NormDecision, plan: PlanSummary) -> str:
    """Where the norm's mean goes."""
    if not norm.converted:
        return shortened(norm.reason)
    weights = [joined_names(map(plan.title, norm.absorbed_by))] if norm.absorbed_by else []
    if norm.absorbed_above:
        weights.append(f"{norm.absorbed_above} weights of the rows above")
    parts = [f"mean subtracted at {plan.title(name)}" for name in norm.recentrings]
    if weights:
        parts.append(f"mean taken out of {' and '.join(weights)}")
    return ", ".join(parts)
