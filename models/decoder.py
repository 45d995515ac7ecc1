"""The form that decoder-only language models share: ids and mask in, logits out."""

from __future__ import annotations

__all__ = ["MASKED_FLOAT16", "decoder", "token_inputs"]

from collections.abc import Mapping
from typing import Any

from graphopt.models.recipe import Feed, Input, Recipe

MASKED_FLOAT16 = {
    ("torchscript", "float16"): "it writes the masked attention in float32, an ill-typed graph"
}
"""What TorchScript cannot do with scaled_dot_product_attention under a mask."""


def token_inputs(config: Any) -> tuple[Input, ...]:
    """`input_ids` and `attention_mask`, both [batch, sequence].

    The mask is an input because the TorchScript exporter cannot trace the one that the models
    make themselves.
    """
    return (
        Input("input_ids", ("batch", "sequence"), "ids", config.vocab_size),
        Input("attention_mask", ("batch", "sequence"), "mask"),
    )


def decoder(
    *,
    architecture: str,
    config: str,
    model: str,
    sizes: Mapping[str, Mapping[str, Any]],
    blocks: str = "num_hidden_layers",
    masked_sdpa: bool = True,
    notes: str = "",
) -> Recipe:
    """A recipe that returns `logits` [batch, sequence, vocabulary] and keeps no cache.

    `masked_sdpa` says whether attention is scaled_dot_product_attention under a mask, which decides
    whether TorchScript has a float16 form.
    """
    return Recipe(
        architecture=architecture,
        config=config,
        model=model,
        sizes=sizes,
        blocks=blocks,
        inputs=token_inputs,
        run=_run,
        cannot=MASKED_FLOAT16 if masked_sdpa else {},
        notes=notes,
    )


def _run(model: Any, feed: Feed) -> Feed:
    return {"logits": model(**feed, use_cache=False).logits}
