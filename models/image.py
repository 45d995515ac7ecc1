"""The form that image models share: pixels in, with a symbolic batch."""

from __future__ import annotations

__all__ = ["image_inputs", "logits"]

from typing import Any

from graphopt.models.recipe import Feed, Input


def image_inputs(config: Any) -> tuple[Input, ...]:
    """`pixel_values` [batch, channels, side, side]: the side is fixed by the position table."""
    side = config.image_size
    return (Input("pixel_values", ("batch", config.num_channels, side, side), "float"),)


def logits(model: Any, feed: Feed) -> Feed:
    """Run a classifier: `logits` [batch, classes]."""
    return {"logits": model(**feed).logits}
