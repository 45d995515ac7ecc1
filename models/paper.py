"""The paper's own ViT and GPT (arXiv 2305.14858), without any library's export quirks."""

from __future__ import annotations

__all__ = ["RECIPES"]

from typing import Any

from graphopt.models.decoder import MASKED_FLOAT16
from graphopt.models.image import image_inputs
from graphopt.models.recipe import Feed, Input, Recipe


def _vit(width: int, depth: int, heads: int) -> dict[str, Any]:
    return {"width": width, "depth": depth, "heads": heads, "outputs": 1000}


def _gpt(width: int, depth: int, heads: int, head_size: int) -> dict[str, Any]:
    size = {"width": width, "depth": depth, "heads": heads, "head_size": head_size}
    return size | {"outputs": 50257}


def _gpt_inputs(config: Any) -> tuple[Input, ...]:
    return (Input("input_ids", ("batch", "sequence"), "ids", config.outputs),)


def _run(model: Any, feed: Feed) -> Feed:
    return {"logits": model(*feed.values())}


RECIPES = (
    Recipe(
        architecture="paper ViT",
        config="graphopt.models.paper_modules:PaperConfig",
        model="graphopt.models.paper_modules:PaperViT",
        sizes={
            "paper-vit-ti-16": _vit(192, 12, 3),
            "paper-vit-s-16": _vit(384, 12, 6),
            "paper-vit-b-16": _vit(768, 12, 12),
            "paper-vit-l-16": _vit(1024, 24, 16),
            "paper-vit-h-14": _vit(1280, 32, 16) | {"patch_size": 14},
            "paper-vit-g-14": _vit(1664, 48, 16) | {"patch_size": 14, "hidden": 8192},
            # The one on which the authors show the equivalence.
            "paper-vit-demo": _vit(64, 4, 4) | {"outputs": 100, "image_size": 32, "patch_size": 4},
            "paper-vit-ti-16-tiny": _vit(48, 2, 3)
            | {"outputs": 10, "image_size": 32, "patch_size": 8},
        },
        blocks="depth",
        inputs=image_inputs,
        run=_run,
        notes="plain PyTorch",
    ),
    Recipe(
        architecture="paper GPT",
        config="graphopt.models.paper_modules:PaperConfig",
        model="graphopt.models.paper_modules:PaperGPT",
        sizes={
            "paper-gpt-s": _gpt(768, 12, 12, 64),
            "paper-gpt-m": _gpt(1024, 24, 16, 64),
            "paper-gpt-l": _gpt(1536, 24, 16, 96),
            "paper-gpt-xl": _gpt(2048, 24, 24, 128),
            "paper-gpt-2.7b": _gpt(2560, 32, 32, 80),
            "paper-gpt-6.7b": _gpt(4096, 32, 32, 128),
            "paper-gpt-13b": _gpt(5140, 40, 40, 128),
            "paper-gpt-175b": _gpt(12288, 96, 96, 128),
            "paper-gpt-s-tiny": _gpt(48, 2, 4, 16) | {"outputs": 101, "positions": 64},
        },
        blocks="depth",
        inputs=_gpt_inputs,
        run=_run,
        cannot=MASKED_FLOAT16,
        notes="plain PyTorch; untied vocabulary head",
    ),
)
