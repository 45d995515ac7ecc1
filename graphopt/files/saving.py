"""Puts a model on disk whole or not at all."""

from __future__ import annotations

__all__ = [
    "append_metadata",
    "check_target",
    "data_files",
    "disk_errors",
    "publish",
    "save",
    "staged",
    "temporary",
]

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import onnx
import onnx_ir as ir

from graphopt.errors import EnvironmentFailure, UsageError
from graphopt.files import serializing
from graphopt.files.loading import source_of
from graphopt.files.regular_files import refuse_other_than_files
from graphopt.files.scratch import BACKUP_PREFIX, remove_leftovers, scratch_directory

_LARGEST_INLINE_BYTES = 1_500_000_000
"""A protobuf message cannot exceed 2 GB; external weights begin well before."""


def save(model: ir.Model, path: str | os.PathLike[str], *, force: bool = False) -> None:
    """Write ``model`` to ``path``, its weights to ``path``.data where the input had them external.

    Opset imports, IR version, producer, documentation and metadata are written as the model has
    them. On any failure the files that were there before are as they were.

    Args:
        model: The model; it is unchanged.
        path: The file to write.
        force: Replace an existing file.

    Raises:
        UsageError: The output exists, or is a file that the model was loaded from.
        EnvironmentFailure: The disk is full, or writing is not permitted.
    """
    with staged(model, path, force=force):
        pass


def check_target(model: ir.Model, path: str | os.PathLike[str], *, force: bool = False) -> None:
    """Raise where :func:`save` would refuse ``path``, before any work is done.

    Raises:
        UsageError: As :func:`save`.
    """
    path = Path(path)
    source = source_of(model)
    inputs = (source.path, *source.data_files) if source else ()
    written = (path, *data_files(model, path))
    for target in written:
        for original in inputs:
            if target.exists() and original.exists() and target.samefile(original):
                raise UsageError(
                    f"{target}: is the input, which is never written to: choose another output"
                )
    for target in written:
        refuse_other_than_files(target)
    for data in written[1:]:
        if _is_no_text(data.name):
            raise UsageError(
                f"{data}: a model names its data in UTF-8, and this is none: choose another output"
            )
    remove_leftovers(path)
    for target in written:
        _refuse_existing(target, force)
    if not path.parent.is_dir():
        raise UsageError(f"{path.parent}: is not a directory: create it first")


def _refuse_existing(target: Path, force: bool) -> None:
    if os.path.lexists(target) and not force:
        raise UsageError(f"{target}: exists: choose another output, or replace it (--force)")


def data_files(model: ir.Model, path: str | os.PathLike[str]) -> tuple[Path, ...]:
    """The files that :func:`save` writes beside ``path`` for the weights of ``model``."""
    return (_data_path(Path(path)),) if _is_external(model) else ()


def append_metadata(path: Path, properties: Mapping[str, str]) -> None:
    """Give a written model more metadata, without writing what is there again.

    Messages of protobuf that stand one behind the other are one message; lists in it are joined.
    Keys that the file has already must not be given: they would be there twice.

    Raises:
        EnvironmentFailure: The disk is full, or writing is not permitted.
    """
    addition = onnx.ModelProto()
    for key, value in properties.items():
        addition.metadata_props.add(key=key, value=value)
    with disk_errors(path), path.open("ab") as file:
        file.write(addition.SerializeToString())


@contextlib.contextmanager
def temporary(model: ir.Model) -> Iterator[Path]:
    """Write ``model`` to a temporary file for as long as the context lasts.

    Raises:
        EnvironmentFailure: The disk is full, or writing is not permitted.
    """
    path = Path(tempfile.gettempdir()) / "model.onnx"
    with _temporary_directory(path) as directory:
        with disk_errors(path):
            serializing.write(model, directory / path.name, external=_is_external(model))
        yield directory / path.name


@contextlib.contextmanager
def staged(model: ir.Model, path: str | os.PathLike[str], *, force: bool = False) -> Iterator[Path]:
    """Write ``model`` beside ``path``, let the caller examine it, and move it there at the end.

    The value is the path of a complete model, under its final name in a temporary directory. If the
    body raises, or is interrupted, nothing is left of it.

    Raises:
        UsageError: As :func:`save`.
        EnvironmentFailure: As :func:`save`.
    """
    path = Path(path)
    check_target(model, path, force=force)
    with _temporary_directory(path) as directory:
        candidate = directory / path.name
        with disk_errors(path):
            serializing.write(model, candidate, external=_is_external(model))
        yield candidate
        # The data first: a model must never be seen without its weights.
        moves = [(_data_path(candidate), _data_path(path)), (candidate, path)]
        with disk_errors(path):
            publish([move for move in moves if move[0].exists()], directory, force=force)


def publish(moves: Sequence[tuple[Path, Path]], directory: Path, *, force: bool) -> None:
    """Move several files, or folders, as one: where one cannot be, those before are taken back.

    Args:
        moves: From where, and to where.
        directory: A folder for what is replaced, on the same disk; :func:`scratch_directory`.
        force: Replace what is there.

    Raises:
        UsageError: Something is there: another run, or the user, was faster.
        OSError: Something cannot be moved.
    """
    for _, target in moves:
        _refuse_existing(target, force)
    undo: list[tuple[Path, Path]] = []
    try:
        for source, target in moves:
            if os.path.lexists(target):
                backup = directory / f"{BACKUP_PREFIX}{target.name}"
                undo.append((backup, target))
                target.replace(backup)
            undo.append((target, source))
            source.replace(target)
    except BaseException:
        for moved, original in reversed(undo):
            if not os.path.lexists(original):
                moved.replace(original)
        raise


@contextlib.contextmanager
def _temporary_directory(path: Path) -> Iterator[Path]:
    with contextlib.ExitStack() as stack:
        with disk_errors(path):
            directory = stack.enter_context(scratch_directory(path))
        yield directory


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn what the disk refuses into one line with the path and what to do.

    Raises:
        EnvironmentFailure: The body raised an OSError.
    """
    try:
        yield
    except OSError as error:
        advice = {
            errno.ENOSPC: "free some space or choose another directory",
            errno.EDQUOT: "free some space or choose another directory",
            errno.EFBIG: "raise the file size limit (ulimit -f) or choose another directory",
        }.get(error.errno or 0, "choose another output")
        raise EnvironmentFailure(
            f"{path}: cannot be written: {error.strerror or error}: {advice}"
        ) from error


def _is_no_text(name: str) -> bool:
    return any("\ud800" <= letter <= "\udfff" for letter in name)


def _is_external(model: ir.Model) -> bool:
    source = source_of(model)
    if source is not None and source.data_files:
        return True
    tensors = [
        value.const_value
        for graph in model.graphs()
        for value in graph.initializers.values()
        if value.const_value is not None
    ]
    if source is None and any(isinstance(tensor, ir.ExternalTensor) for tensor in tensors):
        return True
    return sum(tensor.nbytes for tensor in tensors) > _LARGEST_INLINE_BYTES


def _data_path(path: Path) -> Path:
    return path.with_name(path.name + serializing.DATA_SUFFIX)
