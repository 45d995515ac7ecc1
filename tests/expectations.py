"""What graphopt must achieve on each tiny model of the zoo: with `--variant rms`, then with `crms`.

The counts are of LayerNorms in the original graph: twins that merge count twice. L is the number of
blocks of the tiny form.
"""

from __future__ import annotations

__all__ = ["EXPECTED", "PRICE", "PROVEN", "Compressed", "Expected", "compressed"]

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Expected:
    """One row of the results table.

    Attributes:
        blocks: L.
        layer_norms: LayerNorms in the exported graph.
        converted: allowed numbers of converted LayerNorms; None where a brute force decides.
        recentrings: allowed numbers of explicit recentring nodes; None where a brute force decides.
        rule: the number converted as a formula in L, or what keeps the others.
    """

    blocks: int
    layer_norms: int
    converted: frozenset[int] | None
    recentrings: frozenset[int] | None
    rule: str


def _row(
    blocks: int,
    layer_norms: int,
    converted: set[int] | None,
    recentrings: set[int] | None,
    rule: str,
) -> Expected:
    return Expected(
        blocks,
        layer_norms,
        None if converted is None else frozenset(converted),
        None if recentrings is None else frozenset(recentrings),
        rule,
    )


PROVEN = {
    "vit-ti-16-tiny": _row(2, 5, {5}, {0}, "2L+1"),
    "paper-vit-ti-16-tiny": _row(2, 5, {5}, {0}, "2L+1"),
    "paper-gpt-s-tiny": _row(2, 5, {5}, {0}, "2L+1"),
    "dinov2-small-tiny": _row(2, 5, {5}, {0}, "2L+1 once LayerScale is folded"),
    "clip-vit-b-32-text-tiny": _row(2, 5, {5}, {0}, "2L+1"),
    "clip-vit-b-32-vision-tiny": _row(2, 6, {6}, {1}, "2L+2: the first norm starts the stream"),
    "gpt2-tiny": _row(2, 5, {5}, {0, 1}, "2L+1; tied table"),
    "gpt2-with-past-tiny": _row(2, 5, {5}, {0, 1}, "2L+1; tied table"),
    "gpt2-hidden-tiny": _row(3, 7, {5}, {1}, "the output after block 1 keeps the 2 norms before"),
    "opt-125m-tiny": _row(2, 5, {5}, {0, 1}, "2L+1; tied table"),
    "pythia-160m-tiny": _row(2, 5, {5}, {0}, "2L+1, merged into L+1"),
    "phi-1-tiny": _row(2, 3, {3}, {0}, "L+1"),
    "whisper-tiny-encoder-tiny": _row(2, 5, {5}, {1}, "2L+1: a Gelu starts the stream"),
    "whisper-tiny-decoder-tiny": _row(2, 7, {7}, {0, 1}, "3L+1; tied table"),
    "m2m100-tiny": _row(2, 12, {12}, {0, 1, 2}, "5L+2; a table tied three times"),
    "bert-base-tiny": _row(3, 7, {1}, {0}, "Post-LN: the embedding norm alone"),
    "convnext-t-tiny": _row(3, 6, {1}, {0}, "the stem alone"),
    "swin-t-tiny": _row(4, 11, None, None, "patch merging reads the stream raw"),
    "llama-160m-tiny": _row(2, 0, {0}, {0}, "RMSNorm already"),
}
"""The rows of the results table."""

EXPECTED = PROVEN | {
    "deit-b-16-tiny": _row(2, 5, {5}, {0}, "2L+1"),
    "beit-b-16-tiny": _row(2, 5, {5}, {0}, "2L+1 once LayerScale is folded"),
    "gptj-6b-tiny": _row(2, 3, {3}, {0}, "L+1"),
    "codegen-350m-tiny": _row(2, 3, {3}, {0}, "L+1"),
    "bloom-560m-tiny": _row(3, 8, {7, 8}, {1, 2}, "2L+2; the first norm starts the stream"),
    "falcon-7b-tiny": _row(2, 3, {3}, {0, 1}, "L+1; tied table"),
    "mpt-1b-tiny": _row(2, 5, {5}, {0, 1}, "2L+1; tied table"),
    "stablelm-2-1.6b-tiny": _row(2, 13, None, None, "2L+1 and 4L per-head norms"),
    "starcoder2-3b-tiny": _row(2, 5, {5}, {0, 1}, "2L+1; tied table"),
    "nemotron-4b-tiny": _row(2, 5, {5}, {0}, "2L+1"),
    "xglm-564m-tiny": _row(2, 5, {5}, {0, 1}, "2L+1; tied table"),
    "modernbert-base-tiny": _row(3, 7, {6, 7}, {1}, "2L+1: the first norm starts the stream"),
    "esm2-t12-35m-tiny": _row(3, 7, {7}, {0}, "2L+1"),
    "pegasus-large-tiny": _row(2, 12, {12}, {0, 1, 2}, "5L+2; a table tied three times"),
    "siglip-b-16-vision-tiny": _row(3, 8, {7, 8}, {0, 1}, "2L+2; attention pooling has one"),
    "videomae-b-tiny": _row(2, 5, {5}, {0}, "2L+1"),
    "ast-b-tiny": _row(3, 8, {7, 8}, {0, 1}, "2L+2; the classifier normalizes a norm's output"),
    "wav2vec2-large-tiny": _row(2, 9, {8, 9}, {1}, "2L+1 and 4 norms of the feature extractor"),
}
"""Every tiny model of the zoo."""


Pair = tuple[int, int]
"""Norms by themselves, and norms that are fused with the residual Add before them."""


@dataclass(frozen=True)
class Compressed:
    """What crms achieves, the same in both bases, and how `--ops custom` writes it.

    Attributes:
        norms: compressed norms.
        encoders: explicit encoders.
        decoders: explicit decoders.
        whole: operators over d features, twins merged.
        small: operators over d - 1 features.
        whole_for: how the reasons begin for which other converted norms are not compressed.
    """

    norms: int
    encoders: int
    decoders: int
    whole: Pair
    small: Pair
    whole_for: tuple[str, ...] = ()


_BETA = ("its beta stays: MatMul",)  # a vocabulary head, or projections without bias
_OUTPUT = ("graph output last_hidden_state",)
PRICE = "an encoder, a decoder or a copy would cost more"
"""The one reason that names no node."""

_COMPRESSED = {
    "vit-ti-16-tiny": Compressed(5, 0, 0, (0, 0), (1, 4)),
    "paper-vit-ti-16-tiny": Compressed(5, 0, 0, (0, 0), (1, 4)),
    "paper-gpt-s-tiny": Compressed(5, 0, 0, (0, 0), (1, 4)),
    "dinov2-small-tiny": Compressed(4, 0, 1, (1, 0), (1, 3), _OUTPUT),
    "clip-vit-b-32-text-tiny": Compressed(4, 0, 1, (1, 0), (1, 3), _OUTPUT),
    "clip-vit-b-32-vision-tiny": Compressed(5, 1, 0, (1, 0), (2, 3), ("Add",)),
    "gpt2-tiny": Compressed(4, 0, 1, (1, 0), (1, 3), _BETA),
    "gpt2-with-past-tiny": Compressed(4, 0, 1, (1, 0), (1, 3), _BETA),
    "gpt2-hidden-tiny": Compressed(4, 1, 1, (1, 0), (1, 3), _BETA),
    "opt-125m-tiny": Compressed(4, 0, 1, (1, 0), (3, 1), _BETA),
    "pythia-160m-tiny": Compressed(4, 0, 1, (1, 0), (1, 1), _BETA),
    "phi-1-tiny": Compressed(3, 0, 0, (0, 0), (1, 2)),
    "whisper-tiny-encoder-tiny": Compressed(4, 1, 1, (1, 0), (1, 3), _OUTPUT),
    "whisper-tiny-decoder-tiny": Compressed(6, 0, 1, (1, 0), (1, 5), _BETA),
    "m2m100-tiny": Compressed(11, 0, 1, (1, 0), (2, 9), _BETA),
    "bert-base-tiny": Compressed(0, 0, 0, (1, 0), (0, 0), ("Add",)),
    "convnext-t-tiny": Compressed(0, 0, 0, (1, 0), (0, 0), ("Conv",)),
    "swin-t-tiny": Compressed(0, 0, 0, (2, 4), (0, 0), ("Add", "Pad", "Reshape", PRICE)),
    "llama-160m-tiny": Compressed(0, 0, 0, (0, 0), (0, 0)),
    "deit-b-16-tiny": Compressed(5, 0, 0, (0, 0), (1, 4)),
    "beit-b-16-tiny": Compressed(5, 0, 0, (0, 0), (2, 3)),
    "gptj-6b-tiny": Compressed(0, 0, 0, (1, 2), (0, 0), (*_BETA, PRICE)),
    "codegen-350m-tiny": Compressed(0, 0, 0, (1, 2), (0, 0), (*_BETA, PRICE)),
    "bloom-560m-tiny": Compressed(6, 1, 1, (2, 0), (1, 5), (*_BETA, "Add")),
    "falcon-7b-tiny": Compressed(0, 0, 0, (1, 2), (0, 0), _BETA),
    "mpt-1b-tiny": Compressed(5, 0, 0, (0, 0), (1, 4)),
    "stablelm-2-1.6b-tiny": Compressed(0, 0, 0, (9, 4), (0, 0), (*_BETA, "Slice")),
    "starcoder2-3b-tiny": Compressed(4, 0, 1, (1, 0), (1, 3), _BETA),
    "nemotron-4b-tiny": Compressed(0, 0, 0, (1, 4), (0, 0), _BETA),
    "xglm-564m-tiny": Compressed(4, 0, 1, (1, 0), (1, 3), _BETA),
    "modernbert-base-tiny": Compressed(5, 1, 1, (2, 0), (0, 5), ("Add", *_OUTPUT)),
    "esm2-t12-35m-tiny": Compressed(6, 0, 1, (1, 0), (1, 5), _OUTPUT),
    "pegasus-large-tiny": Compressed(12, 0, 0, (0, 0), (2, 10)),
    "siglip-b-16-vision-tiny": Compressed(6, 0, 1, (1, 0), (1, 5), ("MatMul",)),
    "videomae-b-tiny": Compressed(5, 0, 0, (0, 0), (2, 3)),
    "ast-b-tiny": Compressed(6, 0, 1, (1, 0), (1, 5), ("Add",)),
    "wav2vec2-large-tiny": Compressed(5, 1, 0, (3, 0), (1, 4), ("Gelu",)),
}
_BY_EXPORTER = {
    ("swin-t-tiny", "torchscript"): replace(
        _COMPRESSED["swin-t-tiny"],
        whole_for=("Add", "Pad", "GlobalAveragePool", PRICE),
    ),
    ("wav2vec2-large-tiny", "dynamo"): replace(
        _COMPRESSED["wav2vec2-large-tiny"],
        small=(3, 2),  # the length in attention is not proved to be that of the stream
    ),
}


def compressed(name: str, exporter: str) -> Compressed:
    """The row of a tiny model of the zoo."""
    return _BY_EXPORTER.get((name, exporter), _COMPRESSED[name])
