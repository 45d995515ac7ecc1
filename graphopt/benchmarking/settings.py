"""The choices of a benchmark, checked before any model is read."""

from __future__ import annotations

__all__ = ["QUANTIZERS", "Settings"]

import dataclasses
import math
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from graphopt.errors import UsageError
from graphopt.passes.choices import OPS, PROVIDER
from graphopt.passes.targets import provider_named

if TYPE_CHECKING:  # numpy is slow to import, and the help of a command needs it not
    import numpy as np

    from graphopt.measuring.rounds import Clock

QUANTIZERS = ("dynamic", "matmul4")
"""The ways to quantize a model, all of ONNX Runtime."""

_DTYPES = ("float32", "float16")
_MIN_OPENINGS = 6  # what a 95% interval needs


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is measured, and how.

    Attributes:
        providers: Execution providers.
        threads: Numbers of intra-op threads; 0 means one for each core.
        dtypes: Types of the weights: ``float32``, ``float16``. Empty takes the model as it is.
        batches: Batch sizes.
        lengths: Sequence lengths.
        dims: For some symbolic dimensions the sizes to try.
        input_shapes: For some inputs the shapes to try.
        inputs: Arrays of some inputs; the others are generated.
        duration: Seconds to aim at for each point of the grid.
        iterations: Timed calls of each model at each point, instead of ``duration``.
        openings: Sessions of each model at each point, one after the other; fewer, but at least 6,
            where they would exceed ``duration``.
        warmup: Calls of each model in a warm-up window; windows end when calls get no faster.
        clock: ``wall``, or ``thread_cpu`` for the CPU time of one thread.
        seed: Seed of generated inputs, of the order of calls and of the intervals.
        library: Register the kernel library; None does where it is there.
        custom_op_libraries: Libraries of operators of the user's own, for every session.
        ops: Operators that graphopt may use.
        baseline: Name of the model that the others are divided by; None is the first.
        floor: Measure the norm-free floor too.
        no_fuse: Where graphopt changes more than norms, measure what the norms alone give too: rms
            and the floor as ``optimize --no-fuse`` writes them.
        quantize: Ways to quantize: measure the quantized forms of the original and of each result
            too.
        peers: Measure what other optimizers make of the model too.
        model_type: What ``onnxruntime.transformers`` is told that the model is.
        profile: Profile each model by operator.
        cuda_graph: Replay CUDA graphs.
        tf32: CUDA may multiply float32 in TF32.
    """

    providers: Sequence[str] = (PROVIDER.default,)
    threads: Sequence[int] = (1,)
    dtypes: Sequence[str] = ()
    batches: Sequence[int] = ()
    lengths: Sequence[int] = ()
    dims: Mapping[str, Sequence[int]] = dataclasses.field(default_factory=dict)
    input_shapes: Mapping[str, Sequence[Sequence[int]]] = dataclasses.field(default_factory=dict)
    inputs: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    duration: float = 20.0
    iterations: int | None = None
    openings: int = 20
    warmup: int = 2
    clock: Clock = "wall"
    seed: int = 0
    library: bool | None = None
    custom_op_libraries: Sequence[str | os.PathLike[str]] = ()
    ops: str = OPS.default
    baseline: str | None = None
    floor: bool = True
    no_fuse: bool = True
    quantize: Sequence[str] = ()
    peers: bool = False
    model_type: str = "bert"
    profile: bool = False
    cuda_graph: bool = False
    tf32: bool = True

    def __post_init__(self) -> None:
        """Raises UsageError where a choice does not exist or two do not go together."""
        for provider in self.providers:
            PROVIDER.check(provider)
        OPS.check(self.ops)
        _check("dtype", self.dtypes, _DTYPES)
        _check("quantizer", self.quantize, QUANTIZERS)
        _check("clock", (self.clock,), ("wall", "thread_cpu"))
        if not self.providers or not self.threads:
            raise UsageError("there is nothing to measure: give a provider and a thread count")
        if min(self.threads) < 0:
            raise UsageError(f"threads {min(self.threads)}: give 1 or more, or 0 for one a core")
        for what, sizes in {"batch": self.batches, "seq": self.lengths, **self.dims}.items():
            if min(sizes, default=1) < 1:
                raise UsageError(f"{what} {min(sizes)}: give sizes of at least 1")
        if self.openings < _MIN_OPENINGS:
            raise UsageError(
                f"{self.openings} sessions of each model cannot carry a 95% interval: "
                f"give at least {_MIN_OPENINGS}"
            )
        iterations = 1 if self.iterations is None else self.iterations
        if not 0 < self.duration < math.inf or min(self.warmup, iterations) < 1:
            raise UsageError("duration, iterations or warmup is not positive: give 1 or more")
        if self.seed < 0:
            raise UsageError(f"seed {self.seed}: give 0 or more")
        devices = [name for name in self.providers if provider_named(name).is_device]
        if self.clock == "thread_cpu" and (set(self.threads) != {1} or devices):
            raise UsageError(
                "the clock thread_cpu sees the calling thread alone: with more threads, or on "
                "CUDA, measure wall time"
            )
        if self.cuda_graph and not devices:
            raise UsageError("CUDA graphs are for the provider cuda: give it, or leave them out")
        for name, array in self.inputs.items():
            # Zeros can take fast paths that real data does not take.
            if array.size and array.dtype.kind == "f" and not array.any():
                raise UsageError(f"input {name!r} is all zeros: measure with values like real ones")

    @property
    def rounds(self) -> int | None:
        """Timed rounds of each opening, or None for as many as the duration allows."""
        return None if self.iterations is None else -(-self.iterations // self.openings)


def _check(what: str, values: Sequence[str], choices: Sequence[str]) -> None:
    for value in values:
        if value not in choices:
            raise UsageError(f"unknown {what} {value!r}: choose {' or '.join(choices)}")
