"""A model that is saved is the one that was loaded, its weights where they were."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import numpy_helper

from graphopt.errors import ModelError
from graphopt.files import loading, saving
from tests.graphopt.files.savers import SAVERS, Saver, lazy
from tests.graphopt.model_files import (
    block,
    conditional,
    initializer,
    save_external,
    save_inline,
    snapshot,
    weights,
)


@SAVERS
def test_a_saved_model_is_the_loaded_one(tmp_path: Path, save: Saver) -> None:
    path, target = save(block(), tmp_path / "model.onnx"), tmp_path / "copy.onnx"
    saving.save(loading.load(path), target)

    onnx.checker.check_model(target)
    expected, found = onnx.load(path), onnx.load(target)
    assert list(weights(target)) == list(weights(path))
    for name, array in weights(path).items():
        np.testing.assert_array_equal(weights(target)[name], array, err_msg=name)
    for proto in (expected, found):
        del proto.graph.initializer[:]
        # The IR adds the types of initializers, which repeat what the tensors say.
        del proto.graph.value_info[:]
    assert (found.doc_string, found.producer_name) == ("a block", "exporter")
    assert found == expected


@pytest.mark.parametrize(("save", "external"), [(save_inline, False), (save_external, True)])
def test_weights_are_external_where_they_were(tmp_path: Path, save: Saver, external: bool) -> None:
    saving.save(loading.load(save(block(), tmp_path / "model.onnx")), tmp_path / "copy.onnx")
    assert (tmp_path / "copy.onnx.data").exists() == external
    proto = onnx.load(tmp_path / "copy.onnx", load_external_data=False)
    weight = initializer(proto, "weight_1")
    locations = [entry.value for entry in weight.external_data if entry.key == "location"]
    assert locations == (["copy.onnx.data"] if external else [])


def test_small_weights_stay_in_the_model_file(tmp_path: Path) -> None:
    saving.save(loading.load(save_external(block(), tmp_path / "a.onnx")), tmp_path / "b.onnx")
    proto = onnx.load(tmp_path / "b.onnx", load_external_data=False)
    assert initializer(proto, "gamma_1").HasField("raw_data")


def test_a_large_model_becomes_external(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saving, "_LARGEST_INLINE_BYTES", 1000)
    saving.save(loading.load(save_inline(block(), tmp_path / "a.onnx")), tmp_path / "b.onnx")
    assert (tmp_path / "b.onnx.data").exists()


@SAVERS
def test_weights_of_a_branch_are_saved(tmp_path: Path, save: Saver) -> None:
    expected = block()
    path = save(conditional(expected), tmp_path / "model.onnx")
    saving.save(loading.load(path), tmp_path / "copy.onnx")
    path.unlink()
    node = onnx.load(tmp_path / "copy.onnx").graph.node[0]
    branch = next(attribute.g for attribute in node.attribute if attribute.name == "then_branch")
    for tensor in expected.graph.initializer:
        found = next(other for other in branch.initializer if other.name == tensor.name)
        np.testing.assert_array_equal(
            numpy_helper.to_array(found, str(tmp_path)), numpy_helper.to_array(tensor)
        )


@SAVERS
def test_lazy_weights_are_computed_once_and_not_kept(tmp_path: Path, save: Saver) -> None:
    model = loading.load(save(block(), tmp_path / "model.onnx"))
    value = model.graph.initializers["weight_1"]
    original = value.const_value.numpy().copy()
    calls = []

    def doubled() -> np.ndarray:
        calls.append(1)
        return 2 * original

    lazy(value, doubled)
    saving.save(model, tmp_path / "copy.onnx")
    assert calls == [1]
    assert isinstance(value.const_value, ir.LazyTensor)
    np.testing.assert_array_equal(weights(tmp_path / "copy.onnx")["weight_1"], 2 * original)


@SAVERS
@pytest.mark.parametrize("dtype", ["FLOAT16", "BFLOAT16", "DOUBLE", "INT64", "BOOL", "INT4"])
def test_every_type_is_written_as_onnx_writes_it(tmp_path: Path, save: Saver, dtype: str) -> None:
    model = loading.load(save(block(), tmp_path / "model.onnx"))
    type_ = ir.DataType[dtype]
    array = np.random.default_rng(0).integers(0, 2, (61, 53)).astype(type_.numpy())
    value = ir.Value(name="extra", const_value=ir.Tensor(array, name="extra", dtype=type_))
    model.graph.initializers["extra"] = value
    saving.save(model, tmp_path / "copy.onnx")
    found = ir.load(tmp_path / "copy.onnx").graph.initializers["extra"].const_value
    assert found.dtype == type_
    np.testing.assert_array_equal(found.numpy(), array)


def test_weights_begin_at_aligned_offsets(tmp_path: Path) -> None:
    proto = block()
    rng = np.random.default_rng(0)
    for name, shape in (("odd", (61, 53)), ("odd_again", (61, 53)), ("large", (600, 600))):
        array = rng.normal(size=shape).astype(np.float32)
        proto.graph.initializer.insert(0, numpy_helper.from_array(array, name))
    saving.save(loading.load(save_external(proto, tmp_path / "a.onnx")), tmp_path / "b.onnx")
    expected, found = weights(tmp_path / "a.onnx"), weights(tmp_path / "b.onnx")
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)
    for tensor in onnx.load(tmp_path / "b.onnx", load_external_data=False).graph.initializer:
        for entry in tensor.external_data:
            alignment = 4096 if tensor.name == "large" else 64
            assert entry.key != "offset" or int(entry.value) % alignment == 0


def test_a_weight_that_two_initializers_share_is_written_once(tmp_path: Path) -> None:
    proto = block()
    twin = proto.graph.initializer.add()
    twin.CopyFrom(initializer(proto, "weight_1"))
    twin.name = "twin"
    path = save_external(proto, tmp_path / "model.onnx")
    model = onnx.load(path, load_external_data=False)
    shared = initializer(model, "weight_1").external_data
    del initializer(model, "twin").external_data[:]
    initializer(model, "twin").external_data.extend(shared)
    save_inline(model, path)

    saving.save(loading.load(path), tmp_path / "copy.onnx")
    saved = onnx.load(tmp_path / "copy.onnx", load_external_data=False)
    assert initializer(saved, "twin").external_data == initializer(saved, "weight_1").external_data
    np.testing.assert_array_equal(
        *(weights(tmp_path / "copy.onnx")[n] for n in ("twin", "weight_1"))
    )


def test_equal_weights_that_are_not_shared_are_written_apart(tmp_path: Path) -> None:
    model = loading.load(save_external(block(), tmp_path / "model.onnx"))
    for name in ("weight_1", "weight_2"):
        lazy(model.graph.initializers[name], lambda: np.ones((40, 40), np.float32))
    saving.save(model, tmp_path / "copy.onnx")
    saved = onnx.load(tmp_path / "copy.onnx", load_external_data=False)
    first, second = (initializer(saved, name).external_data for name in ("weight_1", "weight_2"))
    assert first != second


def test_a_weight_of_the_wrong_size_is_refused(tmp_path: Path) -> None:
    model = loading.load(save_inline(block(), tmp_path / "model.onnx"))
    lazy(model.graph.initializers["weight_1"], lambda: np.ones((40, 41), np.float32))
    with pytest.raises(ModelError, match=r"'weight_1' has 6560 bytes .* need 6400"):
        saving.save(model, tmp_path / "copy.onnx")
    assert set(snapshot(tmp_path)) == {"model.onnx"}
