"""Requests that came at the same time, answered by one run of the model."""

from __future__ import annotations

__all__ = ["infer_together", "takes_batches"]

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from graphopt.errors import GraphoptError
from graphopt.serving.served_model import ServedModel

Array = npt.NDArray[Any]
Arrays = Mapping[str, Array]
Answer = dict[str, Array] | GraphoptError


def takes_batches(served: ServedModel) -> bool:
    """Whether every input and output may have any number of rows.

    That is needed and does not suffice: it does not say that rows have nothing to do with each
    other. :func:`graphopt.serving.golden_answers.check_answers` tries that.
    """
    return all(spec.shape[:1] == (-1,) for spec in (*served.inputs, *served.outputs))


def infer_together(served: ServedModel, requests: Sequence[Arrays]) -> list[Answer]:
    """One answer for each request, in their order.

    1. Requests whose arrays agree in names, types and all sizes but the first, the rows, are put
       one below the other and run at once. A request whose arrays differ in rows runs alone.
    2. A model that does not take any number of rows runs each alone.
    3. Where a run fails, or does not give as many rows as it took, each of its requests runs
       alone, so that a bad one is refused and its neighbours are answered.

    Returns:
        The outputs of a request by name, or the error that :meth:`ServedModel.infer` raised for it.
    """
    answers: dict[int, Answer] = {}
    for group in _groups(requests, takes_batches(served)):
        together = _run(served, [requests[place] for place in group]) if len(group) > 1 else None
        for number, place in enumerate(group):
            answers[place] = together[number] if together else _alone(served, requests[place])
    return [answers[place] for place in range(len(requests))]


def _groups(requests: Sequence[Arrays], batched: bool) -> list[list[int]]:
    """Places of the requests that may run at once."""
    groups: dict[object, list[int]] = {}
    for place, request in enumerate(requests):
        fits = batched and _rows(request) is not None
        groups.setdefault(_key(request) if fits else place, []).append(place)
    return list(groups.values())


def _key(request: Arrays) -> object:
    return frozenset((name, array.dtype.str, array.shape[1:]) for name, array in request.items())


def _rows(request: Arrays) -> int | None:
    """The first size of all arrays; None where they have none, or not one."""
    sizes = {array.shape[0] if array.ndim else None for array in request.values()}
    return sizes.pop() if len(sizes) == 1 else None


def _run(served: ServedModel, requests: Sequence[Arrays]) -> list[dict[str, Array]] | None:
    rows = [next(iter(request.values())).shape[0] for request in requests]
    stacked = {name: np.concatenate([each[name] for each in requests]) for name in requests[0]}
    try:
        outputs = served.infer(stacked)
    except GraphoptError:
        return None
    if any(array.shape[0] != sum(rows) for array in outputs.values()):
        return None
    ends = np.cumsum(rows)[:-1]
    parts = {name: np.split(array, ends) for name, array in outputs.items()}
    return [{name: parts[name][number] for name in parts} for number in range(len(requests))]


def _alone(served: ServedModel, request: Arrays) -> Answer:
    try:
        return served.infer(request)
    except GraphoptError as error:
        return error
