"""ModernBERT and ESM-2: Pre-LN text encoders."""

from __future__ import annotations

__all__ = ["RECIPES"]

from typing import Any

from graphopt.models.decoder import MASKED_FLOAT16, token_inputs
from graphopt.models.recipe import Feed, Recipe

TINY = {
    "hidden_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 96,
    "max_position_embeddings": 64,
}


def _run(model: Any, feed: Feed) -> Feed:
    return {"last_hidden_state": model(**feed).last_hidden_state}


RECIPES = (
    Recipe(
        architecture="ModernBERT",
        config="transformers:ModernBertConfig",
        model="transformers:ModernBertModel",
        sizes={
            "modernbert-base": {"num_hidden_layers": 22},
            "modernbert-base-tiny": TINY
            | {
                "vocab_size": 101,
                "local_attention": 4,
                "pad_token_id": 0,
                "bos_token_id": 1,
                "eos_token_id": 2,
                "cls_token_id": 1,
                "sep_token_id": 2,
            },
        },
        blocks="num_hidden_layers",
        inputs=token_inputs,
        run=_run,
        cannot=MASKED_FLOAT16,
        notes="LayerNorm without beta, one on the embeddings",
    ),
    Recipe(
        architecture="ESM-2",
        config="transformers:EsmConfig",
        model="transformers:EsmModel",
        sizes={
            "esm2-t12-35m": {
                "vocab_size": 33,
                "hidden_size": 480,
                "num_hidden_layers": 12,
                "num_attention_heads": 20,
                "intermediate_size": 1920,
                "position_embedding_type": "rotary",
                "token_dropout": True,
                "mask_token_id": 32,
                "pad_token_id": 1,
                "emb_layer_norm_before": False,
            },
            "esm2-t12-35m-tiny": TINY
            | {
                "vocab_size": 33,
                "position_embedding_type": "rotary",
                "token_dropout": True,
                "mask_token_id": 32,
                "pad_token_id": 1,
                "emb_layer_norm_before": False,
            },
        },
        blocks="num_hidden_layers",
        inputs=token_inputs,
        run=_run,
        cannot=MASKED_FLOAT16,
        notes="token dropout scales the embeddings by a factor for each sequence",
    ),
)
