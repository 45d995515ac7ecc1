"""Phi: parallel residual with one LayerNorm in each block, read by attention and MLP."""

from __future__ import annotations

__all__ = ["RECIPES"]

from graphopt.models.decoder import decoder

RECIPES = (
    decoder(
        architecture="Phi",
        config="transformers:PhiConfig",
        model="transformers:PhiForCausalLM",
        sizes={
            "phi-1": {
                "hidden_size": 2048,
                "num_hidden_layers": 24,
                "num_attention_heads": 32,
                "intermediate_size": 8192,
            },
            "phi-1-tiny": {
                "hidden_size": 48,
                "num_hidden_layers": 2,
                "num_attention_heads": 3,
                "intermediate_size": 96,
                "vocab_size": 101,
                "max_position_embeddings": 64,
            },
        },
        notes="parallel residual: one LayerNorm in each block",
    ),
)
