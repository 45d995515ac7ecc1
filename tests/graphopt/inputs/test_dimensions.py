"""Symbolic dimensions get sizes that agree, and those that are given."""

from __future__ import annotations

import numpy as np
import pytest

from graphopt.inputs import generate_inputs
from tests.graphopt.inputs.declared_models import declared

SIZES = {
    "batch and sequence": (
        {"ids": ["INT64", "batch", "sequence"]},
        {"ids": (2, 16)},
        {"batch": 2, "sequence": 16},
    ),
    "an expression follows from its symbols": (
        {
            "ids": ["INT64", "batch", 1],
            "mask": ["INT64", "batch", "past_sequence + 1"],
            "past": ["FLOAT", "batch", 4, "past_sequence", 8],
        },
        {"ids": (2, 1), "mask": (2, 9), "past": (2, 4, 8, 8)},
        {"batch": 2, "past_sequence": 8},
    ),
    "a total is past plus new": (
        {
            "ids": ["INT64", "batch", "sequence_length"],
            "mask": ["INT64", "batch", "total_sequence_length"],
            "past": ["FLOAT", "batch", 4, "past_sequence_length", 8],
        },
        {"ids": (2, 16), "mask": (2, 24), "past": (2, 4, 8, 8)},
        {
            "batch": 2,
            "sequence_length": 16,
            "past_sequence_length": 8,
            "total_sequence_length": 24,
        },
    ),
    "a total of a single step": (
        {
            "input_ids": ["INT64", "batch", 1],
            "mask": ["INT64", "batch", "total"],
            "cache": ["FLOAT", "batch", "past", 8],
        },
        {"input_ids": (2, 1), "mask": (2, 9), "cache": (2, 8, 8)},
        {"batch": 2, "past": 8, "total": 9},
    ),
    "names without meaning": (
        {"x": ["FLOAT", "N", 3, "x::y"]},
        {"x": (16, 3, 16)},
        {"N": 16, "x::y": 16},
    ),
    "unnamed dimensions": (
        {"x": ["FLOAT", None, 3, None]},
        {"x": (2, 3, 16)},
        {"x[0]": 2, "x[2]": 16},
    ),
    "images and sound": (
        {
            "x": ["FLOAT", "batch", "channels", "height", "width"],
            "s": ["FLOAT", "batch", "samples"],
        },
        {"x": (2, 3, 224, 224), "s": (2, 4000)},
        {"batch": 2, "channels": 3, "height": 224, "width": 224, "samples": 4000},
    ),
}


@pytest.mark.parametrize("name", SIZES)
def test_symbolic_dimensions_get_sizes_that_agree(name: str) -> None:
    inputs, shapes, sizes = SIZES[name]
    result = generate_inputs(declared(**inputs))
    assert {key: array.shape for key, array in result.arrays.items()} == shapes
    assert result.dims == sizes
    assert result.defaulted == sizes


def test_what_the_user_gives_is_taken_and_is_no_default() -> None:
    tied = declared(a=["INT64", "batch", "s"], b=["INT64", "batch", "s"], c=["FLOAT", "batch", "t"])
    result = generate_inputs(tied, dims={"t": 5}, input_shapes={"a": (3, 7)})
    assert {name: array.shape for name, array in result.arrays.items()} == {
        "a": (3, 7),
        "b": (3, 7),
        "c": (3, 5),
    }
    assert result.defaulted == {}
    c = np.ones((4, 6), dtype=np.float32)
    result = generate_inputs(tied, given={"c": c})
    assert result.arrays["c"] is c
    assert result.arrays["a"].shape == (4, 16)
    assert result.defaulted == {"s": 16}
