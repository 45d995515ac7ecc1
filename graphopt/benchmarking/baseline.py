"""Is there a model of the name that the others are to be divided by?"""

from __future__ import annotations

__all__ = ["check_made", "check_named"]

from collections.abc import Sequence
from pathlib import Path

from graphopt.benchmarking.candidates import (
    Candidate,
    given_candidates,
    names_made_here,
    quantized_name,
)
from graphopt.benchmarking.result import Failure
from graphopt.benchmarking.settings import Settings
from graphopt.errors import UsageError, listed
from graphopt.passes.choices import VARIANT


def check_named(settings: Settings, paths: Sequence[Path]) -> None:
    """Raise UsageError where no model will have the name, before any is made."""
    given = [candidate.info.name for candidate in given_candidates(paths, paths[0])]
    is_one = len(paths) == 1
    names = given + names_made_here(
        optimized=is_one, no_fuse=settings.no_fuse, floor=settings.floor, peers=settings.peers
    )
    quantized = [*given, *(VARIANT.values if is_one else ())]
    names += [quantized_name(name, way) for way in settings.quantize for name in quantized]
    if settings.baseline is not None and settings.baseline not in names:
        raise UsageError(
            f"--baseline {settings.baseline!r}: there is no such model: choose one of "
            f"{listed(names)}"
        )


def check_made(
    baseline: str | None, made: Sequence[Candidate], failures: Sequence[Failure]
) -> None:
    """Raise UsageError where the model of the name was not made."""
    for failure in failures:
        if failure.model == baseline:
            raise UsageError(
                f"--baseline {failure.model!r}: it could not be made ({failure.reason}): choose "
                "another"
            )
    if baseline is not None and all(each.info.name != baseline for each in made):
        raise UsageError(
            f"--baseline {baseline!r}: it was not made, because there is nothing to fuse beside "
            "the norms: choose another"
        )
