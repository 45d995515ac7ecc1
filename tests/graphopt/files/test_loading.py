from __future__ import annotations

import io
import os
import weakref
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import TensorProto, helper, numpy_helper

from graphopt.errors import ModelError
from graphopt.files import loading
from graphopt.files.file_tensor import FileTensor
from tests.graphopt.model_files import (
    block,
    conditional,
    initializer,
    point_to,
    save_external,
    save_inline,
    weights,
)

SAVERS = pytest.mark.parametrize("save", [save_inline, save_external])


def loaded_weights(model: ir.Model) -> dict[str, np.ndarray]:
    return {name: value.const_value.numpy() for name, value in model.graph.initializers.items()}


def assert_same_weights(model: ir.Model, expected: dict[str, np.ndarray]) -> None:
    found = loaded_weights(model)
    assert list(found) == list(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)


@SAVERS
def test_weights_keep_their_values_and_their_order(
    tmp_path: Path, save: Callable[[onnx.ModelProto, Path], Path]
) -> None:
    path = save(block(), tmp_path / "model.onnx")
    assert_same_weights(loading.load(path), weights(path))


@SAVERS
def test_large_weights_stay_in_their_file(
    tmp_path: Path, save: Callable[[onnx.ModelProto, Path], Path]
) -> None:
    model = loading.load(save(block(), tmp_path / "model.onnx"))
    weight = model.graph.initializers["weight_1"].const_value
    assert isinstance(weight, FileTensor)
    assert weight.tobytes() == weight.numpy().tobytes()
    np.testing.assert_array_equal(np.asarray(weight), weight.numpy())


def test_an_array_is_kept_by_nobody_else(tmp_path: Path) -> None:
    model = loading.load(save_external(block(), tmp_path / "model.onnx"))
    array = model.graph.initializers["weight_1"].const_value.numpy()
    read = weakref.ref(array)
    del array
    assert read() is None


def test_an_input_with_a_default_of_another_type_is_refused(tmp_path: Path) -> None:
    """A caller may give it, in the type that is declared; ONNX Runtime refuses it, too."""
    model = block()
    weight = model.graph.initializer[0]
    model.graph.input.append(
        helper.make_tensor_value_info(weight.name, TensorProto.FLOAT16, weight.dims)
    )
    with pytest.raises(ModelError, match=r"inconsistent type tensor\(float16\)"):
        loading.load(save_inline(model, tmp_path / "model.onnx"))


GIGABYTES = 3 << 30


@pytest.fixture
def gigabytes(tmp_path: Path) -> FileTensor:
    """A weight of three gigabytes, of a file that was loaded."""
    model = block()
    weight = model.graph.initializer.add()
    weight.CopyFrom(numpy_helper.from_array(np.zeros(1, np.float32), "gigabytes"))
    weight.dims[:] = [3 << 10, 1 << 18]
    point_to(weight, "model.onnx.data", length=GIGABYTES)
    with (tmp_path / "model.onnx.data").open("wb") as data:
        data.truncate(GIGABYTES)  # a hole: it takes no space on the disk
    loaded = loading.load(save_inline(model, tmp_path / "model.onnx"))
    return loaded.graph.initializers["gigabytes"].const_value


def test_three_gigabytes_are_not_read(gigabytes: FileTensor) -> None:
    with Path(gigabytes.path).open("r+b") as data:
        data.seek(-4, os.SEEK_END)
        data.write(np.float32(1.5).tobytes())
    (last,) = gigabytes.rows((3 << 10) - 1, 3 << 10)
    assert (last[-2], last[-1]) == (0, 1.5)


@pytest.mark.slow
def test_three_gigabytes_are_read_where_they_are_asked_for(gigabytes: FileTensor) -> None:
    """It takes ten seconds; Linux reads two gigabytes at a time."""
    assert gigabytes.numpy()[-1, -1] == 0


def test_what_a_read_leaves_is_read_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Slow(io.FileIO):
        """A file of which no read gives more than 100 bytes."""

        def readinto(self, buffer: memoryview) -> int:
            return super().readinto(buffer[:100])

    model = block()
    path = save_external(model, tmp_path / "model.onnx")
    expected = weights(path)
    tensor = loading.load(path).graph.initializers["weight_1"].const_value
    monkeypatch.setattr(Path, "open", lambda file, *_, **__: Slow(file))
    assert tensor.nbytes > 100
    np.testing.assert_array_equal(tensor.numpy(), expected["weight_1"])


def test_weights_in_typed_fields_are_read(tmp_path: Path) -> None:
    model = block()
    weight = initializer(model, "weight_1")
    array = numpy_helper.to_array(weight)
    weight.CopyFrom(helper.make_tensor("weight_1", TensorProto.FLOAT, array.shape, array.ravel()))
    path = save_inline(model, tmp_path / "model.onnx")
    assert_same_weights(loading.load(path), weights(path))


def test_an_empty_weight_is_read(tmp_path: Path) -> None:
    model = block()
    empty = numpy_helper.from_array(np.zeros((0, 4), np.float32), "empty")
    model.graph.initializer.append(empty)
    loaded = loading.load(save_external(model, tmp_path / "model.onnx"))
    assert loaded.graph.initializers["empty"].const_value.numpy().shape == (0, 4)


@SAVERS
def test_weights_in_a_branch_are_read(
    tmp_path: Path, save: Callable[[onnx.ModelProto, Path], Path]
) -> None:
    expected = block()
    model = loading.load(save(conditional(expected), tmp_path / "model.onnx"))
    branch = model.graph.node(0).attributes["then_branch"].as_graph()
    for tensor in expected.graph.initializer:
        found = branch.initializers[tensor.name].const_value.numpy()
        np.testing.assert_array_equal(found, numpy_helper.to_array(tensor))


def test_external_data_of_a_constant_node_is_read(tmp_path: Path) -> None:
    model = block()
    weight = initializer(model, "weight_1")
    array = numpy_helper.to_array(weight)
    model.graph.initializer.remove(weight)
    constant = helper.make_node("Constant", [], ["weight_1"], value=numpy_helper.from_array(array))
    model.graph.node.insert(0, constant)
    loaded = loading.load(save_external(model, tmp_path / "model.onnx"))
    np.testing.assert_array_equal(
        loaded.graph.node(0).attributes["value"].as_tensor().numpy(), array
    )


def download_cache(directory: Path) -> Path:
    """Links in the place of files, as the Hugging Face cache has them."""
    blobs, snapshot = directory / "blobs", directory / "snapshots" / "main"
    blobs.mkdir()
    snapshot.mkdir(parents=True)
    save_external(block(), directory / "model.onnx")
    for name, blob in (("model.onnx", "a1b2"), ("model.onnx.data", "c3d4")):
        (directory / name).rename(blobs / blob)
        (snapshot / name).symlink_to(Path("../../blobs") / blob)
    return snapshot / "model.onnx"


def hard_links(directory: Path) -> Path:
    path = save_external(block(), directory / "original.onnx")
    os.link(directory / "original.onnx.data", directory / "second name")
    return path


def link_to_the_model_alone(directory: Path) -> Path:
    (directory / "store").mkdir()
    save_external(block(), directory / "store" / "model.onnx")
    (directory / "shortcut.onnx").symlink_to("store/model.onnx")
    return directory / "shortcut.onnx"


@pytest.mark.parametrize("layout", [download_cache, hard_links, link_to_the_model_alone])
def test_links_to_external_data_are_followed(
    tmp_path: Path, layout: Callable[[Path], Path]
) -> None:
    expected = {t.name: numpy_helper.to_array(t) for t in block().graph.initializer}
    assert_same_weights(loading.load(layout(tmp_path)), expected)


def test_the_source_names_the_files(tmp_path: Path) -> None:
    path = save_external(block(), tmp_path / "model.onnx")
    data = tmp_path / "model.onnx.data"
    source = loading.source_of(loading.load(path))
    assert source is not None
    assert (source.path, source.data_files) == (path, (data.resolve(),))
    assert source.size == path.stat().st_size + data.stat().st_size


def test_a_model_made_in_memory_has_no_source() -> None:
    assert loading.source_of(ir.from_proto(block())) is None


ACCEPTED = {
    "nodes out of order": """
        <ir_version: 8, opset_import: ["" : 17]>
        g (float[N, 4] x) => (float[N, 4] y) { y = Relu (h) h = Neg (x) }
    """,
    "LayerNormalization below opset 17, as ONNX Runtime's optimizer writes it": """
        <ir_version: 8, opset_import: ["" : 14]>
        g (float[N, 4] x, float[4] s) => (float[N, 4] y) { y = LayerNormalization (x, s) }
    """,
    "an operator of another domain": """
        <ir_version: 8, opset_import: ["" : 17, "com.microsoft" : 1]>
        g (float[N, 4] x, float[4] b) => (float[N, 4] y) { y = com.microsoft.BiasGelu (x, b) }
    """,
    "a declared shape that is wrong": """
        <ir_version: 8, opset_import: ["" : 17]>
        g (float[N, 4] x) => (float[1, 7] y) <float[3, 3] h> { h = Neg (x) y = Relu (h) }
    """,
    "an output without a shape": """
        <ir_version: 8, opset_import: ["" : 17]>
        g (float[N, 4] x) => (float y) { y = Relu (x) }
    """,
    "an initializer that gives an input its default": """
        <ir_version: 8, opset_import: ["" : 17]>
        g (float[N, 2] x, float[2] b = {1, 2}) => (float[N, 2] y) { y = Add (x, b) }
    """,
    "ONNX's domain by its long name": """
        <ir_version: 8, opset_import: ["ai.onnx" : 17]>
        g (float[N, 4] x) => (float[N, 4] y) { y = Relu (x) }
    """,
}


@pytest.mark.parametrize("text", ACCEPTED.values(), ids=ACCEPTED)
def test_unusual_models_that_run_are_taken(tmp_path: Path, text: str) -> None:
    path = save_inline(onnx.parser.parse_model(text), tmp_path / "model.onnx")
    model = loading.load(path)
    produced = {value for value in model.graph.inputs} | set(model.graph.initializers.values())
    for node in model.graph:
        assert produced.issuperset(node.inputs)
        produced.update(node.outputs)
