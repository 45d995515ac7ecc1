"""OPT: a Pre-LN decoder with ReLU and a tied vocabulary head."""

from __future__ import annotations

__all__ = ["RECIPES"]

from graphopt.models.decoder import decoder

RECIPES = (
    decoder(
        architecture="OPT",
        config="transformers:OPTConfig",
        model="transformers:OPTForCausalLM",
        sizes={
            "opt-125m": {
                "hidden_size": 768,
                "num_hidden_layers": 12,
                "num_attention_heads": 12,
                "ffn_dim": 3072,
            },
            "opt-125m-tiny": {
                "hidden_size": 48,
                "num_hidden_layers": 2,
                "num_attention_heads": 4,
                "ffn_dim": 96,
                "vocab_size": 101,
                "max_position_embeddings": 64,
                "word_embed_proj_dim": 48,
            },
        },
        notes="tied vocabulary head",
    ),
)
