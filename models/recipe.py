"""What the zoo knows of one architecture, stated without importing torch."""

from __future__ import annotations

__all__ = ["DTYPES", "EXPORTERS", "Feed", "Input", "Recipe"]

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

EXPORTERS = ("dynamo", "torchscript")
"""In order of preference."""

DTYPES = ("float32", "float16")

Feed = dict[str, Any]
"""Tensors by input name."""


@dataclass(frozen=True)
class Input:
    """One graph input.

    Attributes:
        name: its name in the exported graph.
        dims: an int is a fixed size; a string is a symbolic dimension, with an offset or
            without: "past_sequence", "past_sequence + 1".
        kind: "ids" (int64 below `high`), "mask" (int64, 1 where a token is real) or "float".
        high: for "ids", the number of rows of the table they index.
    """

    name: str
    dims: tuple[int | str, ...]
    kind: Literal["ids", "mask", "float"]
    high: int = 0

    def shape(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """The concrete shape where each symbol has the size given in `sizes`."""
        return tuple(dim if isinstance(dim, int) else _size(dim, sizes) for dim in self.dims)


@dataclass(frozen=True)
class Recipe:
    """How to build, feed and export one architecture.

    Attributes:
        architecture: the name that people know it by.
        config: "module:Class" of the configuration, built from the keyword arguments in `sizes`.
        model: "module:Class" of the model, built from the configuration.
        sizes: keyword arguments of the configuration for each name; one name ends in "-tiny".
        blocks: the keyword in `sizes` that holds the number of blocks (an int, or a list of
            stage depths).
        inputs: the graph inputs of a given configuration, in order.
        run: calls the model on a feed and names its outputs, in order.
        cannot: the reason for each (exporter, dtype) that fails.
        notes: what is special about it.
    """

    architecture: str
    config: str
    model: str
    sizes: Mapping[str, Mapping[str, Any]]
    blocks: str
    inputs: Callable[[Any], tuple[Input, ...]]
    run: Callable[[Any, Feed], Mapping[str, Any]]
    cannot: Mapping[tuple[str, str], str] = field(default_factory=dict)
    notes: str = ""

    def exporters(self, dtype: str = "float32") -> tuple[str, ...]:
        """The exporters that work for `dtype`, the preferred one first."""
        return tuple(e for e in EXPORTERS if (e, dtype) not in self.cannot)

    def block_count(self, name: str) -> int:
        """The number of blocks L of the size called `name`."""
        depth = self.sizes[name][self.blocks]
        return depth if isinstance(depth, int) else sum(depth)


def _size(dim: str, sizes: Mapping[str, int]) -> int:
    symbol, _, offset = dim.partition(" + ")
    return sizes[symbol] + int(offset or 0)
