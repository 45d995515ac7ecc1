"""Sizes that the files beside a model state: those of Hugging Face and of ONNX Runtime genai."""

from __future__ import annotations

__all__ = ["Configuration", "read_configuration"]

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from graphopt.inputs.quantities import Quantity
from graphopt.json_values import parse_json

_FILES = ("config.json", "preprocessor_config.json", "genai_config.json")
_LARGEST_BYTES = 1 << 20
# The first key that a file has applies, at any depth: the text or vision part of a model is nested.
_KEYS = {
    Quantity.CHANNELS: ("num_channels", "in_channels"),
    Quantity.HEADS: ("num_key_value_heads", "num_attention_heads", "n_head", "num_heads",
                    "decoder_attention_heads", "encoder_attention_heads"),
    Quantity.HEAD_SIZE: ("head_dim", "head_size", "d_kv"),
    Quantity.FEATURES: ("num_mel_bins", "hidden_size", "n_embd", "d_model"),
}  # fmt: skip
_POSITIONS = ("max_position_embeddings", "n_positions", "max_target_positions", "context_length")
_IMAGES = ("image_size", "crop_size", "size", "sample_size")


@dataclasses.dataclass(frozen=True)
class Configuration:
    """What is known of a model's sizes.

    Attributes:
        sizes: The size of each quantity that is known.
        positions: The longest sequence, or None where it is not known.
        files: Names of the files that it was read from.
    """

    sizes: Mapping[Quantity, int] = dataclasses.field(default_factory=dict)
    positions: int | None = None
    files: tuple[str, ...] = ()


def read_configuration(model: Path) -> Configuration:
    """What the files beside a model, or in the folder above it, say.

    Files that are missing or say nothing that can be used are passed over.
    """
    found = {name: read for name in _FILES if (read := _read(model, name)) is not None}
    entries = list(found.values())
    sizes: dict[Quantity, int] = {}
    for quantity, keys in _KEYS.items():
        if (size := _first(entries, keys)) is not None:
            sizes[quantity] = size
    width, heads = (
        _first(entries, _KEYS[Quantity.FEATURES][1:]),
        _first(entries, _KEYS[Quantity.HEADS][1:]),
    )
    if Quantity.HEAD_SIZE not in sizes and width and heads:
        sizes[Quantity.HEAD_SIZE] = width // heads
    sizes |= next(filter(None, map(_image_size, _values(entries, _IMAGES))), {})
    used = tuple(found) if sizes or _first(entries, _POSITIONS) else ()
    return Configuration(sizes, _first(entries, _POSITIONS), used)


def _read(model: Path, name: str) -> Any:
    for folder in (model.parent, model.parent.parent):
        path = folder / name
        try:
            if path.is_file() and path.stat().st_size <= _LARGEST_BYTES:
                return parse_json(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
    return None


def _values(entry: Any, keys: tuple[str, ...]) -> Iterator[Any]:
    """The values of the keys, the first key first, those outside before those inside."""
    for key in keys:
        level = [entry]
        while level:
            mappings = [item for item in level if isinstance(item, dict)]
            yield from (item[key] for item in mappings if key in item)
            inner = [value for item in mappings for value in item.values()]
            inner += [value for item in level if isinstance(item, list) for value in item]
            level = [value for value in inner if isinstance(value, dict | list)]


def _first(entry: Any, keys: tuple[str, ...]) -> int | None:
    return next((value for value in _values(entry, keys) if _is_size(value)), None)


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 1 << 31


def _image_size(value: Any) -> dict[Quantity, int]:
    """Height and width, of which a configuration writes one number, two, or names."""
    if isinstance(value, dict):
        edge = value.get("shortest_edge")
        value = [value.get("height", edge), value.get("width", edge)]
    if not isinstance(value, list):
        value = [value, value]
    if len(value) != 2 or not all(map(_is_size, value)):
        return {}
    return {Quantity.HEIGHT: value[0], Quantity.WIDTH: value[1]}
