"""The zoo: real architectures with random weights, exported to ONNX on demand."""

from __future__ import annotations

__all__ = ["DTYPES", "EXPORTERS", "Description", "describe", "export", "names"]

import importlib.util
from pathlib import Path

from graphopt.errors import EnvironmentFailure, UsageError
from graphopt.models.recipe import DTYPES, EXPORTERS, Recipe
from graphopt.models.registry import Description, describe, find, names


def export(
    name: str,
    path: str | Path,
    *,
    exporter: str | None = None,
    opset: int | None = None,
    dtype: str = "float32",
    seed: int = 0,
    weights: str | Path | None = None,
) -> Path:
    """Export the model called `name` to the ONNX file `path`.

    Args:
        name: one of `names()`.
        path: the file to write; weights of more than 100 MB go to `path`.data beside it.
        exporter: "dynamo" or "torchscript", None for the one that the recipe prefers.
        opset: ONNX opset, None for the exporter's own.
        dtype: "float32" or "float16".
        seed: seed of the random weights.
        weights: a local Hugging Face directory to take configuration and weights from.

    Returns:
        `path`.

    Raises:
        UsageError: an unknown name, or an exporter, dtype or directory that cannot be used.
        ModelError: the exporter failed, or the directory lacks weights.
        EnvironmentFailure: torch or transformers is missing, or the file cannot be written.
    """
    recipe = find(name)
    chosen = _choose(name, recipe, exporter, dtype)
    target = Path(path)
    if not target.parent.is_dir():
        raise UsageError(f"{target.parent} is not a directory: create it first")
    missing = [m for m in ("torch", "transformers") if not _installed(m)]
    if missing:
        raise EnvironmentFailure(
            f'export needs {", ".join(missing)}: pip install "graphopt[export]"'
        )
    # torch takes seconds to import, so only what exports pays for it.
    from graphopt.models.building import build
    from graphopt.models.exporting import write
    from graphopt.models.quiet import quiet

    with quiet():
        model = build(recipe, name, seed, None if weights is None else Path(weights))
        write(model, target, chosen, opset, dtype)
    return target


def _choose(name: str, recipe: Recipe, exporter: str | None, dtype: str) -> str:
    if exporter not in (None, *EXPORTERS):
        raise UsageError(f"unknown exporter {exporter!r}: choose {' or '.join(EXPORTERS)}")
    if dtype not in DTYPES:
        raise UsageError(f"unknown dtype {dtype!r}: choose {' or '.join(DTYPES)}")
    working = recipe.exporters(dtype)
    if exporter is None:
        return working[0]
    if exporter not in working:
        raise UsageError(
            f"{exporter} cannot export {name} in {dtype}:"
            f" {recipe.cannot[exporter, dtype]}; choose {' or '.join(working)}"
        )
    return exporter


def _installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None
