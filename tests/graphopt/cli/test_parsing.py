"""What is written as text: a name that is given twice has no value."""

from __future__ import annotations

from pathlib import Path

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
