"""Hands the sizes that a user gives to the models that have dimensions of these names."""

from __future__ import annotations

__all__ = ["samples_of"]

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import onnx_ir as ir

from graphopt.errors import UsageError, listed
from graphopt.inputs.dimensions import declared_dims, free_symbols
from graphopt.options import Sample


def samples_of(models: Mapping[Path, ir.Model], given: Sample) -> dict[Path, Sample]:
    """What each model is run on.

    Args:
        models: The models, by path within the directory.
        given: What all are run on, with the sizes of any of them.

    Raises:
        UsageError: No model has a dimension of some name.
    """
    symbols = {path: _symbols(model) for path, model in models.items()}
    known = sorted(set().union(*symbols.values()))
    for name in given.dims:
        if name not in known:
            raise UsageError(
                f"no model has a symbolic dimension {name!r}: choose one of {listed(known)}"
            )
    return {
        path: dataclasses.replace(
            given, dims={name: size for name, size in given.dims.items() if name in symbols[path]}
        )
        for path in models
    }


def _symbols(model: ir.Model) -> set[str]:
    return {
        symbol
        for value in model.graph.inputs
        for dim in declared_dims(value) or ()
        if isinstance(dim, ir.SymbolicDim)
        for symbol in free_symbols(dim)
    }
