"""Sequences, maps and optionals: what their structure is, and the tensors in them."""

from __future__ import annotations

__all__ = ["Part", "as_result", "difference", "is_readable", "kind", "parts"]

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from graphopt.evaluation.calls import Array
from graphopt.runtime.results import Map, Other, Result


@dataclasses.dataclass(frozen=True)
class Part:
    """A tensor in a result.

    Attributes:
        array: The tensor.
        place: Where it is, as ``[3]`` in a sequence; "" where it is the whole result.
        keys: The keys of the map, or of each map of a sequence, whose values it holds; else empty.
    """

    array: Array
    place: str = ""
    keys: tuple[int, ...] | tuple[str, ...] = ()

    def place_of(self, element: tuple[int, ...]) -> str:
        """Where an element is: by index and key in a map, and in a tensor where that is."""
        if not self.keys:
            return self.place
        *rows, column = element
        return "".join([self.place, *(f"[{row}]" for row in rows), f"[{self.keys[column]!r}]"])


def as_result(value: Any) -> Result:
    """What the evaluation in float64 gives; it has lists for sequences."""
    return tuple(map(as_result, value)) if isinstance(value, list) else value


def difference(base: Result, found: Result, place: str = "") -> str:
    """Where two results are not of one structure, in words; "" where they are.

    Types and shapes of tensors are not looked at.

    Args:
        base: What the original gives.
        found: What the candidate gives.
        place: Where in the output they are.
    """
    where = f"at {place}: " if place else ""
    if kind(base) != kind(found):
        return f"{where}{kind(found)} instead of {kind(base)}"
    if isinstance(base, tuple) and isinstance(found, tuple):
        if len(base) != len(found):
            return f"{where}{len(found)} entries instead of {len(base)}"
        problems = (
            difference(one, other, f"{place}[{number}]")
            for number, (one, other) in enumerate(zip(base, found, strict=True))
        )
        return next(filter(None, problems), "")
    if isinstance(base, Map) and isinstance(found, Map) and base.keys != found.keys:
        lacking = [repr(key) for key in base.keys if key not in found.keys]
        extra = [repr(key) for key in found.keys if key not in base.keys]
        return f"{where}no key {lacking[0]}" if lacking else f"{where}a key {extra[0]} more"
    return ""


def kind(result: Result) -> str:
    """What a result is, in words."""
    if isinstance(result, np.ndarray):
        return "a tensor"
    if isinstance(result, Map):
        return "a map"
    if isinstance(result, Other):
        return f"a value of type {result.type}"
    return "nothing" if result is None else "a sequence"


def is_readable(result: Result) -> bool:
    """True where all of it can be read, and so be compared."""
    if isinstance(result, tuple):
        return all(map(is_readable, result))
    return not isinstance(result, Other)


def parts(result: Result) -> list[Part]:
    """The tensors in a result, in order.

    The values of a map are one tensor; those of the maps of a sequence that have the same keys are
    the rows of one: their typical size is that of all of them.
    """
    if isinstance(result, np.ndarray):
        return [Part(result)]
    if isinstance(result, Map):
        return [Part(result.values, keys=result.keys)]
    if not isinstance(result, tuple):
        return []
    maps = [item for item in result if isinstance(item, Map)]
    if maps and len(maps) == len(result) and _are_alike(maps):
        return [Part(np.stack([item.values for item in maps]), keys=maps[0].keys)]
    return [
        dataclasses.replace(part, place=f"[{number}]{part.place}")
        for number, item in enumerate(result)
        for part in parts(item)
    ]


def _are_alike(maps: Sequence[Map]) -> bool:
    return all(item.keys == maps[0].keys for item in maps)
