"""What a symbolic dimension stands for: by its name, or by its place in an input."""

from __future__ import annotations

__all__ = ["Quantity", "named_quantity", "quantities_of"]

import enum
from collections.abc import Mapping, Sequence

import onnx_ir as ir


class Quantity(enum.Enum):
    """What a dimension counts."""

    BATCH = "batch"
    PAST = "past"
    HEIGHT = "height"
    WIDTH = "width"
    SAMPLES = "samples"
    CHANNELS = "channels"
    SEQUENCE = "sequence"
    HEAD_SIZE = "head size"
    HEADS = "heads"
    FEATURES = "features"
    UNKNOWN = "unknown"


# The first row with a word of the name applies.
_WORDS = (
    (("kv_cache_dim",), Quantity.HEAD_SIZE),
    (("batch",), Quantity.BATCH),
    (("past", "cache"), Quantity.PAST),
    (("height",), Quantity.HEIGHT),
    (("width",), Quantity.WIDTH),
    (("sample", "audio", "wave"), Quantity.SAMPLES),
    (("channel",), Quantity.CHANNELS),
    (("seq", "len", "token", "time", "frame"), Quantity.SEQUENCE),
    (("head_dim", "head_size"), Quantity.HEAD_SIZE),
    (("head",), Quantity.HEADS),
    (("hidden", "embed", "mel", "feature"), Quantity.FEATURES),
)
_IMAGE = (Quantity.BATCH, Quantity.CHANNELS, Quantity.HEIGHT, Quantity.WIDTH)
_CACHE = (Quantity.BATCH, Quantity.HEADS, Quantity.PAST, Quantity.HEAD_SIZE)
_IMAGE_CHANNELS = (1, 3)


def named_quantity(name: str) -> Quantity:
    """What a name says; unknown where it says nothing."""
    lowered = name.lower()
    for words, quantity in _WORDS:
        if any(word in lowered for word in words):
            return quantity
    return Quantity.UNKNOWN


def quantities_of(
    declared: Mapping[str, Sequence[int | ir.SymbolicDim] | None], symbols: Sequence[str]
) -> dict[str, Quantity]:
    """What each symbol stands for.

    A symbol whose name says nothing is told by its place: the first dimension of an input that
    nobody named is the batch; an input of four dimensions is an image where its name or its
    channels say so, and a cache of keys and values where its name says so.

    Args:
        declared: The dimensions of each input, by name; None where the rank is unknown.
        symbols: The symbols.
    """
    found: dict[str, Quantity] = {}
    for name, shape in declared.items():
        places = _places(name, shape or ())
        for axis, dim in enumerate(shape or ()):
            symbol = str(dim)
            if isinstance(dim, int) or symbol in found:
                continue
            generic = symbol == f"{name}[{axis}]"  # an unnamed one: it bears the input's name
            quantity = Quantity.UNKNOWN if generic else named_quantity(symbol)
            if quantity is Quantity.UNKNOWN and places:
                quantity = places[axis]
            elif quantity is Quantity.UNKNOWN and generic:
                quantity = Quantity.BATCH if axis == 0 else named_quantity(symbol)
            found[symbol] = quantity
    return {symbol: found.get(symbol, named_quantity(symbol)) for symbol in symbols}


def _places(name: str, shape: Sequence[int | ir.SymbolicDim]) -> tuple[Quantity, ...]:
    lowered = name.lower()
    if len(shape) != len(_IMAGE) or any(word in lowered for word in ("mask", "bias", "ids")):
        return ()
    if any(word in lowered for word in ("past", "cache", "key", "value")):
        return _IMAGE if "pixel" in lowered else _CACHE
    is_image = any(word in lowered for word in ("pixel", "image")) or shape[1] in _IMAGE_CHANNELS
    return _IMAGE if is_image else ()
