"""DINOv2 and BEiT: Pre-LN vision encoders with a learned scale (LayerScale) on each branch."""

from __future__ import annotations

__all__ = ["RECIPES"]

from typing import Any

from graphopt.models.image import image_inputs, logits
from graphopt.models.recipe import Feed, Recipe

TINY = {
    "hidden_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "image_size": 32,
    "patch_size": 8,
}


def _run_dinov2(model: Any, feed: Feed) -> Feed:
    return {"last_hidden_state": model(**feed).last_hidden_state}


RECIPES = (
    Recipe(
        architecture="DINOv2",
        config="transformers:Dinov2Config",
        model="transformers:Dinov2Model",
        sizes={
            "dinov2-small": {
                "hidden_size": 384,
                "num_hidden_layers": 12,
                "num_attention_heads": 6,
                "image_size": 518,
            },
            "dinov2-small-tiny": TINY,
        },
        blocks="num_hidden_layers",
        inputs=image_inputs,
        run=_run_dinov2,
        notes="LayerScale",
    ),
    Recipe(
        architecture="BEiT",
        config="transformers:BeitConfig",
        model="transformers:BeitForImageClassification",
        sizes={
            "beit-b-16": {
                "hidden_size": 768,
                "num_hidden_layers": 12,
                "num_attention_heads": 12,
                "use_relative_position_bias": True,
                "num_labels": 1000,
            },
            "beit-b-16-tiny": TINY
            | {"intermediate_size": 96, "use_relative_position_bias": True, "num_labels": 10},
        },
        blocks="num_hidden_layers",
        inputs=image_inputs,
        run=logits,
        notes="LayerScale; mean pooling before the last LayerNorm",
    ),
)
