"""The options that choose among the steps of the pipeline."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection

from graphopt.errors import UsageError
from graphopt.passes import choices
from graphopt.passes.step import Step
from graphopt.passes.steps import FUSING, STEPS
from graphopt.passes.targets import (
    OperatorSet,
    destination_named,
    operator_set_named,
    provider_named,
)

__all__ = ["Options", "steps"]


@dataclasses.dataclass(frozen=True)
class Options:
    """What the result is made for: the choices of a run, checked.

    :mod:`graphopt.passes.choices` says what each may be, what it is by default and what it means.

    Attributes:
        variant: What LayerNorms become.
        basis: The basis of crms, which is never None for it; None for other variants.
        ops: Operators of the result, which is never None: those of the target by default.
        provider: Execution provider that the result is lowered for.
        max_growth: Upper bound of the bytes of copied constants, as a share of all constants.
        skip: Names of optional steps to leave out.
        fuse: Take the steps that clean up and fuse what stands beside the norms.
        target: Where the result goes, or None where nobody said.

    Raises:
        UsageError: A choice that does not exist, a basis without crms, operators that are not those
            of the target, or a step that cannot be left out.
    """

    variant: str = choices.VARIANT.default
    basis: str | None = None
    ops: str | None = None
    provider: str = choices.PROVIDER.default
    max_growth: float | None = choices.MAX_GROWTH.default
    skip: Collection[str] = choices.SKIP.default
    fuse: bool = choices.FUSE.default
    target: str | None = choices.TARGET.default

    def __post_init__(self) -> None:
        choices.VARIANT.check(self.variant)
        if self.basis is not None:
            choices.BASIS.check(self.basis)
            if self.variant != "crms":
                raise UsageError(
                    f"basis {self.basis!r} is for the variant crms: leave it out for {self.variant}"
                )
        elif self.variant == "crms":
            object.__setattr__(self, "basis", choices.BASIS.default)
        choices.PROVIDER.check(self.provider)
        self._choose_operators()
        if self.max_growth is not None and not self.max_growth >= 0:
            raise UsageError(
                f"max_growth {self.max_growth} is no share: give 0 or more, such as 0.1"
            )
        object.__setattr__(self, "skip", frozenset(self.skip))
        self._check_skipped()

    @property
    def operators(self) -> OperatorSet:
        """The row of the operators of the result."""
        return operator_set_named(self.ops or choices.OPS.default)

    def without_fusing(self) -> Options:
        """The same, but for what stands beside the norms."""
        return dataclasses.replace(self, fuse=False, skip=frozenset(self.skip) - FUSING)

    def _choose_operators(self) -> None:
        if self.ops is not None:
            choices.OPS.check(self.ops)
        if self.target is None:
            object.__setattr__(self, "ops", self.ops or choices.OPS.default)
            return
        choices.TARGET.check(self.target)
        wanted = destination_named(self.target).ops_for(provider_named(self.provider))
        if self.ops not in (None, wanted):
            raise UsageError(
                f"target {self.target!r} takes ops {wanted!r}, not {self.ops!r}: "
                "leave one of them out"
            )
        object.__setattr__(self, "ops", wanted)

    def _check_skipped(self) -> None:
        here = [step for step in STEPS if step.applies(self)]
        optional = [step.name for step in here if step.optional]
        for name in sorted(self.skip):
            if all(step.name != name for step in here):
                raise UsageError(f"no pass is called {name!r} here: choose one of graphopt passes")
            if name not in optional:
                raise UsageError(
                    f"pass {name!r} cannot be skipped, because the result would be wrong: choose "
                    "one that graphopt passes marks"
                )


def steps(options: Options) -> tuple[Step, ...]:
    """The steps that a run takes for ``options``, in order."""
    return tuple(s for s in STEPS if s.name not in options.skip and s.applies(options))
