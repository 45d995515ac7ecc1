"""What a model is run on, and how closely a result is held to what it was made from."""

from __future__ import annotations

__all__ = ["REFERENCES", "Check", "Sample"]

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from graphopt.errors import UsageError

if TYPE_CHECKING:
    import os

    import numpy as np

Reference = Literal["ort", "float64"]
REFERENCES: tuple[Reference, ...] = ("ort", "float64")


@dataclasses.dataclass(frozen=True)
class Sample:
    """What a model is run on.

    Attributes:
        inputs: Arrays of some inputs, by name. The others are generated.
        input_shapes: Shapes of generated inputs, by input name.
        dims: Sizes of symbolic dimensions, by name.
        seed: Seed of the generated inputs.
        custom_op_libraries: Libraries of the user's own operators, which every session registers.
    """

    inputs: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    input_shapes: Mapping[str, Sequence[int]] = dataclasses.field(default_factory=dict)
    dims: Mapping[str, int] = dataclasses.field(default_factory=dict)
    seed: int = 0
    custom_op_libraries: Sequence[str | os.PathLike[str]] = ()

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise UsageError(f"seed {self.seed}: give 0 or more")


@dataclasses.dataclass(frozen=True)
class Check:
    """What a result is compared on, and how strictly.

    Attributes:
        sample: What both models are run on.
        rtol: Relative tolerance. None takes that of the coarsest type that computes the output.
        atol: Absolute tolerance. None follows from the relative one.
    """

    sample: Sample = dataclasses.field(default_factory=Sample)
    rtol: float | None = None
    atol: float | None = None

    def __post_init__(self) -> None:
        for name, tolerance in (("rtol", self.rtol), ("atol", self.atol)):
            if tolerance is not None and not 0 <= tolerance < math.inf:
                raise UsageError(f"{name} {tolerance} is no tolerance: give 0 or more")
