"""Arrays as bytes: any name, any type of numbers, and no pickle."""

from __future__ import annotations

import io

import numpy as np
import pytest

from graphopt.serving.bodies import pack, unpack
from graphopt.serving.served_model import BadRequest


def test_arrays_come_back_as_they_were() -> None:
    arrays = {
        "file": np.ones((2, 0), np.float16),
        "a/b:0": np.array(3, np.int64),
        "": np.array([True, False]),
        "x.npy": np.arange(6, dtype="f4").reshape(2, 3).T,
    }
    back = unpack(pack(arrays))
    assert list(back) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(back[name], array, strict=True)


def _pickled() -> bytes:
    body = io.BytesIO()
    np.savez(body, x=np.array([{}], dtype=object))
    return body.getvalue()


def _single() -> bytes:
    body = io.BytesIO()
    np.save(body, np.ones(2))
    return body.getvalue()


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", pack({"x": np.ones(99)})[:200], _pickled(), _single()],
    ids=["nothing", "JSON", "half", "pickle", "one array"],
)
def test_anything_else_is_refused_in_one_line(body: bytes) -> None:
    with pytest.raises(BadRequest, match=r"the body is no \.npz of arrays") as caught:
        unpack(body)
    assert "\n" not in str(caught.value)
