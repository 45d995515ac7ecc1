"""An endpoint without a network: a function that answers, and what a server says of its model."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from graphopt.endpoints.endpoint import Answer, Array, Tensor, Tensors
from graphopt.endpoints.refusals import RequestRefused
from graphopt.golden import Golden, Request

X = np.array([[1, 2], [3, 4]], np.float32)
GOLDEN = Golden(
    (Request({"x": X}, {"y": 2 * X}), Request({"x": X + 1}, {"y": 2 * (X + 1)})), {"y": 1e-3}
)
INPUTS = (Tensor("x", "FP32", (-1, 2)),)
OUTPUTS = (Tensor("y", "FP32", (-1, 2)),)


def doubled(inputs: Mapping[str, Array]) -> dict[str, Array]:
    return {"y": 2 * inputs["x"]}


class FakeEndpoint:
    """Answers by ``answer``; refuses tensors that are not in ``takes``."""

    def __init__(
        self,
        answer: Callable[[Mapping[str, Array]], dict[str, Array]] = doubled,
        *,
        inputs: tuple[Tensor, ...] = INPUTS,
        outputs: tuple[Tensor, ...] = OUTPUTS,
        takes: Sequence[Tensors] = ("binary", "json"),
        answers_in: Tensors = "binary",
        url: str = "http://here:1",
        seconds: float = 0.0,
    ) -> None:
        self.url, self.model = url, "twice"
        self.sent: list[Tensors] = []
        self.closed = False
        self._answer, self._takes, self._answers_in = answer, takes, answers_in
        self._description, self._seconds = (inputs, outputs), seconds

    def describe(self) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        return self._description

    def infer(
        self, inputs: Mapping[str, Array], outputs: Sequence[str], tensors: Tensors
    ) -> Answer:
        self.sent.append(tensors)
        if tensors not in self._takes:
            raise RequestRefused(self.url, self.model, "400", f"no {tensors} here")
        time.sleep(self._seconds)
        is_binary = self._answers_in == tensors == "binary"
        return Answer(self._answer(inputs), 0.001 * len(self.sent), is_binary)

    def close(self) -> None:
        self.closed = True
