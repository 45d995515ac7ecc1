"""What is written as text: a name that is given twice has no value."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphopt.cli import parsing
from graphopt.errors import UsageError


def test_a_name_that_is_given_twice_is_refused(tmp_path: Path) -> None:
    array = tmp_path / "a.npy"
    np.save(array, np.zeros(2))
    for parse, texts, said in (
        (parsing.to_dims, ("n=1", "n=1"), "--dim 'n=1': 'n' has a size already: give one"),
        (parsing.to_shapes, ("x:1", "x:2"), "--input-shape 'x:2': 'x' has a shape already"),
        (parsing.to_entries, ("k=1", "k="), "--session-option 'k=': 'k' has a value already"),
        (parsing.read_arrays, (f"x:{array}",) * 2, "'x' has a file already: give one"),
    ):
        with pytest.raises(UsageError) as raised:
            parse(texts)
        assert said in str(raised.value)
        assert len(parse(texts[:1])) == 1


def test_bench_takes_several_shapes_of_a_name() -> None:
    assert parsing.to_shape_lists(("x:1", "x:2")) == {"x": [(1,), (2,)]}


LONG = 5000 * "9"
"""Python reads no number of so many digits."""


@pytest.mark.parametrize(
    ("parse", "value"),
    [
        (parsing.to_dims, [f"batch={LONG}"]),
        (parsing.to_dim_lists, [f"batch=1,{LONG}"]),
        (parsing.to_shapes, [f"x:{LONG}"]),
        (parsing.to_shapes, [f"x:{10**18},1"]),
        (parsing.to_integers, LONG),
    ],
)
def test_a_number_beyond_64_bits_is_no_size(parse: Callable[[Any], Any], value: Any) -> None:
    with pytest.raises(UsageError, match="write it as"):
        parse(value)


def header(text: str) -> bytes:
    """A file of NumPy's that begins with this header, and ends with it."""
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04",
        header("{'descr"),
        header(5000 * "-" + "1"),
        header("{'descr': '<i8', 'fortran_order': False, 'shape': (True,)}"),
        header("{'descr': ('<f4',), 'fortran_order': False, 'shape': (1,)}"),
        header(f"{{'descr': '<i8', 'fortran_order': False, 'shape': ({10**12},)}}"),
        header(f"{{'descr': '<i8', 'fortran_order': False, 'shape': ({10**30},)}}"),
    ],
)
def test_a_damaged_array_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.npy").write_bytes(content)
    with pytest.raises(UsageError, match="holds no plain NumPy array"):
        parsing.read_arrays([f"x:{tmp_path / 'x.npy'}"])
