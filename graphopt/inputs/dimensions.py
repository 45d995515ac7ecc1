"""Chooses a size for every symbolic dimension of the graph inputs."""

from __future__ import annotations

__all__ = ["Dimensions", "choose_dimensions", "declared_dims", "free_symbols"]

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence

import onnx_ir as ir

from graphopt.errors import UsageError
from graphopt.inputs.size_expressions import evaluate, symbols

_BATCH, _PAST, _SEQUENCE = 2, 8, 16
_MOST_ENTRIES = 1 << 26
"""Of one input: half a gigabyte while it is drawn. A damaged file may declare any size."""
# The first row with a word of the symbol's name applies. A total is derived, see below.
_DEFAULTS = (
    (("batch",), _BATCH),
    (("past", "cache"), _PAST),
    (("height", "width"), 224),
    (("sample", "audio", "wave"), 4000),  # a speech model's strided convolutions need some hundreds
    (("channel",), 3),
    (("seq", "len", "token", "time", "frame"), _SEQUENCE),
)


@dataclasses.dataclass(frozen=True)
class Dimensions:
    """Sizes of the graph inputs.

    Attributes:
        shapes: Shape of each input, by name.
        symbols: Size of each symbol that the declared shapes mention; an unnamed dimension is
            called ``input[axis]``.
        defaulted: The symbols among them that nobody gave and no expression determined.
    """

    shapes: dict[str, tuple[int, ...]]
    symbols: dict[str, int]
    defaulted: dict[str, int]


def choose_dimensions(
    inputs: Iterable[ir.Value],
    shapes: Mapping[str, Sequence[int]],
    dims: Mapping[str, int],
) -> Dimensions:
    """Sizes that agree with what the user gave, with the declared expressions, and with the names.

    A declared dimension that is an expression (``past_sequence + 1``) follows from its symbols. A
    symbol named a total follows from the past and the new sequence length. Every other symbol
    that was not given gets a default by its name: batch 2, past 8, sequence 16.

    Args:
        inputs: The graph inputs to choose for.
        shapes: Complete shapes of some inputs, by name.
        dims: Sizes of some symbols, by name.

    Raises:
        UsageError: A given shape or size contradicts a declaration or another given size, or
            names an input or symbol that does not exist.
    """
    declared = {value.name or "": declared_dims(value) for value in inputs}
    _refuse_unknown("input", shapes, declared)
    symbols = _Symbols(declared)
    _refuse_unknown("symbolic dimension", dims, symbols.names)
    for name, size in dims.items():
        symbols.bind(name, size, "--dim")
    for name, shape in shapes.items():
        symbols.bind_shape(name, tuple(shape))
    given = set(symbols.sizes)
    for name in symbols.names:
        if name not in symbols.sizes and not _is_total(name):
            symbols.sizes[name] = _default(name)
    for name in symbols.names:
        if name not in symbols.sizes:
            symbols.sizes[name] = symbols.total()
    result = {name: symbols.shape(name, shapes.get(name)) for name in declared}
    _refuse_huge(result)
    defaulted = {name: size for name, size in symbols.sizes.items() if name not in given}
    return Dimensions(result, symbols.sizes, defaulted)


def declared_dims(value: ir.Value) -> tuple[int | ir.SymbolicDim, ...] | None:
    """The declared dimensions, with a name for each unnamed one; None where the rank is unknown."""
    if value.shape is None:
        return None
    return tuple(
        ir.SymbolicDim(f"{value.name}[{axis}]")
        if not isinstance(dim, int) and dim.value is None
        else dim
        for axis, dim in enumerate(value.shape)
    )


def _refuse_unknown(kind: str, given: Iterable[str], known: Iterable[str]) -> None:
    for name in given:
        if name not in known:
            listed = ", ".join(known) or "none"
            raise UsageError(f"the model has no {kind} {name!r}; it has: {listed}")


def _refuse_huge(shapes: Mapping[str, tuple[int, ...]]) -> None:
    for name, shape in shapes.items():
        if math.prod(shape) > _MOST_ENTRIES:
            raise UsageError(
                f"input {name!r} of shape {list(shape)} has more than {_MOST_ENTRIES:,} entries: "
                "give other sizes (--input-shape, --dim), or leave the verification out"
            )


class _Symbols:
    """The symbols of the declared shapes, and the sizes they have so far."""

    def __init__(self, declared: Mapping[str, tuple[int | ir.SymbolicDim, ...] | None]) -> None:
        self.declared = declared
        self.sizes: dict[str, int] = {}
        dims = [dim for shape in declared.values() for dim in shape or ()]
        symbolic = [dim for dim in dims if isinstance(dim, ir.SymbolicDim)]
        self.names = list(dict.fromkeys(name for dim in symbolic for name in free_symbols(dim)))

    def bind(self, name: str, size: int, source: str) -> None:
        if size < 1:
            raise UsageError(f"{source}: dimension {name!r} is {size}; give a size of at least 1")
        if self.sizes.setdefault(name, size) != size:
            raise UsageError(
                f"{source}: dimension {name!r} is {size}, but {self.sizes[name]} was given before"
            )

    def bind_shape(self, name: str, shape: tuple[int, ...]) -> None:
        declared = self.declared[name]
        if declared is None:
            return
        if len(declared) != len(shape):
            raise UsageError(
                f"input {name!r} is declared {_text(declared)}; the shape given is {list(shape)}"
            )
        for dim, size in zip(declared, shape, strict=True):
            if isinstance(dim, int) and dim != size:
                raise UsageError(
                    f"input {name!r} is declared {_text(declared)}; the shape given is "
                    f"{list(shape)}"
                )
            if isinstance(dim, ir.SymbolicDim) and free_symbols(dim) == [str(dim)]:
                self.bind(str(dim), size, f"input {name!r}")

    def total(self) -> int:
        """Past plus new length, from the names of the other symbols or a step's static length."""
        past = [size for name, size in self.sizes.items() if _is_past(name)]
        new = [size for name, size in self.sizes.items() if _is_new(name)]
        steps = [
            shape[1]
            for name, shape in self.declared.items()
            if "ids" in name and shape and len(shape) == 2 and isinstance(shape[1], int)
        ]
        return (past or [0])[0] + (new or steps or [_SEQUENCE])[0]

    def shape(self, name: str, given: Sequence[int] | None) -> tuple[int, ...]:
        if given is not None:
            return tuple(given)
        declared = self.declared[name]
        if declared is None:
            raise UsageError(f"input {name!r} has no declared rank; give --input-shape {name}:...")
        return tuple(self._evaluate(name, dim) for dim in declared)

    def _evaluate(self, name: str, dim: int | ir.SymbolicDim) -> int:
        if isinstance(dim, int):
            return dim
        size = self.sizes[str(dim)] if str(dim) in self.sizes else evaluate(str(dim), self.sizes)
        if not isinstance(size, int) or size < 0:
            raise UsageError(f"input {name!r}: dimension {dim} comes out as {size}; give its size")
        return size


def free_symbols(dim: ir.SymbolicDim) -> list[str]:
    """The symbols of a dimension; text that is no expression is one symbol."""
    return symbols(str(dim))


def _default(name: str) -> int:
    lowered = name.lower()
    for words, size in _DEFAULTS:
        if any(word in lowered for word in words):
            return size
    return _BATCH if lowered.endswith("[0]") else _SEQUENCE


def _is_total(name: str) -> bool:
    return "total" in name.lower()


def _is_past(name: str) -> bool:
    return "past" in name.lower() and not _is_total(name)


def _is_new(name: str) -> bool:
    return "seq" in name.lower() and not _is_past(name) and not _is_total(name)


def _text(shape: Iterable[int | ir.SymbolicDim]) -> str:
    return f"[{', '.join(str(dim) for dim in shape)}]"
