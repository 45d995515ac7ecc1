"""How large a synthetic model is."""

from __future__ import annotations

__all__ = ["KINDS", "SIZES", "Size"]

from dataclasses import dataclass, fields

from graphopt.errors import UsageError

KINDS = ("gpt", "vit")


@dataclass(frozen=True)
class Size:
    """How large a synthetic model is.

    Attributes:
        layers: number of blocks, each with attention, an MLP of 4 x hidden features, and two norms.
        hidden: number of features d of the residual stream.
        heads: number of attention heads; they share the features evenly.
        vocab: size of the last axis of the logits: tokens of a gpt, classes of a vit.
        tied: gpt: the head that makes the logits is the table of tokens, not a weight of its own.
        positions: gpt: the longest sequence.
        image: vit: pixels along a side of the picture, a multiple of patch.
        patch: vit: pixels along a side of a patch.
    """

    layers: int
    hidden: int
    heads: int
    vocab: int
    tied: bool = True
    positions: int = 1024
    image: int = 224
    patch: int = 16

    def check(self, kind: str) -> None:
        """Refuse what no transformer of this kind has.

        Raises:
            UsageError: a number is below 1, or one does not divide another as it must.
        """
        if kind not in KINDS:
            raise UsageError(f"unknown kind {kind!r}: choose {' or '.join(KINDS)}")
        for field in fields(self):
            number = getattr(self, field.name)
            if number < 1 and field.name != "tied":
                raise UsageError(f"{field.name} is {number}: give at least 1")
        if self.hidden < 3:
            raise UsageError(f"hidden is {self.hidden}: give at least 3, as a norm needs")
        if self.hidden % self.heads:
            raise UsageError(
                f"hidden is {self.hidden} and heads is {self.heads}: {self.heads} heads cannot"
                " share the features evenly; choose a divisor"
            )
        if self.image % self.patch:
            raise UsageError(f"image is {self.image} and patch is {self.patch}: choose a divisor")


SIZES = {
    "gpt": Size(layers=12, hidden=768, heads=12, vocab=50257),
    "vit": Size(layers=12, hidden=192, heads=3, vocab=1000),
}
"""The size of each kind where nothing else is said: that of GPT-2 small, and of ViT-Ti/16."""
