"""Folds what repeats: blocks that differ in their numbers alone are one that stands for all."""

from __future__ import annotations

__all__ = ["Repeated", "common_name", "folded", "kind_of_name"]

import dataclasses
import itertools
import re
from collections.abc import Hashable, Sequence
from typing import Generic, TypeVar

_LONGEST_BLOCK = 64
_DIGITS = re.compile(r"(\d+)")
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


def folded(
    items: Sequence[Item], kinds: Sequence[Hashable], groups: Sequence[Hashable]
) -> list[Repeated[Item]]:
    """``items`` in order, as blocks that come once or more.

    From the first item on, the block is taken that covers most items when it is repeated, of equals
    the shortest; what is not repeated is a block of its own. It begins with a later item where all
    of its items are of one group then.

    Args:
        items: What is to be folded.
        kinds: For each item what it has in common with those like it.
        groups: For each item the group that it is of, None where that is unknown.
    """
    numbers: dict[Hashable, int] = {}
    signs = [numbers.setdefault(kind, len(numbers)) for kind in kinds]
    runs = []
    start = 0
    while start < len(items):
        size, times = _best_block(signs, start)
        late = _late(groups, start, size) if times > 1 else 0
        if late and (again := _times(signs, start + late, size)) > 1:
            runs += [Repeated(((item,),)) for item in items[start : start + late]]
            start, times = start + late, again
        ends = [start + size * number for number in range(times + 1)]
        blocks = itertools.pairwise(ends)
        runs.append(Repeated(tuple(tuple(items[one:end]) for one, end in blocks)))
        start = ends[-1]
    return runs


def _late(groups: Sequence[Hashable], start: int, size: int) -> int:
    """How much later a block must begin to be of one group; 0 where it never is."""
    for late in range(size):
        found = {group for group in groups[start + late : start + late + size] if group is not None}
        if len(found) == 1:
            return late
    return 0


def _times(signs: Sequence[int], start: int, size: int) -> int:
    """How often the block of ``size`` that begins at ``start`` comes, one behind the other."""
    block, times = signs[start : start + size], 1
    while signs[start + times * size : start + (times + 1) * size] == block:
        times += 1
    return times


def _best_block(signs: Sequence[int], start: int) -> tuple[int, int]:
    """The size of the block that begins at ``start``, and how often it comes."""
    best = (1, 1)
    for size in range(1, min(_LONGEST_BLOCK, (len(signs) - start) // 2) + 1):
        times = _times(signs, start, size)
        if times > 1 and size * times > best[0] * best[1]:
            best = (size, times)
    return best


def common_name(names: Sequence[str]) -> str:
    """What alike names have in common: a star for each number that tells them apart."""
    parts = [_DIGITS.split(name) for name in names]
    if len(set(names)) == 1:
        return names[0]
    if len({tuple(part[::2]) for part in parts}) > 1:  # one of them has no number, for example
        return _DIGITS.sub("*", names[0])
    columns = zip(*parts, strict=True)
    return "".join(column[0] if len(set(column)) == 1 else "*" for column in columns)


def kind_of_name(text: str) -> str:
    """What the names of alike nodes have in common, the first of which may have no number."""
    return _NUMBERED.sub("", text)
