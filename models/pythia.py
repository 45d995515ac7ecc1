"""Pythia (GPT-NeoX): parallel residual, two LayerNorms over one stream in each block."""

from __future__ import annotations

__all__ = ["RECIPES"]

from graphopt.models.decoder import decoder

RECIPES = (
    decoder(
        architecture="GPT-NeoX",
        config="transformers:GPTNeoXConfig",
        model="transformers:GPTNeoXForCausalLM",
        sizes={
            "pythia-160m": {
                "hidden_size": 768,
                "num_hidden_layers": 12,
                "num_attention_heads": 12,
                "intermediate_size": 3072,
                "vocab_size": 50304,
            },
            "pythia-160m-tiny": {
                "hidden_size": 48,
                "num_hidden_layers": 2,
                "num_attention_heads": 4,
                "intermediate_size": 96,
                "vocab_size": 101,
                "max_position_embeddings": 64,
            },
        },
        notes="parallel residual: two LayerNorms read one stream",
    ),
)
