"""Prints a plan: every norm with its decision, then what the plan adds to the model."""

from __future__ import annotations

__all__ = ["print_plan"]

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from graphopt.errors import shortened
from graphopt.printing import console

if TYPE_CHECKING:
    from graphopt.passes.report import NormDecision, PlanSummary, Recentring


def print_plan(out: Console, plan: PlanSummary) -> None:
    """Print every norm with its decision, then what the plan adds to the model."""
    if plan.norms:
        table = console.table(
            "LayerNorm", "axis", "size", "becomes", "its mean and beta, or why it stays"
        )
        for norm in plan.norms:
            table.add_row(
                norm.name,
                str(norm.axis) if norm.axis >= 0 else "?",
                _features(norm),
                Text(_becomes(norm, plan), "green") if norm.converted else Text("kept", "yellow"),
                "; ".join(filter(None, (_mean(norm), norm.affine, _uncompressed(norm)))),
            )
        out.print(table)
    for recentring in plan.recentrings:
        out.print(
            f"recentred explicitly: {recentring.value} (axis {recentring.axis}, "
            f"size {recentring.size}), which unlocks {_unlocked(recentring, plan)}"
        )
    for change in plan.basis_changes:
        sizes = (change.size, change.size - 1)
        before, after = sizes if change.kind == "encoder" else reversed(sizes)
        out.print(
            f"{change.kind} inserted behind {change.value} (axis {change.axis}, "
            f"size {before} to {after})"
        )
    for copy in plan.copies:
        size, reason = console.size_text(copy.bytes), shortened(copy.reason)
        out.print(f"held twice: {copy.tensor} ({size} more): {reason}")
    for other in plan.other_norms:
        out.print(f"left alone: {other.name} ({other.kind}): {shortened(other.reason)}")
    if plan.norms:
        out.print(
            f"{plan.converted} of {len(plan.norms)} LayerNorms {_outcome(plan)}", style="bold"
        )
    else:
        out.print("no LayerNorm found: there is nothing to convert", style="bold")


def _features(norm: NormDecision) -> str:
    if norm.size is None:
        return "?"
    return f"{norm.size} to {norm.size - 1}" if norm.compressed else str(norm.size)


def _becomes(norm: NormDecision, plan: PlanSummary) -> str:
    return "CRMSNorm" if norm.compressed and plan.basis == "drop" else "RMSNorm"


def _uncompressed(norm: NormDecision) -> str:
    return f"not compressed: {norm.uncompressed}" if norm.uncompressed else ""


def _outcome(plan: PlanSummary) -> str:
    if not plan.compressed:
        return "become RMSNorms"
    compressed = "CRMSNorms" if plan.basis == "drop" else "RMSNorms over d - 1 features"
    if plan.compressed == plan.converted:
        return f"become {compressed}"
    rest = plan.converted - plan.compressed
    return f"are converted: {plan.compressed} to {compressed}, {rest} to RMSNorms over d"


def _mean(norm: NormDecision) -> str:
    """Where the norm's mean goes."""
    if not norm.converted:
        return shortened(norm.reason)
    weights = [_names(norm.absorbed_by)] if norm.absorbed_by else []
    if norm.absorbed_above:
        weights.append(f"{norm.absorbed_above} above")
    parts = [f"recentred at {name}" for name in norm.recentrings]
    if weights:
        parts.append(f"absorbed by {' and '.join(weights)}")
    return f"mean {', '.join(parts)}" if parts else ""


def _names(names: Iterable[str]) -> str:
    """Join names, those of one module in braces: ``h.0.c_proj.{weight,bias}``."""
    modules: dict[str, list[str]] = {}
    for name in names:
        module, dot, parameter = name.rpartition(".")
        modules.setdefault(module + dot or name, []).append(parameter if dot else "")
    return ", ".join(
        module + (parameters[0] if len(parameters) == 1 else f"{{{','.join(parameters)}}}")
        for module, parameters in modules.items()
    )


def _unlocked(recentring: Recentring, plan: PlanSummary) -> str:
    names = recentring.unlocks
    if len(names) == plan.converted and len(names) > 1:
        return f"all {len(names)} norms that become RMSNorms"
    return f"{len(names)} norm{'s' * (len(names) != 1)}: {', '.join(names)}"
