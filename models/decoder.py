"""The form that decoder-only language models share: ids and mask in, logits out."""

from __future__ import annotations

__all__ = ["decoder", "token_inputs"]

from collections.abc import Mapping
from typing import Any

from graphopt.models.recipe import Feed, Input, Recipe


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
    cannot: Mapping[str, str] | None = None,
    notes: str = "",
) -> Recipe:
    """A recipe that returns `logits` [batch, sequence, vocabulary] and keeps no cache."""
    return Recipe(
        architecture=architecture,
        config=config,
        model=model,
        sizes=sizes,
        blocks=blocks,
        inputs=token_inputs,
        run=_run,
        cannot=cannot or {},
        notes=notes,
    )


def _run(model: Any, feed: Feed) -> Feed:
    return {"logits": model(**feed, use_cache=False).logits}
