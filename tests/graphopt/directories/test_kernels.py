from __future__ import annotations

import json
from pathlib import Path

import pytest

from graphopt.directories.kernels import add_kernels
from graphopt.errors import ModelError
from tests.graphopt.directories.model_directories import configure

DECODER = {
    "filename": "model.onnx",
    "session_options": {"log_id": "a", "provider_options": []},
    "sliding_window": 1e-05,
}


@pytest.fixture
def library(tmp_path: Path) -> Path:
    path = tmp_path / "libgraphopt_cpu.so"
    path.write_bytes(b"kernels")
    return path


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "model").mkdir()
    return tmp_path / "model"


def test_the_library_is_named_and_all_else_stays(directory: Path, library: Path) -> None:
    model = {"decoder": DECODER, "vision": {"filename": "vision.onnx"}, "type": "phi", "eos": [1]}
    path = configure(
        directory, "genai_config.json", model=model, search={"top_p": 1.0, "name": "ü"}
    )
    assert add_kernels(directory, library, {"model.onnx"}) == ""
    found = json.loads(path.read_text(encoding="utf-8"))
    assert found["model"]["decoder"]["session_options"].pop("custom_ops_library") == library.name
    assert found == {"model": model, "search": {"top_p": 1.0, "name": "ü"}}
    assert (directory / library.name).read_bytes() == b"kernels"


def test_another_library_stays(directory: Path, library: Path) -> None:
    own = {**DECODER, "session_options": {"custom_ops_library": "own.so"}}
    path = configure(directory, "genai_config.json", model={"decoder": own})
    before = path.read_bytes()
    assert "names the library own.so" in add_kernels(directory, library, {"model.onnx"})
    assert path.read_bytes() == before
    assert not (directory / library.name).exists()


def test_a_configuration_without_the_model_stays(directory: Path, library: Path) -> None:
    configure(directory, "genai_config.json", model={"decoder": DECODER})
    assert "names none of the optimized files" in add_kernels(directory, library, {"other.onnx"})


def test_a_file_of_the_librarys_name_is_not_replaced(directory: Path, library: Path) -> None:
    configure(directory, "genai_config.json", model={"decoder": DECODER})
    (directory / library.name).write_bytes(b"something else")
    with pytest.raises(ModelError, match="would take the place of another file"):
        add_kernels(directory, library, {"model.onnx"})
