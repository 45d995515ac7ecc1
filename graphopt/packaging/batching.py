"""Whether requests that a server joins get the answers that each would get alone."""

from __future__ import annotations

__all__ = ["check_batching"]

import numpy as np

from graphopt.errors import UsageError, listed
from graphopt.golden import Golden, Request
from graphopt.runtime.session_process import SessionProcess
from graphopt.runtime.sessions import RuntimeRefused
from graphopt.verification.golden_answers import errors_of_answer


def check_batching(process: SessionProcess, golden: Golden, most: int) -> None:
    """Run two golden requests as one, joined along their first axis.

    A first axis that is symbolic need not be a batch: only where the joined request gets the joined
    answers may a server join.

    Args:
        process: Has the model open.
        golden: The golden pair; its last two requests are joined, or one with itself.
        most: Rows that the server puts into one call.

    Raises:
        UsageError: The rows of a request differ among its arrays or are more than ``most``, or the
            joined answer is another one.
    """
    for request in golden.requests:
        rows = {
            f"{name!r}": array.shape[0] if array.ndim else 0
            for arrays in (request.inputs, request.outputs)
            for name, array in arrays.items()
        }
        if len(set(rows.values())) > 1:
            said = listed(f"{count} of {name}" for name, count in rows.items())
            raise UsageError(
                f"the golden request has no one batch ({said}): leave out --max-batch-size"
            )
        if max(rows.values()) > most:
            raise UsageError(
                f"the golden requests have {max(rows.values())} rows and --max-batch-size is "
                f"{most}: give a smaller size with --dim or --input-shape"
            )
    joined = _joined(*_alike(golden))
    try:
        found = process.run(joined.inputs)
    except RuntimeRefused as error:
        raise UsageError(f"{_NOT_ONE_BATCH} ({error})") from error
    answer = {name: array for name, array in found.items() if isinstance(array, np.ndarray)}
    wrong = [each for each in errors_of_answer(golden, joined, answer) if not each.passed]
    if wrong:
        problem = wrong[0].problem or f"largest error {wrong[0].max_abs:.2g}"
        raise UsageError(f"{_NOT_ONE_BATCH} (output {wrong[0].name!r}: {problem})")


_NOT_ONE_BATCH = (
    "requests cannot be joined: leave out --max-batch-size, as two golden requests in one call get "
    "other answers than each alone"
)


def _alike(golden: Golden) -> tuple[Request, Request]:
    """The last request, and one of the same sizes: the one before it, or itself."""
    last = golden.requests[-1]
    for other in golden.requests[-2::-1]:
        if all(other.inputs[name].shape[1:] == last.inputs[name].shape[1:] for name in last.inputs):
            return other, last
    return last, last


def _joined(first: Request, second: Request) -> Request:
    return Request(
        {
            name: np.concatenate([array, second.inputs[name]])
            for name, array in first.inputs.items()
        },
        {
            name: np.concatenate([array, second.outputs[name]])
            for name, array in first.outputs.items()
        },
    )
