"""Holds an answer to the golden one."""

from __future__ import annotations

__all__ = ["errors_of_answer", "worst_errors"]

from collections.abc import Mapping, Sequence

from graphopt.evaluation.calls import Array
from graphopt.golden import Golden, Request
from graphopt.verification.differences import OutputError, compare, mismatch


def errors_of_answer(
    golden: Golden, request: Request, answer: Mapping[str, Array]
) -> tuple[OutputError, ...]:
    """How far an answer is from the golden one: an entry for each output."""
    found = []
    for name, expected in request.outputs.items():
        if name in answer:
            found.append(compare(name, expected, answer[name], golden.rtol[name]))
        else:
            found.append(mismatch(name, str(expected.dtype), f"the answer has no {name!r}"))
    return tuple(found)


def worst_errors(answers: Sequence[Sequence[OutputError]]) -> tuple[OutputError, ...]:
    """Of each output the answer that failed, or the one with the largest error."""
    return tuple(
        max(errors, key=lambda error: (not error.passed, error.max_rel))
        for errors in zip(*answers, strict=True)
    )
