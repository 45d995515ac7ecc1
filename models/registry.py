"""The names of the zoo. Nothing here imports torch: listing is as fast as reading small files."""

from __future__ import annotations

__all__ = ["Description", "describe", "find", "names"]

import difflib
import importlib
from dataclasses import dataclass
from functools import cache

from graphopt.errors import UsageError
from graphopt.models.recipe import Recipe

FAMILIES = (
    "vit",
    "layer_scale",
    "clip",
    "gpt2",
    "opt",
    "pythia",
    "phi",
    "llama",
    "causal",
    "bert",
    "text_encoders",
    "whisper",
    "encoder_decoder",
    "stages",
    "media",
    "paper",
)


@dataclass(frozen=True)
class Description:
    """One line of `graphopt export --list`.

    Attributes:
        name: what to ask for.
        architecture: the name that people know it by.
        blocks: number of blocks L.
        exporters: the exporters that work in float32, the preferred one first.
        float16_exporters: the exporters that work in float16.
        cannot: one sentence for each (exporter, dtype) that fails.
        notes: what is special about it.
    """

    name: str
    architecture: str
    blocks: int
    exporters: tuple[str, ...]
    float16_exporters: tuple[str, ...]
    cannot: tuple[str, ...]
    notes: str


def names() -> list[str]:
    """Every name that `export` takes, the tiny test forms included."""
    return list(_recipes())


def find(name: str) -> Recipe:
    """The recipe that has a size called `name`.

    Raises:
        UsageError: no recipe has it; the message lists the closest names.
    """
    recipes = _recipes()
    if name not in recipes:
        close = difflib.get_close_matches(name, recipes, n=5, cutoff=0.5)
        advice = f"did you mean {', '.join(close)}?" if close else "see graphopt export --list"
        raise UsageError(f"unknown model {name!r}: {advice}")
    return recipes[name]


def describe() -> list[Description]:
    """What can be exported, in the order of the zoo."""
    return [
        Description(
            name=name,
            architecture=recipe.architecture,
            blocks=recipe.block_count(name),
            exporters=recipe.exporters("float32"),
            float16_exporters=recipe.exporters("float16"),
            cannot=tuple(
                f"{exporter} {dtype}: {reason}"
                for (exporter, dtype), reason in recipe.cannot.items()
            ),
            notes=recipe.notes,
        )
        for name, recipe in _recipes().items()
    ]


@cache
def _recipes() -> dict[str, Recipe]:
    found: dict[str, Recipe] = {}
    for family in FAMILIES:
        module = importlib.import_module(f"graphopt.models.{family}")
        for recipe in module.RECIPES:
            found |= dict.fromkeys(recipe.sizes, recipe)
    return found
