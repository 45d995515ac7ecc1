"""The options that choose among the steps of the pipeline."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection

from graphopt.errors import UsageError
from graphopt.passes import choices
from graphopt.passes.step import Step
from graphopt.passes.steps import FUSING, STEPS

__all__ = ["Options", "steps"]


@dataclasses.dataclass(frozen=True)
class Options:
    """What the result is made for: the choices of a run, checked.

    :mod:`graphopt.passes.choices` says what each may be, what it is by default and what it means.

    Attributes:
        variant: What LayerNorms become.
        basis: The basis of crms, which is never None for it; None for other variants.
        ops: Operators of the result.
        provider: Execution provider that the result is lowered for.
        max_growth: Upper bound of the bytes of copied constants, as a share of all constants.
        skip: Names of optional steps to leave out.
        fuse: Take the steps that clean up and fuse what stands beside the norms.

    Raises:
        UsageError: A choice that does not exist, a basis without crms, or a step that cannot be
            left out.
    """

    variant: str = choices.VARIANT.default
    basis: str | None = None
    ops: str = choices.OPS.default
    provider: str = choices.PROVIDER.default
    max_growth: float | None = choices.MAX_GROWTH.default
    skip: Collection[str] = choices.SKIP.default
    fuse: bool = choices.FUSE.default

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
        choices.OPS.check(self.ops)
        choices.PROVIDER.check(self.provider)
        if self.max_growth is not None and not self.max_growth >= 0:
            raise UsageError(f"max_growth {self.max_growth} is negative: give a share such as 0.1")
        object.__setattr__(self, "skip", frozenset(self.skip))
        self._check_skipped()

    def without_fusing(self) -> Options:
        """The same, but for what stands beside the norms."""
        return dataclasses.replace(self, fuse=False, skip=frozenset(self.skip) - FUSING)

    def _check_skipped(self) -> None:
        here = [step for step in STEPS if step.applies(self)]
        optional = [step.name for step in here if step.optional]
        for name in sorted(self.skip):
            if all(step.name != name for step in here):
                raise UsageError(f"no pass is called {name!r} here: graphopt passes lists them")
            if name not in optional:
                raise UsageError(
                    f"pass {name!r} cannot be skipped, because the result would be wrong; "
                    f"optional are {', '.join(optional)}"
                )


def steps(options: Options) -> tuple[Step, ...]:
    """The steps that a run takes for ``options``, in order."""
    return tuple(s for s in STEPS if s.name not in options.skip and s.applies(options))
