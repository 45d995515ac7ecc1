"""Sizes beside the ones a model was run on: what holds for one size may hold for no other."""

from __future__ import annotations

__all__ = ["other_sizes"]

from collections.abc import Iterator, Mapping, Sequence

import onnx_ir as ir

from graphopt.inputs.dimensions import Dimensions, declared_dims, is_total
from graphopt.inputs.quantities import Quantity, quantities_of

_VARIED = (Quantity.SEQUENCE, Quantity.PAST, Quantity.UNKNOWN)
_STEP = 3
"""How much shorter a sequence is: of 16, 13 is left, which no power of two divides."""


def other_sizes(
    inputs: Sequence[ir.Value], chosen: Dimensions, given: Mapping[str, int]
) -> Iterator[dict[str, int]]:
    """Sizes of all symbols but totals, in the order in which to try them.

    Batches grow by one and sequences are shorter. First no two sequences are alike, so that one
    cannot stand for another, then those that were alike stay so, then both with the batch as it is.

    Args:
        inputs: The graph inputs.
        chosen: The sizes that they have.
        given: Sizes of symbols that the user gave; these stay.
    """
    declared = {value.name or "": declared_dims(value) for value in inputs}
    quantities = quantities_of(declared, list(chosen.symbols))
    free = [
        name
        for name in chosen.defaulted
        if name not in chosen.configured and not is_total(name) and chosen.defaulted[name] > 0
    ]
    batches = {
        name: chosen.symbols[name] + 1 for name in free if quantities[name] is Quantity.BATCH
    }
    sequences = [name for name in free if quantities[name] in _VARIED]
    distinct = {name: _other(chosen.symbols[name], number) for number, name in enumerate(sequences)}
    alike = {name: _other(chosen.symbols[name], 0) for name in sequences}
    kept = {name: size for name, size in chosen.symbols.items() if size > 0 and not is_total(name)}
    tries: list[dict[str, int]] = []
    for sizes in (batches | distinct, batches | alike, distinct, alike):
        if sizes and sizes not in tries:
            tries.append(sizes)
            yield {**kept, **given, **sizes}


def _other(size: int, number: int) -> int:
    """Another size than this one, and for each number another as long as there are."""
    return size - _STEP - number if size > _STEP + 1 + number else size + 1 + number
