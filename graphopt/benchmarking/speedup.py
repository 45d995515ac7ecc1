"""Times a result beside the model that it was made from, on this machine."""

from __future__ import annotations

__all__ = ["NotFaster", "measure_speedup", "refuse_unless_faster", "time_models"]

import contextlib
import dataclasses
import functools
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import onnx_ir as ir

from graphopt.benchmarking.execution import Execution, open_model
from graphopt.benchmarking.trial import try_model
from graphopt.errors import GraphoptError
from graphopt.files import loading, saving
from graphopt.inputs import generate_inputs
from graphopt.measuring.comparison import compare
from graphopt.measuring.rounds import Samples, measure
from graphopt.options import Sample
from graphopt.passes import pipeline
from graphopt.passes.pipeline import Options
from graphopt.passes.targets import provider_named
from graphopt.reporting import Report, Speedup
from graphopt.runtime.environment import describe_environment
from graphopt.runtime.library import find_library


class NotFaster(GraphoptError):
    """What was made is not faster than the input: no output was written."""

    exit_code = 4


def refuse_unless_faster(model: Path, speedup: Speedup, variant: str) -> None:
    """Raise where it is not certain that the output is faster than the input.

    Args:
        model: The input.
        speedup: What was measured.
        variant: The name of the output among its rows.

    Raises:
        NotFaster: The interval of the ratio is not below 1.
    """
    row = next(row for row in speedup.rows if row.name == variant)
    if row.verdict == "faster":
        return
    found = "is slower" if row.verdict == "slower" else "makes no difference"
    ratio = row.ratio
    raise NotFaster(
        f"{model.name}: what graphopt makes of it {found} on this machine (it takes "
        f"{ratio.value:.3f} [{ratio.low:.3f}, {ratio.high:.3f}] times as long): keep the input, "
        "nothing was written (--only-if-faster)"
    )


def measure_speedup(
    model: Path,
    output: Path,
    report: Report,
    options: Options,
    *,
    sample: Sample,
    seconds: float = 20.0,
    progress: Callable[[float], None] | None = None,
) -> Speedup:
    """Time the input and the output of an optimization in interleaved rounds of many sessions.

    The native kernels are registered where they were built and the output has their operators.

    Args:
        model: The input.
        output: The result.
        report: The report on it.
        options: What it was made with. For crms a result of rms is made and timed too.
        sample: What they are run on.
        seconds: Time to aim at.
        progress: Called with the share that is done, 0 to 1.

    Raises:
        UsageError: Something given does not fit the model.
        ProcessFailed: ONNX Runtime cannot run one of the models.
        EnvironmentFailure: ONNX Runtime is missing, or the provider does not start.
    """
    given = loading.load(model)
    with contextlib.ExitStack() as files:
        models = {"input": model}
        if options.variant == "crms":
            made = given.clone()
            pipeline.run(made, dataclasses.replace(options, variant="rms", basis=None))
            models["rms"] = files.enter_context(saving.temporary(made))
        models[options.variant] = output
        samples, library = time_models(models, given, [report], options, sample, seconds, progress)
    return Speedup(
        rows=tuple(compare(samples, "input").values()),
        crms_to_rms=compare(samples, "rms")["crms"] if options.variant == "crms" else None,
        kernels=library is not None,
        environment=describe_environment(provider_named(options.provider).runtime, threads=1),
    )


def time_models(
    models: Mapping[str, Path],
    given: ir.Model,
    reports: Sequence[Report],
    options: Options,
    sample: Sample,
    seconds: float,
    progress: Callable[[float], None] | None,
) -> tuple[Samples, Path | None]:
    """Time models with the inputs of one of them in interleaved rounds.

    Args:
        models: Their files, by name.
        given: The one whose inputs all of them have.
        reports: On those that were made.
        options: What these were made with.
        sample: What they are run on, beside the sizes that a verification found.
        seconds: Time to aim at.
        progress: Called with the share that is done, 0 to 1.

    Returns:
        The samples, and the library of kernels that was registered, if any.
    """
    found = [report.verification.defaulted for report in reports if report.verification]
    drawn = generate_inputs(
        given,
        seed=sample.seed,
        input_shapes=sample.input_shapes,
        dims={**(found[0] if found else {}), **sample.dims},
        given=sample.inputs,
    )
    has_operators = any(report.has_custom_operators for report in reports)
    library = find_library(options.provider) if has_operators else None
    execution = Execution(
        provider=options.provider,
        library=library,
        custom_op_libraries=tuple(os.fspath(each) for each in sample.custom_op_libraries),
    )
    for path in models.values():
        try_model(path, drawn.arrays, execution)  # what ends its process must not end this one
    samples = measure(
        {
            name: functools.partial(open_model, path, drawn.arrays, execution)
            for name, path in models.items()
        },
        duration=seconds,
        # Of one thread the CPU time is steadier than the time on the wall.
        clock="wall" if provider_named(options.provider).is_device else "thread_cpu",
        progress=progress,
    )
    return samples, library
