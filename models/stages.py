"""ConvNeXt and Swin: the width changes between stages, so there are several streams."""

from __future__ import annotations

__all__ = ["RECIPES"]

from graphopt.models.image import image_inputs, logits
from graphopt.models.recipe import Recipe

RECIPES = (
    Recipe(
        architecture="ConvNeXt",
        config="transformers:ConvNextConfig",
        model="transformers:ConvNextForImageClassification",
        sizes={
            "convnext-t": {
                "hidden_sizes": [96, 192, 384, 768],
                "depths": [3, 3, 9, 3],
                "num_labels": 1000,
            },
            "convnext-t-tiny": {
                "hidden_sizes": [16, 24],
                "depths": [1, 2],
                "num_stages": 2,
                "image_size": 32,
                "num_labels": 10,
            },
        },
        blocks="depths",
        inputs=image_inputs,
        run=logits,
        notes="depthwise convolutions read the stream raw; LayerScale",
    ),
    Recipe(
        architecture="Swin",
        config="transformers:SwinConfig",
        model="transformers:SwinForImageClassification",
        sizes={
            "swin-t": {
                "embed_dim": 96,
                "depths": [2, 2, 6, 2],
                "num_heads": [3, 6, 12, 24],
                "num_labels": 1000,
            },
            "swin-t-tiny": {
                "embed_dim": 24,
                "depths": [2, 2],
                "num_heads": [2, 4],
                "window_size": 4,
                "image_size": 32,
                "num_labels": 10,
            },
        },
        blocks="depths",
        inputs=image_inputs,
        run=logits,
        notes="patch merging reads the stream raw",
    ),
)
