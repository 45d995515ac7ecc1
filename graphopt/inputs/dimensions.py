"""Chooses a size for every symbolic dimension of the graph inputs."""

from __future__ import annotations

__all__ = [
    "ATTEMPTS",
    "Dimensions",
    "InputsUnknown",
    "choose_dimensions",
    "declared_dims",
    "free_symbols",
    "is_total",
]

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence

import onnx_ir as ir

from graphopt.errors import UsageError, listed
from graphopt.inputs.configuration import Configuration
from graphopt.inputs.quantities import Quantity, quantities_of
from graphopt.inputs.size_expressions import evaluate, symbols

_SEQUENCE = 16
_DEFAULTS = {
    Quantity.BATCH: 2,
    Quantity.PAST: 8,
    Quantity.HEIGHT: 224,
    Quantity.WIDTH: 224,
    Quantity.SAMPLES: 4000,  # a speech model's strided convolutions need some hundreds
    Quantity.CHANNELS: 3,
    Quantity.SEQUENCE: _SEQUENCE,
}
"""A total is derived, see below; all else is as long as a sequence."""
_IMAGES_AND_SOUND = (Quantity.HEIGHT, Quantity.WIDTH, Quantity.CHANNELS, Quantity.SAMPLES)
"""A model takes these sizes, or none."""
_SMALLEST, _MOST_ELEMENTS = 2, 1 << 20
_LARGEST = 1 << 26
"""Entries of an input that the file declares: half a gigabyte while it is drawn."""


def _square(size: int) -> dict[Quantity, int]:
    return {Quantity.BATCH: 1, Quantity.HEIGHT: size, Quantity.WIDTH: size}


def _long(size: int) -> dict[Quantity, int]:
    return {Quantity.BATCH: 1, Quantity.SEQUENCE: size, Quantity.UNKNOWN: size}


ATTEMPTS: tuple[Mapping[Quantity, int], ...] = (
    {},
    {Quantity.BATCH: 1},
    *({Quantity.SEQUENCE: n, Quantity.UNKNOWN: n, Quantity.PAST: n // 2} for n in (8, 4, 2)),
    *map(_long, (1, 4, 128, 64, 77, 256, 512)),
    *map(_square, (32, 64, 256, 384, 512)),
    {Quantity.BATCH: 1, Quantity.SAMPLES: 16000},
)
"""Sizes to try one after the other, until a model runs: each beside the defaults."""


class InputsUnknown(UsageError):
    """What an input may be cannot be told from the graph; the message says what to give."""


@dataclasses.dataclass(frozen=True)
class Dimensions:
    """Sizes of the graph inputs.

    Attributes:
        shapes: Shape of each input, by name.
        symbols: Size of each symbol that the declared shapes mention; an unnamed dimension is
            called ``input[axis]``.
        defaulted: The symbols among them that nobody gave and no expression determined.
        configured: Those among the defaulted that the configuration of the model states.
    """

    shapes: dict[str, tuple[int, ...]]
    symbols: dict[str, int]
    defaulted: dict[str, int]
    configured: dict[str, int]


def choose_dimensions(
    inputs: Iterable[ir.Value],
    shapes: Mapping[str, Sequence[int]],
    dims: Mapping[str, int],
    configuration: Configuration = Configuration(),  # noqa: B008 (immutable)
    attempt: Mapping[Quantity, int] = ATTEMPTS[0],
) -> Dimensions:
    """Sizes that agree with what the user gave, with the declared expressions, and with the names.

    A declared dimension that is an expression (``past_sequence + 1``) follows from its symbols. A
    symbol named a total follows from the past and the new sequence length. Every other symbol
    that was not given gets the size that the configuration states for what it stands for, or a
    default: batch 2, past 8, sequence 16, images of 224 x 224. A sequence is no longer than the
    configuration allows; dimensions but those of images and sound are made smaller, down to 2,
    until their input has 2^20 elements.

    Args:
        inputs: The graph inputs to choose for.
        shapes: Complete shapes of some inputs, by name.
        dims: Sizes of some symbols, by name.
        configuration: What the files beside the model state.
        attempt: Sizes that take the place of defaults, by what a symbol stands for.

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
    quantities = quantities_of(declared, symbols.names)
    defaults = _defaults(configuration, attempt)
    free = [name for name in symbols.names if name not in given and not is_total(name)]
    for name in free:
        symbols.sizes[name] = defaults.get(quantities[name], defaults[Quantity.UNKNOWN])
    known = {*_IMAGES_AND_SOUND, *configuration.sizes}
    symbols.bound([name for name in free if quantities[name] not in known])
    for name in symbols.names:
        if name not in symbols.sizes:
            symbols.sizes[name] = symbols.total()
    result = {name: symbols.shape(name, shapes.get(name)) for name in declared}
    _refuse_huge({name: shape for name, shape in result.items() if name not in shapes})
    defaulted = {name: size for name, size in symbols.sizes.items() if name not in given}
    stated = {name for name in free if configuration.sizes.get(quantities[name]) == defaulted[name]}
    configured = {name: size for name, size in defaulted.items() if name in stated}
    return Dimensions(result, symbols.sizes, defaulted, configured)


def _defaults(configuration: Configuration, attempt: Mapping[Quantity, int]) -> dict[Quantity, int]:
    sizes = _DEFAULTS | {Quantity.UNKNOWN: _SEQUENCE} | dict(configuration.sizes) | dict(attempt)
    if configuration.positions is not None:
        sizes[Quantity.SEQUENCE] = min(sizes[Quantity.SEQUENCE], configuration.positions)
        room = configuration.positions - sizes[Quantity.SEQUENCE]
        sizes[Quantity.PAST] = max(1, min(sizes[Quantity.PAST], room))
    return sizes


def declared_dims(value: ir.Value) -> tuple[int | ir.SymbolicDim, ...] | None:
    """The declared dimensions, with a name for each unnamed one; None where the rank is unknown.

    A negative size, which some exporters write for a dynamic dimension, is unnamed; so is "".
    """
    if value.shape is None:
        return None
    return tuple(
        ir.SymbolicDim(f"{value.name}[{axis}]")
        if (dim < 0 if isinstance(dim, int) else not dim.value)
        else dim
        for axis, dim in enumerate(value.shape)
    )


def _refuse_unknown(kind: str, given: Iterable[str], known: Iterable[str]) -> None:
    for name in given:
        if name not in known:
            raise UsageError(f"the model has no {kind} {name!r}: choose one of {listed(known)}")


def _refuse_huge(shapes: Mapping[str, tuple[int, ...]]) -> None:
    for name, shape in shapes.items():
        if math.prod(shape) > _LARGEST:
            raise InputsUnknown(
                f"input {name!r} of shape {list(shape)} has more than {_LARGEST:,} entries: "
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
                f"{source}: dimension {name!r} is {size}, but {self.sizes[name]} was given before: "
                "give one size"
            )

    def bind_shape(self, name: str, shape: tuple[int, ...]) -> None:
        declared = self.declared[name]
        if declared is None:
            return
        if len(declared) != len(shape):
            raise UsageError(
                f"input {name!r} is declared {_text(declared)}; the shape given is {list(shape)}: "
                "give one that fits"
            )
        for dim, size in zip(declared, shape, strict=True):
            if isinstance(dim, int) and dim != size:
                raise UsageError(
                    f"input {name!r} is declared {_text(declared)}; the shape given is "
                    f"{list(shape)}: give one that fits"
                )
            if isinstance(dim, ir.SymbolicDim) and free_symbols(dim) == [str(dim)]:
                self.bind(str(dim), size, f"input {name!r}")

    def bound(self, names: Iterable[str]) -> None:
        """Halve the largest of these symbols of each input that has too many elements."""
        free = set(names)
        for shape in self.declared.values():
            while own := sorted(free.intersection(map(str, shape or ()))):
                sizes = (
                    dim if isinstance(dim, int) else self.sizes.get(str(dim), 1)
                    for dim in shape or ()
                )
                largest = max(own, key=self.sizes.__getitem__)
                if math.prod(sizes) <= _MOST_ELEMENTS or self.sizes[largest] <= _SMALLEST:
                    break
                self.sizes[largest] //= 2

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
            raise InputsUnknown(
                f"input {name!r} has no declared rank; give --input-shape {name}:..."
            )
        return tuple(self._evaluate(name, dim) for dim in declared)

    def _evaluate(self, name: str, dim: int | ir.SymbolicDim) -> int:
        if isinstance(dim, int):
            return dim
        size = self.sizes[str(dim)] if str(dim) in self.sizes else evaluate(str(dim), self.sizes)
        if not isinstance(size, int) or size < 0:
            raise InputsUnknown(
                f"input {name!r}: dimension {dim} comes out as {size}; give its size"
            )
        return size


def free_symbols(dim: ir.SymbolicDim) -> list[str]:
    """The symbols of a dimension; text that is no expression is one symbol."""
    return symbols(str(dim))


def is_total(name: str) -> bool:
    """True where a symbol is named as a sum of a past and a new length."""
    return "total" in name.lower()


def _is_past(name: str) -> bool:
    return "past" in name.lower() and not is_total(name)


def _is_new(name: str) -> bool:
    return "seq" in name.lower() and not _is_past(name) and not is_total(name)


def _text(shape: Iterable[int | ir.SymbolicDim]) -> str:
    return f"[{', '.join(str(dim) for dim in shape)}]"
