"""Runs an exporter on a built model and leaves a complete file, or none."""

from __future__ import annotations

__all__ = ["write"]

import tempfile
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor

from graphopt.errors import EnvironmentFailure, ModelError
from graphopt.models.building import SIZES, Exportable, feed
from graphopt.models.quiet import first_line
from graphopt.models.recipe import Input

EXTERNAL_BYTES = {"dynamo": 100_000_000, "torchscript": 1_500_000_000}
"""Weights above this size go to FILE.data. A protobuf stops at 2 GB."""


def write(model: Exportable, path: Path, exporter: str, opset: int | None, dtype: str) -> None:
    """Export `model` to `path`, with its weights in `path`.data where they are large.

    Args:
        model: in evaluation mode; it is converted to `dtype` in place.
        path: the file to write; an existing one is replaced when the export has succeeded.
        exporter: "dynamo" or "torchscript".
        opset: ONNX opset, None for the exporter's own.
        dtype: "float32" or "float16".

    Raises:
        ModelError: the exporter failed, or wrote another opset or shape.
        EnvironmentFailure: the file cannot be written.
    """
    torch_dtype = getattr(torch, dtype)
    model.to(torch_dtype)
    example = tuple(feed(model.inputs, SIZES, seed=0, dtype=torch_dtype).values())
    size = sum(parameter.nbytes for parameter in model.parameters())
    external = size > EXTERNAL_BYTES[exporter]
    export = _dynamo if exporter == "dynamo" else _torchscript
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".export-") as folder:
            # The same file name as the target's, since the model refers to its data by name.
            draft = Path(folder) / path.name
            try:
                with torch.no_grad():
                    model(*example)
                    export(model, example, draft, opset, external)
            except OSError:
                raise
            except Exception as error:  # exporters raise anything
                raise ModelError(
                    f"torch {torch.__version__} cannot export this model with {exporter}:"
                    f" {first_line(error)}; try another exporter or opset"
                ) from error
            _check(draft, model.inputs, opset)
            _move(draft, path)
    except OSError as error:
        raise EnvironmentFailure(
            f"{path}: cannot be written: {error.strerror or error}: check the disk and its "
            "permissions"
        ) from error


def _dynamo(
    model: Exportable,
    example: tuple[Tensor, ...],
    draft: Path,
    opset: int | None,
    external: bool,
) -> None:
    shapes = tuple(
        {axis: _dimension(dim) for axis, dim in enumerate(item.dims) if isinstance(dim, str)}
        for item in model.inputs
    )
    program = torch.onnx.export(
        model,
        example,
        dynamo=True,
        dynamic_shapes={"tensors": shapes},
        input_names=[item.name for item in model.inputs],
        output_names=list(model.outputs),
        opset_version=opset,
        verbose=False,
    )
    assert program is not None
    program.save(draft, external_data=external)


def _dimension(dim: str) -> Any:
    symbol, _, offset = dim.partition(" + ")
    return torch.export.Dim(symbol) + int(offset) if offset else torch.export.Dim(symbol)


def _torchscript(
    model: Exportable,
    example: tuple[Tensor, ...],
    draft: Path,
    opset: int | None,
    external: bool,
) -> None:
    torch.onnx.export(
        model,
        example,
        draft,
        dynamo=False,
        dynamic_axes={
            item.name: {axis: dim for axis, dim in enumerate(item.dims) if isinstance(dim, str)}
            for item in model.inputs
        },
        input_names=[item.name for item in model.inputs],
        output_names=list(model.outputs),
        opset_version=opset,
    )
    if external:
        loaded = onnx.load(draft)
        data = f"{draft.name}.data"
        onnx.save_model(loaded, draft, save_as_external_data=True, location=data)


def _check(draft: Path, inputs: tuple[Input, ...], opset: int | None) -> None:
    """Refuse what the exporters do in silence: another opset, or a symbolic size that is frozen."""
    model = onnx.load(draft, load_external_data=False)
    written = next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    if opset not in (None, written):
        raise ModelError(
            f"the exporter wrote opset {written} where {opset} was asked for: it does not know"
            f" {opset}; leave out --opset or choose another"
        )
    for item, value in zip(inputs, model.graph.input, strict=True):
        dims = tuple(dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim)
        if dims != item.dims:
            raise ModelError(
                f"the exporter gave input {item.name} the shape {dims} instead of {item.dims}: the"
                " model fixes a size; try another exporter"
            )


def _move(draft: Path, path: Path) -> None:
    """Data first: a reader that sees the new model finds its data."""
    data = draft.with_name(f"{draft.name}.data")
    if data.exists():
        data.replace(path.with_name(data.name))
    draft.replace(path)
