"""Llama: RMSNorm already, so there is nothing to convert."""

from __future__ import annotations

__all__ = ["RECIPES"]

from graphopt.models.decoder import decoder

RECIPES = (
    decoder(
        architecture="Llama",
        config="transformers:LlamaConfig",
        model="transformers:LlamaForCausalLM",
        sizes={
            "llama-160m": {
                "hidden_size": 768,
                "num_hidden_layers": 12,
                "num_attention_heads": 12,
                "intermediate_size": 3072,
            },
            "llama-160m-tiny": {
                "hidden_size": 48,
                "num_hidden_layers": 2,
                "num_attention_heads": 4,
                "num_key_value_heads": 2,
                "intermediate_size": 96,
                "vocab_size": 101,
                "max_position_embeddings": 64,
            },
        },
        masked_sdpa=False,
        notes="RMSNorm: no LayerNorm to convert",
    ),
)
