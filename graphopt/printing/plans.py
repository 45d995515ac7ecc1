"""Prints a plan: what comes of it, then groups of norms that are alike, then what it adds."""

from __future__ import annotations

__all__ = ["headline", "print_plan"]

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar

from rich.console import Console

from graphopt.errors import shortened
from graphopt.printing.console import size_text, wrapped
from graphopt.printing.forecasts import forecast_line
from graphopt.printing.names import gathered_names
from graphopt.printing.norm_table import becomes, norm_table
from graphopt.printing.places import pattern, places

if TYPE_CHECKING:
    from graphopt.passes.report import Copy, NormDecision, PlanSummary

_PATTERNS = 6
_LISTED = 3
_VARIETIES = 2
_NORM_OUTPUT = (
    "what they normalize adds up outputs of other LayerNorms, whose mean is not zero (as in a "
    "Post-LN network)"
)

Entry = TypeVar("Entry")


def print_plan(out: Console, plan: PlanSummary, *, verbose: bool = False) -> None:
    """Print what comes of the norms, what that is worth, and why others stay.

    Args:
        out: Where to.
        plan: The plan.
        verbose: Print a row for each norm, in the place of a line for those that are alike.
    """
    out.print(headline(plan), style="bold")
    if line := forecast_line(plan):
        wrapped(out, line)
    if plan.norms and verbose:
        out.print(norm_table(plan, out.width))
    elif plan.norms:
        _print_groups(out, plan)
    _print_additions(out, plan, verbose=verbose)


def headline(plan: PlanSummary) -> str:
    """What comes of the LayerNorms, in a line."""
    if not plan.norms:
        return "no LayerNorm found: there is nothing to convert"
    return f"{plan.converted} of {len(plan.norms)} LayerNorms {_outcome(plan)}"


def _print_groups(out: Console, plan: PlanSummary) -> None:
    converted = [norm for norm in plan.norms if norm.converted]
    for alike in _grouped(converted, lambda norm: (norm.compressed, norm.size, norm.recentrings)):
        wrapped(out, _converted(alike, plan), "green")
    kept = [norm for norm in plan.norms if not norm.converted]
    for alike in _grouped(kept, _cause):
        wrapped(out, _kept(alike), "yellow")


def _cause(norm: NormDecision) -> Hashable:
    """What norms have in common that stay for one cause."""
    return norm.cause if norm.cause == "norm output" else (norm.cause, pattern(norm.reason))


def _converted(norms: Sequence[NormDecision], plan: PlanSummary) -> str:
    """A group of norms that are converted alike: how many, where, what becomes of their means."""
    first = norms[0]
    size = f"{first.size} to {first.size - 1}" if first.compressed and first.size else first.size
    parts = []
    if first.recentrings:
        parts.append(f"mean subtracted at {', '.join(map(plan.title, first.recentrings))}")
    if weights := [plan.title(name) for norm in norms for name in norm.absorbed_by]:
        shown = gathered_names(list(dict.fromkeys(map(pattern, weights))), _PATTERNS)
        parts.append(f"mean taken out of {_count(len(weights), 'weight')}: {shown}")
    parts += _variety(norms, lambda norm: norm.affine)
    parts += [
        f"not compressed: {words}" for words in _variety(norms, lambda norm: norm.uncompressed)
    ]
    what = f"{_count(len(norms), becomes(first, plan))} over {size} features"
    return f"- {what} ({places(norms)}): {'; '.join(parts)}"


def _kept(norms: Sequence[NormDecision]) -> str:
    """A group of norms that stay for one cause, which is named once."""
    reasons = dict.fromkeys(norm.reason for norm in norms)
    others = f", and {len(reasons) - 1} alike" if len(reasons) > 1 else ""
    why = shortened(next(iter(reasons))) + others
    if norms[0].cause == "norm output" and len(norms) > 1:
        why = _NORM_OUTPUT
    stay = "LayerNorm stays" if len(norms) == 1 else "LayerNorms stay"
    return f"- {len(norms)} {stay} ({places(norms)}): {why}"


def _variety(norms: Iterable[NormDecision], words: Callable[[NormDecision], str]) -> list[str]:
    """What is said of each norm, once for those of whom the same is said."""
    said = [text for norm in norms if (text := words(norm))]
    groups = _grouped(said, pattern)
    if len(groups) == 1:
        return [groups[0][0]]
    if len(groups) > _VARIETIES:
        groups = _grouped(said, lambda text: text.partition(": ")[0])
        counts = [
            f"{group[0].partition(': ')[0]} ({len(group)} of {len(said)})" for group in groups
        ]
        return [*counts[:-1], f"{counts[-1]}, -v says why"]
    return [f"{group[0]} ({len(group)} of {len(said)})" for group in groups]


def _print_additions(out: Console, plan: PlanSummary, *, verbose: bool) -> None:
    """Print what the plan adds to the model, and which norms are of other kinds."""
    for recentring in plan.recentrings:
        wrapped(
            out,
            f"mean subtracted explicitly: at {plan.title(recentring.value)} (axis "
            f"{recentring.axis}, size "
            f"{recentring.size}), for {_unlocked(recentring.unlocks, plan)}",
        )
    for change in plan.basis_changes:
        sizes = (change.size, change.size - 1)
        before, after = sizes if change.kind == "encoder" else reversed(sizes)
        wrapped(
            out,
            f"{change.kind} inserted behind {change.value} (axis {change.axis}, "
            f"size {before} to {after})",
        )
    for copies in _split(plan.copies, lambda copy: pattern(copy.reason), verbose):
        wrapped(out, _held_twice(copies, plan))
    for others in _split(plan.other_norms, lambda other: (other.kind, other.reason), verbose):
        first, count = others[0], len(others)
        names = first.name if count == 1 else f"{first.name} to {others[-1].name}, {count} of them"
        wrapped(out, f"left alone: {names} ({first.kind}): {shortened(first.reason)}")


def _held_twice(copies: Sequence[Copy], plan: PlanSummary) -> str:
    size, first = size_text(sum(copy.bytes for copy in copies)), copies[0]
    more = "" if len(copies) == 1 else f" and {len(copies) - 1} more weights"
    return f"held twice: {plan.title(first.tensor)}{more} ({size} more): {shortened(first.reason)}"


def _split(
    entries: Sequence[Entry], key: Callable[[Entry], Hashable], verbose: bool
) -> list[list[Entry]]:
    """Each entry for itself, or those together that are alike, where there are many."""
    if verbose or len(entries) <= _LISTED:
        return [[entry] for entry in entries]
    return _grouped(entries, key)


def _grouped(entries: Iterable[Entry], key: Callable[[Entry], Hashable]) -> list[list[Entry]]:
    groups: dict[Hashable, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(key(entry), []).append(entry)
    return list(groups.values())


def _outcome(plan: PlanSummary) -> str:
    if not plan.compressed:
        return "become RMSNorms"
    compressed = "CRMSNorms" if plan.basis == "drop" else "RMSNorms over d - 1 features"
    if plan.compressed == plan.converted:
        return f"become {compressed}"
    rest = plan.converted - plan.compressed
    return f"are converted: {plan.compressed} to {compressed}, {rest} to RMSNorms over d"


def _unlocked(names: Sequence[str], plan: PlanSummary) -> str:
    if len(names) == plan.converted and len(names) > 1:
        return f"all {len(names)} norms that become RMSNorms"
    if len(names) > _LISTED:
        return f"{len(names)} norms, {names[0]} to {names[-1]}"
    return f"{_count(len(names), 'norm')}: {', '.join(names)}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"
