"""The cases of a seed: a real export, what is done to it, and what it is optimized for."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence
from pathlib import Path

import onnx

from tests.fuzzing.byte_mutations import mutate_bytes
from tests.fuzzing.field_mutations import mutate_fields
from tests.fuzzing.graph_mutations import mutate_graph

__all__ = ["Case", "draw_case"]

_TARGETS = (
    ("--ops", "custom"),
    ("--ops", "standard"),
    ("--ops", "ort"),
    ("--ops", "ort", "--provider", "cuda"),
    ("--variant", "crms"),
    ("--variant", "crms", "--basis", "drop"),
    ("--variant", "crms", "--ops", "standard"),
)
_EXTERNAL_SHARE = 0.1


@dataclasses.dataclass(frozen=True)
class Case:
    """One damaged file.

    Attributes:
        seed: Seed of the run.
        number: Number of the case; both together give the case again.
        source: The export that it was made from.
        external: True where the weights are in a file beside the model.
        change: What was done, in words.
        options: Options of ``graphopt optimize``.
    """

    seed: int
    number: int
    source: str
    external: bool
    change: str
    options: tuple[str, ...]


def draw_case(seed: int, number: int, models: Sequence[Path], folder: Path) -> tuple[Case, Path]:
    """Write the damaged file of a case into ``folder``."""
    draw = random.Random(f"{seed}:{number}")
    source = draw.choice(sorted(models))
    target = folder / "model.onnx"
    external = draw.random() < _EXTERNAL_SHARE
    if external:
        model = onnx.load(source)
        data = {"location": "model.onnx.data", "size_threshold": 64}
        onnx.save(model, target, save_as_external_data=True, convert_attribute=True, **data)
        content = target.read_bytes()
    else:
        content = source.read_bytes()
    kind = draw.choices((mutate_bytes, mutate_fields, mutate_graph), (3, 4, 6))[0]
    if external and draw.random() < 0.3:
        data_file = folder / "model.onnx.data"
        data_bytes = data_file.read_bytes()
        cut = draw.randrange(len(data_bytes))
        data_file.write_bytes(data_bytes[:cut])
        change = f"data cut at byte {cut}"
    elif external:
        # The entries that say where a weight lies are a small part of the file: fields reach them.
        change, content = mutate_fields(content, draw)
    else:
        change, content = kind(content, draw)
    target.write_bytes(content)
    return Case(seed, number, source.name, external, change, draw.choice(_TARGETS)), target
