"""Puts models with external weights in place: each data file keeps its name, and is held once.

An optimized model is first written with a data file of its own. Here its weights move to the file
that the original had them in, whose name a client may know (``model.onnx_data``). Models that
shared one share one again: bytes that are equal are written once, and where a model that was only
copied reads the file, its bytes stay at their places and the new ones follow.
"""

from __future__ import annotations

__all__ = ["Placed", "data_files", "place"]

import dataclasses
import hashlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import onnx

from graphopt.errors import ModelError
from graphopt.files import external_data, parsing, tensor_messages
from graphopt.files.serializing import aligned

_PIECE = 1 << 22


@dataclasses.dataclass(frozen=True)
class Placed:
    """A model on its way into the output.

    Attributes:
        name: Its path within the directory.
        source: The original.
        written: The file that was made of it, or None where the original is copied.
    """

    name: Path
    source: Path
    written: Path | None


def data_files(model: Path) -> dict[str, Path]:
    """The files that a model's weights lie in: the real path of each name, the largest first.

    Raises:
        ModelError: One is missing, too short, or outside of the model's directory.
    """
    found = {location: file for location, file, _, _ in _ranges(model)}
    by_size = sorted(found.items(), key=lambda item: (-item[1].stat().st_size, item[0]))
    return dict(by_size)


def place(models: Sequence[Placed], output: Path, others: Sequence[Path]) -> None:
    """Copy or move models, and their external weights, into ``output``.

    Args:
        models: All models of the directory.
        output: The directory that is being made.
        others: Paths, within the directory, of the other files; none is written here.

    Raises:
        ModelError: Weights would take the name of another file.
        OSError: A file cannot be read or written.
    """
    groups: dict[Path, list[Placed]] = {}
    kept: dict[Path, list[Placed]] = {}
    for model in models:
        (output / model.name).parent.mkdir(parents=True, exist_ok=True)
        if model.written is None:
            shutil.copyfile(model.source, output / model.name)
            for location in data_files(model.source):
                kept.setdefault(model.name.parent / location, []).append(model)
        elif (target := _target(model)) is None:
            model.written.replace(output / model.name)
        else:
            groups.setdefault(model.name.parent / target, []).append(model)
    for data in {**groups, **kept}:
        if data in {each.name for each in models} or data in others:
            raise ModelError(
                f"{data}: the weights of {(groups.get(data) or kept[data])[0].name} would be "
                "written to it, and it is another file of the directory: rename it"
            )
        (output / data).parent.mkdir(parents=True, exist_ok=True)
        _write(output, data, groups.get(data, []), kept.get(data, []))


def _target(model: Placed) -> str | None:
    """The name of the file for the weights of an optimized model; None where it has no such."""
    assert model.written is not None
    if not (named := data_files(model.written)):
        return None
    return next(iter(data_files(model.source)), next(iter(named)))


def _write(output: Path, data: Path, made: Sequence[Placed], kept: Sequence[Placed]) -> None:
    """Write one data file, and the optimized models that read it."""
    if not kept and len(made) == 1 and made[0].written is not None:
        (file,) = data_files(made[0].written).values()
        _refer(made[0], output, data, {})
        file.replace(output / data)
        return
    known: dict[str, int] = {}
    if kept:
        location = str(data.relative_to(kept[0].name.parent).as_posix())
        shutil.copyfile(data_files(kept[0].source)[location], output / data)
        if made:
            known = _digests(kept, data, output / data)
    with (output / data).open("ab") as target:
        for model in made:
            assert model.written is not None
            moved: dict[tuple[int, int], int] = {}
            for _, file, offset, length in _ranges(model.written):
                with file.open("rb") as source:
                    digest = _digest(source, offset, length)
                    if digest not in known:
                        known[digest] = aligned(target.tell(), length)
                        target.write(bytes(known[digest] - target.tell()))
                        for piece in _pieces(source, offset, length):
                            target.write(piece)
                moved[offset, length] = known[digest]
            _refer(model, output, data, moved)


def _refer(model: Placed, output: Path, data: Path, moved: Mapping[tuple[int, int], int]) -> None:
    """Write an optimized model that names ``data``, its weights where they were moved to."""
    assert model.written is not None
    proto = onnx.load(model.written, load_external_data=False)
    location = data.relative_to(model.name.parent).as_posix()
    for _, tensor in tensor_messages.all_tensors(proto):
        if external_data.is_external(tensor):
            _, offset, length = external_data.locate(tensor, model.written)
            del tensor.external_data[:]
            place = moved.get((offset, length), offset)
            for key, value in (("location", location), ("offset", place), ("length", length)):
                tensor.external_data.add(key=key, value=str(value))
    (output / model.name).write_bytes(proto.SerializeToString())


def _ranges(model: Path) -> Iterator[tuple[str, Path, int, int]]:
    """Of each external tensor the name of its file, the file, offset and length."""
    for _, tensor in tensor_messages.all_tensors(parsing.read(model)):
        if external_data.is_external(tensor):
            entries = {entry.key: entry.value for entry in tensor.external_data}
            if entries["location"] != parsing.SELF:
                yield (Path(entries["location"]).as_posix(), *external_data.locate(tensor, model))


def _digests(models: Sequence[Placed], data: Path, file: Path) -> dict[str, int]:
    """Where the weights of models that are copied lie in a data file, by what they are."""
    found: dict[str, int] = {}
    with file.open("rb") as source:
        for model in models:
            for location, _, offset, length in _ranges(model.source):
                if model.name.parent / location == data:
                    found.setdefault(_digest(source, offset, length), offset)
    return found


def _digest(source: BinaryIO, offset: int, length: int) -> str:
    digest = hashlib.sha256(str(length).encode())
    for piece in _pieces(source, offset, length):
        digest.update(piece)
    return digest.hexdigest()


def _pieces(source: BinaryIO, offset: int, length: int) -> Iterator[bytes]:
    source.seek(offset)
    while length:
        piece = source.read(min(length, _PIECE))
        if not piece:
            return
        length -= len(piece)
        yield piece
