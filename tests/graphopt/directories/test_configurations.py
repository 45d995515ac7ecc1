from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from graphopt.directories.configurations import check_configurations
from graphopt.directories.layout import read_layout
from graphopt.errors import ModelError
from graphopt.files import loading
from tests.graphopt.directories.model_directories import configure
from tests.graphopt.model_files import WIDTH, block, save_inline

TOKENS = 11


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A model of WIDTH features and a table of TOKENS tokens."""
    model = block()
    ids = helper.make_tensor_value_info("input_ids", onnx.TensorProto.INT64, ["batch", "rows"])
    model.graph.input[0].CopyFrom(ids)
    table = np.random.default_rng(1).normal(size=(TOKENS, WIDTH)).astype(np.float32)
    model.graph.initializer.append(onnx.numpy_helper.from_array(table, "table"))
    model.graph.node.insert(0, helper.make_node("Gather", ["table", "input_ids"], ["x"]))
    save_inline(model, tmp_path / "model.onnx")
    return tmp_path


def check(directory: Path) -> None:
    layout = read_layout(directory)
    models = {path: loading.load(directory / path) for path in layout.models}
    check_configurations(layout, models)


@pytest.mark.parametrize(
    "entries",
    [
        {},
        {"hidden_size": WIDTH, "vocab_size": TOKENS},
        {"hidden_size": WIDTH, "vocab_size": TOKENS - 2},  # a padded table
        {"text_config": {"hidden_size": WIDTH}, "vision_config": {"hidden_size": 7}},
        {"n_embd": WIDTH, "vocab_size": None},
        {"vocab_size": 3 * TOKENS, "text_config": {"vocab_size": TOKENS}},
    ],
)
def test_a_configuration_that_fits_is_taken(directory: Path, entries: dict[str, object]) -> None:
    configure(directory, **entries)
    check(directory)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        (
            {"hidden_size": 768},
            r"config\.json: says hidden_size 768, but no weight of model\.onnx has that size",
        ),
        (
            {"text_config": {"d_model": 768}},
            r"config\.json: says d_model 768, but no weight of model\.onnx has that size",
        ),
        (
            {"hidden_size": WIDTH, "vocab_size": TOKENS + 1},
            r"config\.json: says vocab_size 12, but model\.onnx has a table of 11 tokens",
        ),
    ],
)
def test_a_configuration_of_another_model_is_refused(
    directory: Path, entries: dict[str, object], message: str
) -> None:
    configure(directory, **entries)
    with pytest.raises(ModelError, match=message):
        check(directory)


def test_weights_may_be_constants(directory: Path) -> None:
    model = onnx.load(directory / "model.onnx")
    tensors = list(model.graph.initializer)
    del model.graph.initializer[:]
    for tensor in tensors:
        constant = helper.make_node("Constant", [], [tensor.name], value=tensor)
        model.graph.node.insert(0, constant)
    save_inline(model, directory / "model.onnx")
    configure(directory, hidden_size=WIDTH)
    check(directory)
    configure(directory, hidden_size=768)
    with pytest.raises(ModelError, match="says hidden_size 768"):
        check(directory)


@pytest.mark.parametrize("name", ["config.json", "genai_config.json", "modules.json"])
@pytest.mark.parametrize(
    "text", [b"{", b"", b"\xff\xfe{}", b'{"a": 1,}', 5000 * b"9", 99_999 * b"["]
)
def test_what_is_no_json_is_refused(directory: Path, name: str, text: bytes) -> None:
    (directory / name).write_bytes(text)
    with pytest.raises(ModelError, match=rf"{name}: is no JSON.*: copy or write it again"):
        check(directory)


def test_a_configuration_is_an_object(directory: Path) -> None:
    (directory / "config.json").write_text("[1]")
    with pytest.raises(ModelError, match=r"config\.json: holds no object"):
        check(directory)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ([], "model is no object"),
        ({"decoder": {"session_options": [1]}}, "session_options of 'decoder' is no object"),
        ({"decoder": {"session_options": None}}, "session_options of 'decoder' is no object"),
    ],
)
def test_the_sections_of_genai_are_objects(directory: Path, model: object, said: str) -> None:
    configure(directory, "genai_config.json", model=model)
    with pytest.raises(ModelError, match=rf"genai_config\.json: {said}: copy or write it again"):
        check(directory)


def test_the_files_that_genai_is_told_to_load_are_there(directory: Path) -> None:
    configure(
        directory,
        "genai_config.json",
        model={"decoder": {"filename": "model.onnx"}, "vision": {"filename": "vision.onnx"}},
    )
    with pytest.raises(ModelError, match=r"genai_config\.json: names the file 'vision\.onnx'"):
        check(directory)
