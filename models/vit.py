"""ViT (Dosovitskiy et al., 2020): a Pre-LN encoder over image patches."""

from __future__ import annotations

__all__ = ["RECIPES"]

from typing import Any

from graphopt.models.recipe import Feed, Input, Recipe


def _size(width: int, depth: int, heads: int, image: int = 224, patch: int = 16) -> dict[str, Any]:
    return {
        "hidden_size": width,
        "num_hidden_layers": depth,
        "num_attention_heads": heads,
        "intermediate_size": 4 * width,
        "image_size": image,
        "patch_size": patch,
        "num_labels": 1000 if image == 224 else 10,
    }


def _inputs(config: Any) -> tuple[Input, ...]:
    side = config.image_size
    return (Input("pixel_values", ("batch", config.num_channels, side, side), "float"),)


def _run(model: Any, feed: Feed) -> Feed:
    return {"logits": model(**feed).logits}


RECIPES = (
    Recipe(
        architecture="ViT",
        config="transformers:ViTConfig",
        model="transformers:ViTForImageClassification",
        sizes={
            "vit-ti-16": _size(192, 12, 3),
            "vit-s-16": _size(384, 12, 6),
            "vit-b-16": _size(768, 12, 12),
            "vit-l-16": _size(1024, 24, 16),
            "vit-ti-16-tiny": _size(48, 2, 3, image=32, patch=8),
        },
        blocks="num_hidden_layers",
        inputs=_inputs,
        run=_run,
    ),
)
