"""Data files keep their names; what several models share is neither damaged nor held twice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from graphopt import optimize_directory
from graphopt.errors import ModelError
from tests.graphopt.directories.model_directories import NO_NORM, sharing
from tests.graphopt.model_files import PRE_NORM_BLOCK, block, save_external, save_inline, weights


def optimized(source: Path, output: Path) -> None:
    optimize_directory(source, output, verify=False)


def bytes_of(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.iterdir())


def test_a_data_file_keeps_its_name(tmp_path: Path) -> None:
    source = sharing(tmp_path / "in", PRE_NORM_BLOCK)
    optimized(source, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["0.onnx", "shared.bin"]
    found = weights(tmp_path / "out" / "0.onnx")
    assert np.allclose(found["position"].mean(), 0, atol=1e-6)


def test_two_optimized_models_share_one_file_again(tmp_path: Path) -> None:
    alone = sharing(tmp_path / "alone", PRE_NORM_BLOCK)
    both = sharing(tmp_path / "both", PRE_NORM_BLOCK, PRE_NORM_BLOCK)
    optimized(alone, tmp_path / "alone.out")
    optimized(both, tmp_path / "both.out")
    names = sorted(path.name for path in (tmp_path / "both.out").iterdir())
    assert names == ["0.onnx", "1.onnx", "shared.bin"]
    data = [tmp_path / folder / "shared.bin" for folder in ("alone.out", "both.out")]
    assert data[0].stat().st_size == data[1].stat().st_size
    expected = weights(tmp_path / "alone.out" / "0.onnx")
    for name in ("0.onnx", "1.onnx"):
        found = weights(tmp_path / "both.out" / name)
        assert found.keys() == expected.keys()
        assert all(np.array_equal(found[key], expected[key]) for key in expected)


def test_a_model_that_is_copied_finds_its_bytes_where_they_were(tmp_path: Path) -> None:
    source = sharing(tmp_path / "in", PRE_NORM_BLOCK, NO_NORM)
    optimized(source, tmp_path / "out")
    before, after = ((tmp_path / folder / "shared.bin").read_bytes() for folder in ("in", "out"))
    assert after[: len(before)] == before
    for name in ("0.onnx", "1.onnx"):
        same = (source / name).read_bytes() == (tmp_path / "out" / name).read_bytes()
        assert same == (name == "1.onnx")
    kept, made = weights(source / "1.onnx"), weights(tmp_path / "out" / "1.onnx")
    assert all(np.array_equal(made[key], kept[key]) for key in kept)
    # What the optimized model has unchanged is not written again.
    original, new = weights(source / "0.onnx"), weights(tmp_path / "out" / "0.onnx")
    changed = sum(
        array.nbytes
        for name, array in new.items()
        if array.nbytes >= 1024 and not any(np.array_equal(array, o) for o in original.values())
    )
    assert changed < sum(array.nbytes for array in new.values())
    assert len(after) <= len(before) + changed + 64 * len(new)


def test_the_name_of_another_file_is_not_taken(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    save_external(block(), source / "model.onnx")
    (source / "model.onnx.data").rename(source / "other.onnx")
    model = onnx.load(source / "model.onnx", load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = "other.onnx"
    (source / "model.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match=r"other\.onnx"):
        optimized(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_weights_in_a_file_stay_in_it(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    save_inline(block(), source / "model.onnx")
    optimized(source, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["model.onnx"]
