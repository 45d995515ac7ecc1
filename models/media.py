"""SigLIP vision, VideoMAE, AST and wav2vec 2.0: images, video and sound."""

from __future__ import annotations

__all__ = ["RECIPES"]

from typing import Any

from graphopt.models.image import image_inputs, logits
from graphopt.models.recipe import Feed, Input, Recipe

BASE = {
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
}
TINY = {
    "hidden_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 96,
}


def _video_inputs(config: Any) -> tuple[Input, ...]:
    side = config.image_size
    dims = ("batch", config.num_frames, config.num_channels, side, side)
    return (Input("pixel_values", dims, "float"),)


def _spectrum_inputs(config: Any) -> tuple[Input, ...]:
    return (Input("input_values", ("batch", config.max_length, config.num_mel_bins), "float"),)


def _wave_inputs(config: Any) -> tuple[Input, ...]:
    return (Input("input_values", ("batch", "samples"), "float"),)


def _pooled(model: Any, feed: Feed) -> Feed:
    return {"pooler_output": model(**feed).pooler_output}


RECIPES = (
    Recipe(
        architecture="SigLIP vision",
        config="transformers:SiglipVisionConfig",
        model="transformers:SiglipVisionModel",
        sizes={
            "siglip-b-16-vision": BASE,
            "siglip-b-16-vision-tiny": TINY
            | {"num_hidden_layers": 3, "image_size": 32, "patch_size": 8},
        },
        blocks="num_hidden_layers",
        inputs=image_inputs,
        run=_pooled,
        notes="attention pooling with a LayerNorm of its own",
    ),
    Recipe(
        architecture="VideoMAE",
        config="transformers:VideoMAEConfig",
        model="transformers:VideoMAEForVideoClassification",
        sizes={
            "videomae-b": BASE | {"num_labels": 400},
            "videomae-b-tiny": TINY
            | {"image_size": 16, "patch_size": 8, "num_frames": 4, "num_labels": 10},
        },
        blocks="num_hidden_layers",
        inputs=_video_inputs,
        run=logits,
    ),
    Recipe(
        architecture="AST",
        config="transformers:ASTConfig",
        model="transformers:ASTForAudioClassification",
        sizes={
            "ast-b": BASE | {"num_labels": 527},
            "ast-b-tiny": TINY
            | {
                "num_hidden_layers": 3,
                "patch_size": 8,
                "frequency_stride": 6,
                "time_stride": 6,
                "max_length": 32,
                "num_mel_bins": 16,
                "num_labels": 10,
            },
        },
        blocks="num_hidden_layers",
        inputs=_spectrum_inputs,
        run=logits,
        notes="the classifier normalizes again what the encoder has normalized",
    ),
    Recipe(
        architecture="wav2vec 2.0",
        config="transformers:Wav2Vec2Config",
        model="transformers:Wav2Vec2ForCTC",
        sizes={
            "wav2vec2-large": {
                "hidden_size": 1024,
                "num_hidden_layers": 24,
                "num_attention_heads": 16,
                "intermediate_size": 4096,
                "feat_extract_norm": "layer",
                "conv_bias": True,
                "do_stable_layer_norm": True,
            },
            "wav2vec2-large-tiny": TINY
            | {
                "feat_extract_norm": "layer",
                "conv_bias": True,
                "do_stable_layer_norm": True,
                "conv_dim": [24, 24, 24],
                "conv_stride": [5, 2, 2],
                "conv_kernel": [10, 3, 3],
                "num_conv_pos_embeddings": 8,
                "num_conv_pos_embedding_groups": 4,
            },
        },
        blocks="num_hidden_layers",
        inputs=_wave_inputs,
        run=logits,
        notes="stable LayerNorm form (Pre-LN); LayerNorms between the convolutions",
    ),
)
