"""Where norms stand in a model, in a few words: the blocks that their names count."""

from __future__ import annotations

__all__ = ["block_in", "pattern", "places"]

import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graphopt.passes.report import NormDecision

_NUMBER = re.compile(r"(?<![A-Za-z\d])\d+")
_BLOCK = re.compile(r"(?:^|[./])(?:(?:layer|block|stage)s?_?)?(\d+)[./]")
_NAMED = 2


def pattern(text: str) -> str:
    """A text without its numbers: ``h.*.fc2.bias`` for ``h.3.fc2.bias`` and its like."""
    return _NUMBER.sub("*", text)


def places(norms: Sequence[NormDecision]) -> str:
    """The blocks of norms, and how many each has; the names of those outside of blocks.

    For example ``blocks 0 to 11: 2 each, transformer.ln_f``.
    """
    blocks = Counter(block for norm in norms if (block := _block(norm)) is not None)
    parts = []
    if blocks:
        first, last = min(blocks), max(blocks)
        is_run = len(blocks) == last - first + 1
        span = f"{first} to {last}" if is_run else ", ".join(map(str, sorted(blocks)))
        least, most = min(blocks.values()), max(blocks.values())
        each = f"{least} each" if least == most else f"{least} to {most} each"
        parts.append(f"blocks {span}: {each}" if last > first else f"block {first}: {most}")
    others = [_place(norm) for norm in norms if _block(norm) is None]
    if len(blocks) == 1 and not others:
        return f"block {first}"
    if len(others) <= _NAMED:
        parts += others
    else:
        parts.append(f"{others[0]} to {others[-1]}")
    return ", ".join(parts)


def block_in(*names: str) -> int | None:
    """The first number that is a whole part of one of the names."""
    found = next(filter(None, map(_BLOCK.search, names)), None)
    return None if found is None else int(found[1])


def _block(norm: NormDecision) -> int | None:
    return block_in(norm.name, norm.gamma)


def _place(norm: NormDecision) -> str:
    """The name of the module, where gamma tells it; else that of the node."""
    return norm.gamma.rpartition(".")[0] or norm.name
