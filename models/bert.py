"""BERT: a Post-LN encoder, where the stream itself passes through every LayerNorm."""

from __future__ import annotations

__all__ = ["RECIPES"]

from typing import Any

from graphopt.models.decoder import MASKED_FLOAT16, token_inputs
from graphopt.models.recipe import Feed, Input, Recipe


def _inputs(config: Any) -> tuple[Input, ...]:
    types = Input("token_type_ids", ("batch", "sequence"), "ids", config.type_vocab_size)
    return (*token_inputs(config), types)


def _run(model: Any, feed: Feed) -> Feed:
    result = model(**feed)
    return {"last_hidden_state": result.last_hidden_state, "pooler_output": result.pooler_output}


RECIPES = (
    Recipe(
        architecture="BERT",
        config="transformers:BertConfig",
        model="transformers:BertModel",
        sizes={
            "bert-base": {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12},
            "minilm-l6": {
                "hidden_size": 384,
                "num_hidden_layers": 6,
                "num_attention_heads": 12,
                "intermediate_size": 1536,
            },
            "bert-base-tiny": {
                "hidden_size": 48,
                "num_hidden_layers": 3,
                "num_attention_heads": 4,
                "intermediate_size": 96,
                "vocab_size": 101,
                "max_position_embeddings": 64,
            },
        },
        blocks="num_hidden_layers",
        inputs=_inputs,
        run=_run,
        cannot=MASKED_FLOAT16,
        notes="Post-LN",
    ),
)
