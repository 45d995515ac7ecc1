"""M2M100 and Pegasus: Pre-LN encoder and decoder in one graph, one table for three uses."""

from __future__ import annotations

__all__ = ["RECIPES"]

from typing import Any

from graphopt.models.decoder import MASKED_FLOAT16
from graphopt.models.recipe import Feed, Input, Recipe

FULL = {"d_model": 1024, "encoder_layers": 12, "decoder_layers": 12}
TINY = {
    "d_model": 48,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 96,
    "decoder_ffn_dim": 96,
    "max_position_embeddings": 64,
    "vocab_size": 101,
}


def _inputs(config: Any) -> tuple[Input, ...]:
    source, target = ("batch", "encoder_sequence"), ("batch", "decoder_sequence")
    return (
        Input("input_ids", source, "ids", config.vocab_size),
        Input("attention_mask", source, "mask"),
        Input("decoder_input_ids", target, "ids", config.vocab_size),
        Input("decoder_attention_mask", target, "mask"),
    )


def _run(model: Any, feed: Feed) -> Feed:
    return {"logits": model(**feed, use_cache=False).logits}


def _recipe(architecture: str, prefix: str, name: str) -> Recipe:
    return Recipe(
        architecture=architecture,
        config=f"transformers:{prefix}Config",
        model=f"transformers:{prefix}ForConditionalGeneration",
        sizes={name: FULL, f"{name}-tiny": TINY},
        blocks="encoder_layers",
        inputs=_inputs,
        run=_run,
        cannot=MASKED_FLOAT16,
        notes="two streams; one token table for encoder, decoder and vocabulary head",
    )


RECIPES = (
    _recipe("M2M100", "M2M100", "m2m100"),
    _recipe("Pegasus", "Pegasus", "pegasus-large"),
)
