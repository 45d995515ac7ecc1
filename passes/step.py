"""One pass of the pipeline, and which choices it is for."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Protocol

from graphopt.passes import choices
from graphopt.passes.planning.plan import Plan
from graphopt.passes.rewrite import Rewrite
from graphopt.passes.targets import OperatorSet

__all__ = ["Chosen", "Step"]


class Chosen(Protocol):
    """What :class:`graphopt.passes.options.Options` says of the steps to take."""

    @property
    def variant(self) -> str:
        """What LayerNorms become."""

    @property
    def operators(self) -> OperatorSet:
        """The row of the operators of the result."""

    @property
    def provider(self) -> str:
        """Execution provider that the result is lowered for."""

    @property
    def fuse(self) -> bool:
        """Take the steps that clean up and fuse what stands beside the norms."""


@dataclasses.dataclass(frozen=True)
class Step:
    """One pass of the pipeline.

    Attributes:
        name: What ``--skip`` and the report call it.
        summary: What it does, in one line.
        make: The class of the pass.
        given: The options that the pass is made with, by name; or the ``plan``, behind that.
        optional: True where leaving it out is sound.
        variants: The variants that it is for; all where none is named.
        ops: The operator sets that it is for; all where none is named.
        providers: The execution providers that it is for; all where none is named.
        fuses: True where it is about what stands beside the norms.
    """

    name: str
    summary: str
    make: Callable[..., Rewrite]
    given: tuple[str, ...] = ()
    optional: bool = False
    variants: tuple[str, ...] = ()
    ops: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    fuses: bool = False

    def applies(self, options: Chosen) -> bool:
        """False where the options leave nothing to do."""
        return (
            options.variant in (self.variants or choices.VARIANT.values)
            and options.operators.name in (self.ops or choices.OPS.values)
            and options.provider in (self.providers or choices.PROVIDER.values)
            and (options.fuse or not self.fuses)
        )

    def build(self, options: Chosen, plan: Plan | None = None) -> Rewrite:
        """The pass; ``plan`` is that of the model it will be run on."""
        values = {**vars(options), "plan": plan}
        return self.make(**{name: values[name] for name in self.given})
