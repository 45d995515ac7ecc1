"""A server that asks itself: whether its model gives the golden answers, alone and in batches.

``graphopt.verification`` compares more closely, and imports onnx, which a server need not have.
"""

from __future__ import annotations

__all__ = ["check_answers", "check_batches"]

from collections.abc import Sequence

import numpy as np

from graphopt.errors import GraphoptError, UsageError, VerificationFailed
from graphopt.golden import Golden, Request
from graphopt.serving.batches import Answer, infer_together, takes_batches
from graphopt.serving.served_model import ServedModel


def check_answers(golden: Golden, requests: Sequence[Request], answers: Sequence[Answer]) -> None:
    """Raise where an answer is not the golden one, within the pair's tolerances.

    An element may differ by rtol times its own magnitude and the mean magnitude of its output.

    Raises:
        VerificationFailed: An answer is wrong.
        GraphoptError: A request was refused.
    """
    for request, answer in zip(requests, answers, strict=True):
        if isinstance(answer, GraphoptError):
            raise answer
        for name, expected in request.outputs.items():
            found, rtol = answer.get(name), golden.rtol[name]
            if found is None or (found.dtype, found.shape) != (expected.dtype, expected.shape):
                raise VerificationFailed(
                    f"output {name!r} is missing, or of another type or shape: serve the model of "
                    "the pair"
                )
            magnitude = np.abs(expected[np.isfinite(expected)])
            atol = rtol * float(magnitude.mean(dtype=np.float64)) if magnitude.size else 0.0
            if not np.allclose(found, expected, rtol=rtol, atol=atol, equal_nan=True):
                raise VerificationFailed(
                    f"output {name!r} is not the golden one: the model, its library or the machine "
                    "computes something else: serve what the pair was made with"
                )


def check_batches(served: ServedModel, golden: Golden) -> None:
    """Raise where requests that run at once are answered otherwise than alone.

    Two golden requests that agree in their sizes run at once; their answers must be golden.

    Raises:
        UsageError: The model takes no batches, or the pair has no two requests to try it with.
        VerificationFailed: An answer is wrong.
    """
    way_out = "serve it with batches of 1"
    if not takes_batches(served):
        raise UsageError(f"the first axis of an input or output has a fixed size: {way_out}")
    first, *others = golden.requests
    sizes = {name: array.shape for name, array in first.inputs.items()}
    if not any({n: a.shape for n, a in each.inputs.items()} == sizes for each in others):
        raise UsageError(
            f"no two golden requests have the same sizes to try a batch with: {way_out}"
        )
    answers = infer_together(served, [each.inputs for each in golden.requests])
    try:
        check_answers(golden, golden.requests, answers)
    except VerificationFailed as error:
        raise VerificationFailed(f"in a batch, {error}: {way_out}") from error
