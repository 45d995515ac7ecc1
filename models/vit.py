"""ViT (Dosovitskiy et al., 2020) and DeiT: Pre-LN encoders over image patches."""

from __future__ import annotations

__all__ = ["RECIPES"]

from typing import Any

from graphopt.models.image import image_inputs, logits
from graphopt.models.recipe import Recipe

TINY_IMAGE = {"image_size": 32, "patch_size": 8, "num_labels": 10}


def _size(width: int, depth: int, heads: int) -> dict[str, Any]:
    return {
        "hidden_size": width,
        "num_hidden_layers": depth,
        "num_attention_heads": heads,
        "intermediate_size": 4 * width,
        "num_labels": 1000,
    }


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
            "vit-ti-16-tiny": _size(48, 2, 3) | TINY_IMAGE,
        },
        blocks="num_hidden_layers",
        inputs=image_inputs,
        run=logits,
    ),
    Recipe(
        architecture="DeiT",
        config="transformers:DeiTConfig",
        model="transformers:DeiTForImageClassification",
        sizes={
            "deit-b-16": _size(768, 12, 12),
            "deit-b-16-tiny": _size(48, 2, 3) | TINY_IMAGE,
        },
        blocks="num_hidden_layers",
        inputs=image_inputs,
        run=logits,
    ),
)
