"""Folds what repeats: blocks that differ in their numbers alone are one that stands for all."""

from __future__ import annotations

__all__ = ["Repeated", "folded", "kind_of_name", "without_numbers"]

import dataclasses
import itertools
import re
from collections.abc import Hashable, Sequence
from typing import Generic, TypeVar

_LONGEST_BLOCK = 64
_DIGITS = re.compile(r"\d+")
_NUMBERED = re.compile(r"[._]?\d+")

Item = TypeVar("Item")


@dataclasses.dataclass(frozen=True)
class Repeated(Generic[Item]):
    """A block of alike items: ``blocks[0]`` stands for the others."""

    blocks: tuple[tuple[Item, ...], ...]

    @property
    def times(self) -> int:
        """How often it comes, one right behind the other."""
        return len(self.blocks)

    @property
    def alike(self) -> list[tuple[Item, ...]]:
        """For each item of a block those that it stands for, itself first."""
        return list(zip(*self.blocks, strict=True))


def folded(items: Sequence[Item], kinds: Sequence[Hashable]) -> list[Repeated[Item]]:
    """``items`` in order, as blocks that come once or more.

    From the first item on, the block is taken that covers most items when it is repeated, of equals
    the shortest; what is not repeated is a block of its own.

    Args:
        items: What is to be folded.
        kinds: For each item what it has in common with those like it.
    """
    numbers: dict[Hashable, int] = {}
    signs = [numbers.setdefault(kind, len(numbers)) for kind in kinds]
    runs = []
    start = 0
    while start < len(items):
        size, times = _best_block(signs, start)
        ends = [start + size * number for number in range(times + 1)]
        blocks = itertools.pairwise(ends)
        runs.append(Repeated(tuple(tuple(items[one:end]) for one, end in blocks)))
        start = ends[-1]
    return runs


def _best_block(signs: Sequence[int], start: int) -> tuple[int, int]:
    """The size of the block that begins at ``start``, and how often it comes."""
    best = (1, 1)
    for size in range(1, min(_LONGEST_BLOCK, (len(signs) - start) // 2) + 1):
        block, times = signs[start : start + size], 1
        while signs[start + times * size : start + (times + 1) * size] == block:
            times += 1
        if times > 1 and size * times > best[0] * best[1]:
            best = (size, times)
    return best


def without_numbers(text: str) -> str:
    """``text`` with a star for each number: what the names of alike nodes have in common."""
    return _DIGITS.sub("*", text)


def kind_of_name(text: str) -> str:
    """What the names of alike nodes have in common, the first of which may have no number."""
    return _NUMBERED.sub("", text)
