"""Makes the golden pair of a model."""

from __future__ import annotations

__all__ = ["make_golden"]

from pathlib import Path

from graphopt.errors import ModelError
from graphopt.golden import Golden, Request
from graphopt.options import Sample
from graphopt.runtime.results import tensors
from graphopt.verification.differences import default_rtol
from graphopt.verification.original import Original

_ADVICE = "give other inputs (--input, --input-shape, --dim)"


def make_golden(model: Path, sample: Sample) -> Golden:
    """Requests for a model with the outputs that it gives in ONNX Runtime on the CPU.

    Raises:
        ModelError: No inputs can be generated, or it gives nothing on them that can be compared.
        UsageError: Something given does not fit the model.
        EnvironmentFailure: ONNX Runtime is missing, or refuses a library.
    """
    with Original(model, sample) as original:
        expected = original.expectation()
        if expected.reason:
            raise ModelError(f"{model}: no golden pair can be made ({expected.reason}): {_ADVICE}")
        types = original.computing_types
    try:
        results = [tensors(outputs) for outputs in expected.results]
    except TypeError as error:
        raise ModelError(f"{model}: no golden pair can be made ({error}): {_ADVICE}") from error
    rtol = {
        name: default_rtol(str(array.dtype), types.get(name)) for name, array in results[0].items()
    }
    pairs = zip(expected.draws, results, strict=True)
    requests = (
        Request(inputs, outputs)
        for draw, (inputs, outputs) in enumerate(pairs)
        if not expected.other_sizes(draw)  # a server may be set up for the likeliest alone
    )
    return Golden(tuple(requests), rtol)
