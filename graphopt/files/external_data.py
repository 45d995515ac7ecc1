"""Finds the files that hold a model's external weights, and refuses those that are not its own.

The ONNX specification keeps external data within the model's directory, by a relative name. Here
the *name* must stay within it. The file of that name may be a symbolic or a hard link to anywhere:
that is how download caches store files, and a link was placed by whoever owns the directory, not by
whoever wrote the model.
"""

from __future__ import annotations

__all__ = ["files_of", "is_external", "locate", "named_files", "size_of"]

from pathlib import Path, PurePosixPath, PureWindowsPath

import onnx

from graphopt.errors import ModelError
from graphopt.files import parsing, tensor_messages


def is_external(tensor: onnx.TensorProto) -> bool:
    """Whether the tensor's bytes are outside the message."""
    return tensor.data_location == onnx.TensorProto.EXTERNAL


def files_of(model: Path) -> tuple[Path, ...]:
    """The model's file and those beside it that its weights name, also where it is damaged.

    It tells what must not be written to; whether the model is any good is said when it is loaded.
    """
    try:
        proto = parsing.read(model)
        locations = {
            entry.value
            for _, tensor in tensor_messages.all_tensors(proto)
            for entry in tensor.external_data
            if entry.key == "location" and "\0" not in entry.value
        }
    except (ModelError, OSError):
        return (model,)
    directories = (model.parent, model.resolve().parent)
    return (model, *(folder / name for name in sorted(locations) for folder in directories))


def named_files(model: Path) -> dict[str, Path]:
    """The files of a model's external weights: where each really is, by the name it is found by.

    Raises:
        ModelError: The model cannot be read, or a name leaves its folder, or a file is missing.
        OSError: The model's file cannot be read.
    """
    found = {}
    for _, tensor in tensor_messages.all_tensors(parsing.read(model)):
        names = (entry.value for entry in tensor.external_data if entry.key == "location")
        name = next(names, "") if is_external(tensor) else parsing.SELF
        if name != parsing.SELF and name not in found:
            found[name] = locate(tensor, model)[0]
    return found


def size_of(model: Path) -> int:
    """Bytes of the model's file and of those beside it that its weights name."""
    files = {file.resolve() for file in files_of(model) if file.is_file()}
    return sum(file.stat().st_size for file in files)


def locate(tensor: onnx.TensorProto, model: Path) -> tuple[Path, int, int]:
    """Find the bytes of an external tensor of the model at ``model``.

    Returns:
        The real path of the file, the offset and the length in bytes.

    Raises:
        ModelError: The name leaves the model's directory, or the file is missing or too short.
    """
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = entries.get("location", "")
    expected = tensor_messages.byte_count(tensor)
    where = f"{model}: weight {tensor.name!r}"
    try:
        offset = int(entries.get("offset", 0))
        length = int(entries.get("length", expected))
    except ValueError as error:
        raise ModelError(f"{where} has no number as offset or length: export it again") from error
    file = model.resolve() if location == parsing.SELF else _resolve(location, model, where)
    if length != expected:
        raise ModelError(
            f"{where} has {length} bytes of data where its shape and type need {expected}: "
            "export it again"
        )
    size = file.stat().st_size
    if offset < 0 or offset + length > size:
        raise ModelError(
            f"{where} ends at byte {offset + length} of {location}, which has {size} bytes: "
            "the data file is truncated, copy it again"
        )
    return file, offset, length


def _resolve(location: str, model: Path, where: str) -> Path:
    # Judged by the rules of POSIX and of Windows: the file may come from the other system.
    absolute = PurePosixPath(location).is_absolute() or bool(PureWindowsPath(location).anchor)
    parts = PureWindowsPath(location).parts
    if not location or "\0" in location or absolute or ".." in parts:
        raise ModelError(
            f"{where} names external data outside the model's directory ({location!r}): "
            "put the data beside the model and export or save it again"
        )
    # A link to the model alone, without its data, is followed to the directory that has both.
    for directory in (model.parent, model.resolve().parent):
        file = directory / location
        if file.is_file():
            return file.resolve()
    raise ModelError(
        f"{where} is in external data {location!r}, which is missing from {model.parent}: "
        "copy it beside the model"
    )
