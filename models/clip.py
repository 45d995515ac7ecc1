"""CLIP's two towers: the vision tower normalizes its embeddings before the first block."""

from __future__ import annotations

__all__ = ["RECIPES"]

from typing import Any

from graphopt.models.decoder import MASKED_FLOAT16, token_inputs
from graphopt.models.image import image_inputs
from graphopt.models.recipe import Feed, Recipe

TINY = {
    "hidden_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 96,
    "projection_dim": 24,
}


def _run_vision(model: Any, feed: Feed) -> Feed:
    result = model(**feed)
    return {"image_embeds": result.image_embeds}


def _run_text(model: Any, feed: Feed) -> Feed:
    result = model(**feed)
    return {"text_embeds": result.text_embeds, "last_hidden_state": result.last_hidden_state}


RECIPES = (
    Recipe(
        architecture="CLIP vision",
        config="transformers:CLIPVisionConfig",
        model="transformers:CLIPVisionModelWithProjection",
        sizes={
            "clip-vit-b-32-vision": {
                "hidden_size": 768,
                "num_hidden_layers": 12,
                "num_attention_heads": 12,
                "intermediate_size": 3072,
            },
            "clip-vit-b-32-vision-tiny": TINY | {"image_size": 32, "patch_size": 8},
        },
        blocks="num_hidden_layers",
        inputs=image_inputs,
        run=_run_vision,
        notes="the stream starts with a LayerNorm",
    ),
    Recipe(
        architecture="CLIP text",
        config="transformers:CLIPTextConfig",
        model="transformers:CLIPTextModelWithProjection",
        sizes={
            "clip-vit-b-32-text": {
                "hidden_size": 512,
                "num_hidden_layers": 12,
                "num_attention_heads": 8,
                "intermediate_size": 2048,
            },
            "clip-vit-b-32-text-tiny": TINY
            | {
                "vocab_size": 101,
                "max_position_embeddings": 32,
                "bos_token_id": 99,
                "eos_token_id": 100,
            },
        },
        blocks="num_hidden_layers",
        inputs=token_inputs,
        run=_run_text,
        cannot=MASKED_FLOAT16,
    ),
)
