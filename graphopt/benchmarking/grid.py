"""The grid of input sizes: which symbols a batch and a sequence length bind."""

from __future__ import annotations

__all__ = ["Place", "batch_size", "build_grid", "with_padding"]

import dataclasses
import itertools
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import onnx_ir as ir

from graphopt.errors import UsageError
from graphopt.inputs.dimensions import declared_dims, free_symbols

Shape = tuple[int | ir.SymbolicDim, ...]

_NOT_NEW = ("batch", "past", "cache", "total")
_LENGTH = ("seq", "len", "token", "time", "frame")


@dataclasses.dataclass(frozen=True)
class Place:
    """Input sizes of one point of the grid.

    Attributes:
        dims: Sizes of symbolic dimensions.
        input_shapes: Shapes of inputs.
    """

    dims: dict[str, int]
    input_shapes: dict[str, tuple[int, ...]]


def build_grid(
    model: ir.Model,
    *,
    batches: Sequence[int] = (),
    lengths: Sequence[int] = (),
    dims: Mapping[str, Sequence[int]] = {},
    input_shapes: Mapping[str, Sequence[Sequence[int]]] = {},
    arrays: Iterable[str] = (),
) -> tuple[list[Place], list[str]]:
    """All combinations of the sizes given.

    A length binds the symbols that are named as one (``seq``, ``len``, ``token``, ``time`` or
    ``frame`` is a part of them) and not as a past or total length. A batch binds the symbols that
    ``batch`` is a part of, or else the others that are the first dimension of an input.
    Where no batch is given and its symbol is free, it is 1.

    Args:
        model: The model whose inputs declare the symbols.
        batches: Batch sizes.
        lengths: Sequence lengths.
        dims: For some symbols the sizes to try.
        input_shapes: For some inputs the shapes to try.
        arrays: Names of the inputs that are given as arrays, which have their sizes.

    Returns:
        The places, batches outermost; and one line for each thing that a reader should be told.

    Raises:
        UsageError: The model has no symbol for a size given, or the size is given twice.
    """
    declared = _declared(model)
    axes: list[tuple[list[str], Sequence[int]]] = [([name], sizes) for name, sizes in dims.items()]
    notes = []
    symbols = _batch_symbols(declared)
    fixed = [name for name in (*input_shapes, *arrays) if name in declared]
    given = {*dims, *_symbols(declared[name] for name in fixed)}
    if batches:
        axes.insert(0, (_bound("--batch", symbols, dims, declared), batches))
        notes.append(f"--batch binds {', '.join(symbols)}")
    elif free := [name for name in symbols if name not in given]:
        axes.insert(0, (free, (1,)))
        notes.append(f"batch 1 ({', '.join(free)}) by default: --batch gives others")
    if lengths:
        symbols = _length_symbols(declared)
        axes.insert(1, (_bound("--seq", symbols, dims, declared), lengths))
        notes.append(f"--seq binds {', '.join(symbols)}")
    places = []
    for sizes in itertools.product(*(sizes for _, sizes in axes)):
        chosen = {n: size for (names, _), size in zip(axes, sizes, strict=True) for n in names}
        for combination in itertools.product(*input_shapes.values()):
            pairs = zip(input_shapes, combination, strict=True)
            places.append(Place(chosen, {name: tuple(shape) for name, shape in pairs}))
    return places, notes


def with_padding(place: Place, model: ir.Model) -> Place:
    """The place with at least two samples, of which generated masks pad all but the first."""
    symbols = _batch_symbols(_declared(model))
    dims = {name: max(size, 2) if name in symbols else size for name, size in place.dims.items()}
    return dataclasses.replace(place, dims=dims)


def batch_size(inputs: Mapping[str, np.ndarray], dims: Mapping[str, int]) -> int:
    """Items of a call: the size of the batch symbol, or else the first input's first dimension."""
    named = [size for name, size in dims.items() if "batch" in name.lower()]
    shapes = [array.shape for array in inputs.values() if array.ndim]
    return named[0] if named else (shapes[0][0] if shapes else 1)


def _declared(model: ir.Model) -> dict[str, Shape]:
    return {
        value.name or "": declared_dims(value) or ()
        for value in model.graph.inputs
        if value.const_value is None
    }


def _symbols(shapes: Iterable[Shape]) -> list[str]:
    """Every symbol that is a dimension; those that only occur in an expression are not."""
    dims = (dim for shape in shapes for dim in shape if not isinstance(dim, int))
    return list(dict.fromkeys(str(dim) for dim in dims if free_symbols(dim) == [str(dim)]))


def _batch_symbols(declared: Mapping[str, Shape]) -> list[str]:
    symbols = _symbols(declared.values())
    named = [name for name in symbols if "batch" in name.lower()]
    first = _symbols(shape[:1] for shape in declared.values())
    return named or [name for name in first if not any(word in name.lower() for word in _LENGTH)]


def _length_symbols(declared: Mapping[str, Shape]) -> list[str]:
    return [
        name
        for name in _symbols(declared.values())
        if any(word in name.lower() for word in _LENGTH)
        and not any(word in name.lower() for word in _NOT_NEW)
    ]


def _bound(
    option: str, symbols: list[str], dims: Iterable[str], declared: Mapping[str, Shape]
) -> list[str]:
    """``symbols``, where the option can bind them."""
    if not symbols:
        inputs = "; ".join(f"{name} [{_text(shape)}]" for name, shape in declared.items())
        raise UsageError(
            f"{option}: no symbolic dimension of the inputs is one ({inputs}): "
            "give --dim NAME=N or --input-shape, or export the model with a dynamic dimension"
        )
    for name in symbols:
        if name in dims:
            raise UsageError(f"{option} and --dim {name} give the same dimension: leave one out")
    return symbols


def _text(shape: Shape) -> str:
    return ", ".join(str(dim) for dim in shape)
