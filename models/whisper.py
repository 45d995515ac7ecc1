"""Whisper: a Pre-LN speech encoder behind convolutions, and its cross-attending decoder."""

from __future__ import annotations

__all__ = ["RECIPES"]

from typing import Any

from graphopt.models.decoder import MASKED_FLOAT16
from graphopt.models.recipe import Feed, Input, Recipe

FULL = {"d_model": 384, "encoder_layers": 4, "decoder_layers": 4}
TINY = {
    "d_model": 48,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 96,
    "decoder_ffn_dim": 96,
    "num_mel_bins": 8,
    "max_source_positions": 16,
    "max_target_positions": 32,
    "vocab_size": 101,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 1,
}


def _encoder_inputs(config: Any) -> tuple[Input, ...]:
    frames = 2 * config.max_source_positions  # the second convolution has stride 2
    return (Input("input_features", ("batch", config.num_mel_bins, frames), "float"),)


def _decoder_inputs(config: Any) -> tuple[Input, ...]:
    tokens = ("batch", "decoder_sequence")
    states = ("batch", "encoder_sequence", config.d_model)
    return (
        Input("decoder_input_ids", tokens, "ids", config.vocab_size),
        Input("decoder_attention_mask", tokens, "mask"),
        Input("encoder_hidden_states", states, "float"),
    )


def _run_encoder(model: Any, feed: Feed) -> Feed:
    return {"last_hidden_state": model.model.encoder(**feed).last_hidden_state}


def _run_decoder(model: Any, feed: Feed) -> Feed:
    result = model.model.decoder(
        input_ids=feed["decoder_input_ids"],
        attention_mask=feed["decoder_attention_mask"],
        encoder_hidden_states=feed["encoder_hidden_states"],
        use_cache=False,
    )
    return {"logits": model.proj_out(result.last_hidden_state)}


RECIPES = (
    Recipe(
        architecture="Whisper encoder",
        config="transformers:WhisperConfig",
        model="transformers:WhisperForConditionalGeneration",
        sizes={"whisper-tiny-encoder": FULL, "whisper-tiny-encoder-tiny": TINY},
        blocks="encoder_layers",
        inputs=_encoder_inputs,
        run=_run_encoder,
    ),
    Recipe(
        architecture="Whisper decoder",
        config="transformers:WhisperConfig",
        model="transformers:WhisperForConditionalGeneration",
        sizes={"whisper-tiny-decoder": FULL, "whisper-tiny-decoder-tiny": TINY},
        blocks="decoder_layers",
        inputs=_decoder_inputs,
        run=_run_decoder,
        cannot=MASKED_FLOAT16,
        notes="cross attention; tied vocabulary head",
    ),
)
