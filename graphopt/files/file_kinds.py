"""Names the files that people give by mistake, so that the error says what to do instead."""

from __future__ import annotations

__all__ = ["refuse_other_kinds"]

from pathlib import Path

from graphopt.errors import ModelError

_EXPORT = "export the model to ONNX first (graphopt export, or torch.onnx.export)"
_HEAD_BYTES = 4096

# (offset, bytes there, what the file is, what to do)
_SIGNATURES = (
    (0, b"PK\x03\x04", "a zip archive (a PyTorch checkpoint?)", _EXPORT),
    (0, b"\x80\x02", "a Python pickle (a PyTorch checkpoint?)", _EXPORT),
    (8, b'{"', "a safetensors file: weights without a graph", _EXPORT),
    (0, b"\x89HDF", "an HDF5 file (a Keras model?)", _EXPORT),
    (4, b"TFL3", "a TensorFlow Lite model", _EXPORT),
    (4, b"ORTM", "a model in ORT format", "give the .onnx file that it was made from"),
    (0, b"GGUF", "a GGUF file: weights without a graph", _EXPORT),
    (0, b"\x1f\x8b", "compressed with gzip", "decompress it first"),
    (0, b"version https://git-lfs", "a Git LFS pointer", "fetch the model with: git lfs pull"),
)


def refuse_other_kinds(path: Path) -> None:
    """Raise where ``path`` is plainly not a binary ONNX file.

    Raises:
        ModelError: The path is missing, a directory, empty, or a file of another kind.
        OSError: It cannot be read.
    """
    if path.is_dir():
        models = sorted(file.name for file in path.glob("*.onnx"))
        advice = (
            f"give one of its files: {', '.join(models[:5])}" if models else "give a .onnx file"
        )
        raise ModelError(f"{path}: is a directory: {advice}")
    if not path.exists():
        raise ModelError(f"{path}: no such file: check the path")
    if not path.is_file():
        raise ModelError(f"{path}: not a regular file: give a .onnx file")
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if not head:
        raise ModelError(f"{path}: is empty: copy or export it again")
    for offset, signature, kind, advice in _SIGNATURES:
        if head.startswith(signature, offset):
            raise ModelError(f"{path}: not an ONNX file but {kind}: {advice}")
    if _is_text(head):
        raise ModelError(f"{path}: not an ONNX file but text: give the binary .onnx file")


def _is_text(head: bytes) -> bool:
    """Whether ``head`` has no control bytes but white space: a protobuf message always has some."""
    return all(byte >= 0x20 or byte in b"\t\n\r\f" for byte in head)
