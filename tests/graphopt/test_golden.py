"""Golden pairs: what is written is read, and nothing else is."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphopt.errors import UsageError
from graphopt.golden import Golden, Request, load_golden, save_golden

ARRAYS = {
    "a/b:0": np.array([[1.5, -2.0]], np.float32),
    "half.npy": np.array([0.1, np.inf, np.nan], np.float16),
    "../ids": np.array([[1, 2**40]], np.int64),
    "scalar": np.array(True),
    "empty": np.zeros((0, 3), np.float64),
}
INDEX = {"schema": 1, "requests": 1, "inputs": ["x"], "outputs": ["y"], "rtol": {"y": 1e-3}}


def written(path: Path, index: Any, **arrays: Any) -> Path:
    np.savez(path, golden=np.array(json.dumps(index)), **arrays)
    return path


def test_any_names_and_types_come_back_as_they_were(tmp_path: Path) -> None:
    rtol = {name: 0.5 for name in ARRAYS}
    requests = (Request(ARRAYS, ARRAYS), Request(ARRAYS, ARRAYS))
    save_golden(Golden(requests, rtol), tmp_path / "golden.npz")
    found = load_golden(tmp_path / "golden.npz")
    assert found.rtol == rtol
    assert [list(request.inputs) for request in found.requests] == [list(ARRAYS)] * 2
    for name, array in ARRAYS.items():
        assert found.requests[1].outputs[name].dtype == array.dtype
        np.testing.assert_array_equal(found.requests[1].outputs[name], array)


def test_text_is_refused_and_nothing_of_it_is_pickled(tmp_path: Path) -> None:
    pair = Golden((Request({"x": np.array(["a"], object)}, {"y": ARRAYS["scalar"]}),), {"y": 0.0})
    with pytest.raises(UsageError, match="'x' is of type object, and a golden pair holds numbers"):
        save_golden(pair, tmp_path / "golden.npz")


@pytest.mark.parametrize(
    ("index", "said"),
    [
        ({**INDEX, "schema": 2}, "schema 2"),
        ({**INDEX, "requests": 0}, "with 0 requests"),
        ({**INDEX, "rtol": {}}, "not one tolerance for each output"),
        ({**INDEX, "inputs": 3}, "golden.inputs is 3"),
        ([], "golden is"),
    ],
)
def test_an_index_of_another_form_is_refused(tmp_path: Path, index: Any, said: str) -> None:
    arrays = {"0.input.0": np.ones(1), "0.output.0": np.ones(1)}
    path = written(tmp_path / "golden.npz", index, **arrays)
    with pytest.raises(UsageError, match=f"golden.npz: is no golden pair .*{said}") as caught:
        load_golden(path)
    assert "\n" not in str(caught.value)


def test_a_missing_array_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "golden.npz", INDEX, **{"0.input.0": np.ones(1)})
    with pytest.raises(UsageError, match=r"is no golden pair .*0.output.0"):
        load_golden(path)


def test_pickles_are_refused_unread(tmp_path: Path) -> None:
    path = written(tmp_path / "golden.npz", INDEX, **{"0.input.0": np.array([{}], object)})
    with pytest.raises(UsageError, match="is no golden pair"):
        load_golden(path)


def test_what_is_no_file_or_no_archive_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no such file"):
        load_golden(tmp_path / "golden.npz")
    (tmp_path / "text.npz").write_text("no archive")
    np.save(tmp_path / "one.npy", np.ones(2))
    whole = written(tmp_path / "whole.npz", INDEX).read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "nothing.npz").touch()
    for name in ("text.npz", "one.npy", "cut.npz", "nothing.npz"):
        with pytest.raises(UsageError, match=r"is no golden pair \(no .npz archive\)"):
            load_golden(tmp_path / name)


def test_an_array_with_a_damaged_header_is_refused(tmp_path: Path) -> None:
    header = b"\x93NUMPY\x01\x00\x07\x00{'descr"
    with zipfile.ZipFile(tmp_path / "golden.npz", "w") as file:
        file.writestr("golden.npy", header)
    with pytest.raises(UsageError, match="is no golden pair"):
        load_golden(tmp_path / "golden.npz")
