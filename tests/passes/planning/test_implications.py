"""What is asked of one variable twice holds twice, in any order."""

from __future__ import annotations

from itertools import permutations

import onnx_ir as ir
import pytest

from graphopt.passes.graph.axes import FeatureAxis, Stream
from graphopt.passes.planning.implications import Implications
from graphopt.passes.planning.variables import StreamState

STREAM = Stream(ir.Value(name="v"), FeatureAxis(0, 8))
A, B = StreamState.MADE.of(STREAM), StreamState.AT_HAND.of(STREAM)


def is_taken(choice: Implications) -> bool:
    return STREAM in choice.best().streams(StreamState.MADE)


ASKED = {
    "a price and a ban": ([("charge", A, 1.0), ("forbid", A)], 100.0, False),
    "two prices below the gain": ([("charge", A, 3.0), ("charge", A, 4.0)], 8.0, True),
    "two prices above the gain": ([("charge", A, 3.0), ("charge", A, 4.0)], 6.0, False),
    "a price unless another, and an implication": (
        [("charge", A, 1.0, B), ("imply", A, B), ("forbid", B)],
        100.0,
        False,
    ),
    "no choice at any price": ([("charge", A, float("inf")), ("charge", A, 1.0)], 100.0, False),
}


@pytest.mark.parametrize(("asked", "gain", "taken"), ASKED.values(), ids=ASKED)
def test_what_is_asked_together_holds_together(
    asked: list[tuple[object, ...]], gain: float, taken: bool
) -> None:
    for order in permutations(asked):
        choice = Implications()
        choice.gain(A, gain)
        for name, *arguments in order:
            getattr(choice, str(name))(*arguments)
        assert is_taken(choice) == taken


def test_gains_of_one_variable_add_up() -> None:
    choice = Implications()
    choice.gain(A, 2.0)
    choice.gain(A, 2.0)
    choice.charge(A, 3.0)
    assert is_taken(choice)
