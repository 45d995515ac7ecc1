"""From a recipe to a module that an exporter takes, and to inputs for it."""

from __future__ import annotations

__all__ = ["SIZES", "Exportable", "build", "feed"]

import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from graphopt.errors import ModelError, UsageError
from graphopt.models.perturbation import perturb
from graphopt.models.quiet import first_line
from graphopt.models.recipe import Feed, Input, Recipe

# No two alike and none of them 1: exporters freeze a size of 1 and may unify equal sizes.
SIZES = {
    "batch": 2,
    "sequence": 7,
    "past_sequence": 5,
    "encoder_sequence": 9,
    "decoder_sequence": 6,
    "samples": 4000,  # a dozen frames of the full-size wav2vec 2.0, never one
}
"""The size of each symbolic dimension in the example that the exporters trace."""


class Exportable(nn.Module):
    """A model behind a signature of plain tensors.

    Attributes:
        inputs: the graph inputs, in the order of the arguments of `forward`.
        outputs: the names of the outputs, known after the first call.
    """

    def __init__(self, recipe: Recipe, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.inputs: tuple[Input, ...] = recipe.inputs(model.config)
        self.outputs: tuple[str, ...] = ()
        self._run = recipe.run
        self.eval()

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Run the model on `tensors`, one for each of `inputs`."""
        names = (graph_input.name for graph_input in self.inputs)
        results = self._run(self.model, dict(zip(names, tensors, strict=True)))
        self.outputs = tuple(results)
        return tuple(results.values())


def build(recipe: Recipe, name: str, seed: int, weights: Path | None) -> Exportable:
    """The model called `name` in float32 and evaluation mode.

    Args:
        recipe: the recipe that has `name`.
        name: one of the recipe's sizes.
        seed: seed of the random weights.
        weights: a local Hugging Face directory to load configuration and weights from instead.

    Raises:
        UsageError: the directory holds another architecture, or the recipe takes no weights.
        ModelError: the directory cannot be loaded, or lacks some of the weights.
    """
    config_class, model_class = _resolve(recipe.config), _resolve(recipe.model)
    if weights is not None:
        return Exportable(recipe, _pretrained(recipe, config_class, model_class, weights))
    model = model_class(config_class(**recipe.sizes[name]))
    perturb(model, seed)
    return Exportable(recipe, model)


def feed(
    inputs: tuple[Input, ...], sizes: Mapping[str, int], seed: int, dtype: torch.dtype
) -> Feed:
    """Random valid tensors for `inputs`; `sizes` gives each symbolic dimension its size.

    Ids stay below the table that they index. A mask hides the last token of its last row, when
    there is more than one.
    """
    generator = torch.Generator().manual_seed(seed)
    return {item.name: _tensor(item, item.shape(sizes), generator, dtype) for item in inputs}


def _tensor(
    item: Input, shape: tuple[int, ...], generator: torch.Generator, dtype: torch.dtype
) -> Tensor:
    if item.kind == "ids":
        return torch.randint(item.high, shape, generator=generator)
    if item.kind == "float":
        return torch.randn(shape, generator=generator).to(dtype)
    mask = torch.ones(shape, dtype=torch.int64)
    if shape[-1] > 1:
        mask[-1, -1] = 0
    return mask


def _resolve(path: str) -> Any:
    module, _, attribute = path.partition(":")
    return getattr(importlib.import_module(module), attribute)


def _pretrained(recipe: Recipe, config_class: Any, model_class: Any, weights: Path) -> nn.Module:
    if not recipe.config.startswith("transformers:"):
        raise UsageError(f"{recipe.architecture} has no Hugging Face class: leave out --from")
    description = weights / "config.json"
    if not description.is_file():
        raise UsageError(f"{weights} has no config.json: give a Hugging Face model directory")
    try:
        stored = json.loads(description.read_text())
    except ValueError as error:
        raise ModelError(f"{description} is not JSON ({error}): fetch it again") from error
    # CLIP's towers are stored under the configuration of the pair.
    is_part = getattr(config_class, "base_config_key", "") in stored
    if stored.get("model_type") != config_class.model_type and not is_part:
        raise UsageError(
            f"{weights} holds a {stored.get('model_type')!r} model, the recipe takes"
            f" {config_class.model_type!r}: choose the name of its architecture"
        )
    try:
        model, info = model_class.from_pretrained(
            weights, local_files_only=True, dtype=torch.float32, output_loading_info=True
        )
    except Exception as error:  # each weight format raises its own kind
        raise ModelError(
            f"{weights} cannot be loaded ({first_line(error)}): fetch the model again"
        ) from error
    missing = sorted(info["missing_keys"])
    if missing:
        raise ModelError(
            f"{weights} lacks {len(missing)} weights of {model_class.__name__}, first {missing[0]}:"
            " give weights that were saved from that class"
        )
    assert isinstance(model, nn.Module)
    return model
