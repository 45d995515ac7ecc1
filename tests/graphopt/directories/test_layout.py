from __future__ import annotations

import os
from pathlib import Path

import pytest

from graphopt.directories.layout import read_layout
from graphopt.errors import EnvironmentFailure, ModelError


def touch(directory: Path, *names: str) -> Path:
    for name in names:
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).touch()
    return directory


@pytest.mark.parametrize(
    ("files", "client"),
    [
        (["genai_config.json", "config.json", "model.onnx"], "onnxruntime-genai"),
        (["modules.json", "config.json", "onnx/model.onnx"], "sentence-transformers"),
        (["config.json", "onnx/model.onnx", "onnx/model_fp16.onnx"], "transformers.js"),
        (["config.json", "model.onnx"], "optimum"),
        (["model.onnx"], "plain"),
    ],
)
def test_who_reads_a_directory_shows_in_its_files(
    tmp_path: Path, files: list[str], client: str
) -> None:
    layout = read_layout(touch(tmp_path, *files))
    assert layout.client == client
    assert [str(path) for path in layout.models] == sorted(f for f in files if f.endswith(".onnx"))


def test_models_lie_at_the_top_and_in_onnx(tmp_path: Path) -> None:
    touch(tmp_path, "a.onnx", "onnx/b.onnx", "unet/c.onnx", "onnx/d/e.onnx", ".git/f.onnx")
    layout = read_layout(tmp_path)
    assert [str(path) for path in layout.models] == ["a.onnx", "onnx/b.onnx"]
    assert [str(path) for path in layout.others] == ["onnx/d/e.onnx", "unet/c.onnx"]


def test_links_are_followed(tmp_path: Path) -> None:
    touch(tmp_path, "blobs/1", "blobs/folder/2", "model/x.json")
    (tmp_path / "model" / "model.onnx").symlink_to("../blobs/1")
    (tmp_path / "model" / "more").symlink_to("../blobs/folder")
    layout = read_layout(tmp_path / "model")
    assert [str(path) for path in layout.models] == ["model.onnx"]
    assert [str(path) for path in layout.others] == ["more/2", "x.json"]


def circle(directory: Path) -> None:
    (directory / "circle").symlink_to(directory)


def link_to_nothing(directory: Path) -> None:
    (directory / "gone").symlink_to("nowhere")


def pipe(directory: Path) -> None:
    os.mkfifo(directory / "pipe")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (circle, "circle: is a link to a folder that it lies in"),
        (link_to_nothing, "gone: is a link to nothing"),
        (pipe, "pipe: is neither a file nor a folder"),
    ],
)
def test_what_cannot_be_copied_is_named(tmp_path: Path, make: object, message: str) -> None:
    touch(tmp_path, "model.onnx")
    make(tmp_path)  # type: ignore[operator]
    with pytest.raises(ModelError, match=message):
        read_layout(tmp_path)


def test_a_directory_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"has no \.onnx file, nor has its folder onnx: export"):
        read_layout(touch(tmp_path, "config.json"))
    with pytest.raises(ModelError, match=r"give the folder of deep/er/model\.onnx"):
        read_layout(touch(tmp_path, "deep/er/model.onnx"))
    with pytest.raises(ModelError, match="no such directory"):
        read_layout(tmp_path / "nowhere")


@pytest.mark.parametrize("closed", [".", "folder", "folder/words.txt"])
def test_what_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, closed: str
) -> None:
    touch(tmp_path, "model.onnx", "folder/words.txt")
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path / closed)
    with pytest.raises(EnvironmentFailure, match="cannot be read: check its permissions"):
        read_layout(tmp_path)
