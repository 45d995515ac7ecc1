"""More decoder-only language models, each with its own arrangement of LayerNorms."""

from __future__ import annotations

__all__ = ["RECIPES"]

from graphopt.models.decoder import decoder

TINY = {
    "hidden_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 96,
    "vocab_size": 101,
    "max_position_embeddings": 64,
    "bos_token_id": 0,
    "eos_token_id": 0,
}
TINY_GPTJ = {
    "n_embd": 48,
    "n_layer": 2,
    "n_head": 4,
    "n_positions": 64,
    "rotary_dim": 4,
    "vocab_size": 101,
    "bos_token_id": 0,
    "eos_token_id": 0,
}

RECIPES = (
    decoder(
        architecture="GPT-J",
        config="transformers:GPTJConfig",
        model="transformers:GPTJForCausalLM",
        sizes={"gptj-6b-tiny": TINY_GPTJ},
        blocks="n_layer",
        masked_sdpa=False,
        notes="parallel residual: one LayerNorm in each block",
    ),
    decoder(
        architecture="CodeGen",
        config="transformers:CodeGenConfig",
        model="transformers:CodeGenForCausalLM",
        sizes={
            "codegen-350m": {"n_embd": 1024, "n_layer": 20, "n_head": 16, "rotary_dim": 32},
            "codegen-350m-tiny": TINY_GPTJ,
        },
        blocks="n_layer",
        masked_sdpa=False,
        notes="parallel residual: one LayerNorm in each block",
    ),
    decoder(
        architecture="BLOOM",
        config="transformers:BloomConfig",
        model="transformers:BloomForCausalLM",
        sizes={
            "bloom-560m": {"hidden_size": 1024, "n_layer": 24, "n_head": 16},
            "bloom-560m-tiny": {"hidden_size": 48, "n_layer": 3, "n_head": 4, "vocab_size": 101},
        },
        blocks="n_layer",
        masked_sdpa=False,
        notes="a LayerNorm on the embeddings; ALiBi; tied vocabulary head",
    ),
    decoder(
        architecture="Falcon",
        config="transformers:FalconConfig",
        model="transformers:FalconForCausalLM",
        sizes={
            "falcon-7b-tiny": {
                "hidden_size": 48,
                "num_hidden_layers": 2,
                "num_attention_heads": 4,
                "vocab_size": 101,
                "bos_token_id": 0,
                "eos_token_id": 0,
            },
        },
        masked_sdpa=False,
        notes="parallel residual: one LayerNorm in each block; multi-query attention",
    ),
    decoder(
        architecture="MPT",
        config="transformers:MptConfig",
        model="transformers:MptForCausalLM",
        sizes={
            "mpt-1b": {"d_model": 2048, "n_layers": 24, "n_heads": 16},
            "mpt-1b-tiny": {
                "d_model": 48,
                "n_layers": 2,
                "n_heads": 4,
                "max_seq_len": 64,
                "vocab_size": 101,
            },
        },
        blocks="n_layers",
        masked_sdpa=False,
        notes="LayerNorm without beta; ALiBi; tied vocabulary head",
    ),
    decoder(
        architecture="StableLM",
        config="transformers:StableLmConfig",
        model="transformers:StableLmForCausalLM",
        sizes={
            "stablelm-2-1.6b": {
                "hidden_size": 2048,
                "num_hidden_layers": 24,
                "num_attention_heads": 32,
                "intermediate_size": 5632,
                "vocab_size": 100352,
                "use_qkv_bias": True,
            },
            "stablelm-2-1.6b-tiny": TINY
            | {"num_attention_heads": 3, "num_key_value_heads": 1, "qk_layernorm": True},
        },
        notes="the tiny form also normalizes each head's queries and keys",
    ),
    decoder(
        architecture="StarCoder2",
        config="transformers:Starcoder2Config",
        model="transformers:Starcoder2ForCausalLM",
        sizes={
            "starcoder2-3b-tiny": TINY | {"num_key_value_heads": 2},
        },
        notes="tied vocabulary head",
    ),
    decoder(
        architecture="Nemotron",
        config="transformers:NemotronConfig",
        model="transformers:NemotronForCausalLM",
        sizes={"nemotron-4b-tiny": TINY | {"head_dim": 12, "num_key_value_heads": 2}},
        notes="LayerNorm with gamma stored as gamma - 1",
    ),
    decoder(
        architecture="XGLM",
        config="transformers:XGLMConfig",
        model="transformers:XGLMForCausalLM",
        sizes={
            "xglm-564m": {"d_model": 1024, "num_layers": 24, "attention_heads": 16},
            "xglm-564m-tiny": {
                "d_model": 48,
                "num_layers": 2,
                "attention_heads": 4,
                "ffn_dim": 96,
                "max_position_embeddings": 64,
                "vocab_size": 101,
            },
        },
        blocks="num_layers",
        masked_sdpa=False,
        notes="tied vocabulary head, scaled embeddings",
    ),
)
