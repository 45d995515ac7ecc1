"""In which inputs or outputs a candidate differs from the original, in words."""

from __future__ import annotations

__all__ = ["interface_difference"]

from collections.abc import Sequence

from graphopt.errors import listed


def interface_difference(kind: str, needed: Sequence[str], found: Sequence[str]) -> str:
    """What to say where the names of two models are not the same, in the same order.

    Args:
        kind: "input" or "output".
        needed: Names in the original.
        found: Names in the candidate.
    """
    missing = [name for name in needed if name not in found]
    extra = [name for name in found if name not in needed]
    parts = []
    if missing:
        parts.append(f"lacks the {kind}s {listed(missing)}")
    if extra:
        parts.append(f"has the {kind}s {listed(extra)}, which the original has not")
    if not parts and sorted(needed) != sorted(found):
        parts.append(f"does not list each of its {kind}s as often as the original")
    return f"the candidate {' and '.join(parts) or f'has its {kind}s in another order'}"
