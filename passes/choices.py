"""The choices of a run: for each what it may be, what it is by default, and what it means.

Importing this costs nothing, so that a command's help costs nothing.
"""

from __future__ import annotations

import dataclasses
from typing import Generic, TypeVar

from graphopt.errors import UsageError
from graphopt.passes.targets import CPU, DESTINATIONS, OPERATOR_SETS, PROVIDERS

__all__ = ["BASIS", "FUSE", "MAX_GROWTH", "OPS", "PROVIDER", "SKIP", "TARGET", "VARIANT", "Choice"]

Default = TypeVar("Default")


@dataclasses.dataclass(frozen=True)
class Choice(Generic[Default]):
    """One choice.

    Attributes:
        name: The keyword of the Python functions; the option of the command line has hyphens.
        help: What it means, and what each value means.
        default: What it is where nothing is said.
        values: What it may be, where these are names.
    """

    name: str
    help: str
    default: Default
    values: tuple[str, ...] = ()

    def check(self, value: str) -> None:
        """Raise UsageError where ``value`` is none of the names that it may be."""
        if value not in self.values:
            raise UsageError(f"unknown {self.name} {value!r}: choose {' or '.join(self.values)}")


VARIANT = Choice(
    "variant",
    "What LayerNorms become: RMSNorms, or RMSNorms on streams that are compressed to d - 1 "
    "features.",
    "rms",
    ("rms", "crms"),
)
BASIS = Choice(
    "basis",
    "How crms represents d centred features by d - 1; drop leaves the last one out, and needs "
    "CRMSNorms.",
    "orthonormal",
    ("orthonormal", "drop"),
)
OPS = Choice(
    "ops",
    "Operators of the result: "
    + "; ".join(f"{row.name}, {row.meaning}" for row in OPERATOR_SETS.values())
    + ".",
    "custom",
    tuple(OPERATOR_SETS),
)
TARGET: Choice[str | None] = Choice(
    "target",
    "Where the result goes, which chooses the operators: "
    + "; ".join(f"{row.name}, {row.meaning}" for row in DESTINATIONS.values())
    + ".",
    None,
    tuple(DESTINATIONS),
)
PROVIDER = Choice(
    "provider", "Execution provider that the result is lowered for.", CPU.name, tuple(PROVIDERS)
)
MAX_GROWTH: Choice[float | None] = Choice(
    "max_growth", "Largest bytes of copied weights, as a share of all weights.", None
)
FUSE = Choice(
    "fuse", "Clean up and fuse what stands beside the norms, attention, and norms that stay.", True
)
SKIP: Choice[frozenset[str]] = Choice(
    "skip", "Leave out an optional pass (graphopt passes lists them).", frozenset()
)
