"""Writes a package, whole or not at all, and only one that answers its own golden pair."""

from __future__ import annotations

__all__ = ["PackageOptions", "write_package"]

import dataclasses
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import onnx_ir as ir

from graphopt.errors import EnvironmentFailure, UsageError, VerificationFailed, listed
from graphopt.files import loading
from graphopt.files.scratch import scratch_directory
from graphopt.golden import GOLDEN_FILE, Golden, save_golden
from graphopt.options import Sample
from graphopt.packaging.contents import library_names
from graphopt.packaging.formats import Package, write_format
from graphopt.packaging.golden_pair import make_golden
from graphopt.packaging.triton_options import TritonOptions
from graphopt.passes.operators.custom_ops import DOMAIN
from graphopt.runtime.library import find_library
from graphopt.runtime.results import tensors
from graphopt.runtime.session_process import SessionProcess
from graphopt.serving.settings import ServingSettings
from graphopt.verification.golden_answers import errors_of_answer, worst_errors

_MODEL = "model.onnx"


@dataclasses.dataclass(frozen=True)
class PackageOptions:
    """How a package is made.

    Attributes:
        name: What the server calls the model; "" is the name of its file.
        provider: Execution provider of the session.
        threads: Threads inside an operator; 0 is one for each core.
        library: Whether the kernels come along; None where the model has operators for them.
        session_options: Configuration entries of the session, by ONNX Runtime's names.
        original: The model whose outputs are golden; None is the model itself.
        triton: How Triton runs it.
    """

    name: str = ""
    provider: str = "cpu"
    threads: int = 1
    library: bool | None = None
    session_options: Mapping[str, str] = dataclasses.field(default_factory=dict)
    original: Path | None = None
    triton: TritonOptions = dataclasses.field(default_factory=TritonOptions)


def write_package(
    path: Path,
    kind: str,
    output: Path,
    options: PackageOptions = PackageOptions(),
    sample: Sample = Sample(),  # noqa: B008 (immutable)
) -> Package:
    """Write the package of a model into the new folder ``output``.

    Args:
        path: The model's file.
        kind: The format, one of :data:`graphopt.packaging.formats.FORMATS`.
        output: The folder; it appears whole or not at all.
        options: How it is made.
        sample: What the golden requests are; what is not given is generated.

    Returns:
        What was written.

    Raises:
        UsageError: The folder exists or cannot be, or something given does not fit the model.
        ModelError: A model cannot be read, or no golden pair can be made of it.
        VerificationFailed: The model does not answer the golden pair.
        EnvironmentFailure: ONNX Runtime, a provider or a library is missing, or the disk fails.
    """
    if os.path.lexists(output):
        raise UsageError(f"{output}: exists: choose another folder, or remove it")
    if not output.parent.is_dir():
        raise UsageError(f"{output.parent}: is not a directory: create it first")
    model = loading.load(path)
    kernels = _kernels(model, path, options)
    libraries = (*(Path(each) for each in sample.custom_op_libraries), *kernels)
    names = library_names(libraries)
    settings = ServingSettings(
        model=_MODEL,
        library=names[-1] if kernels else "",
        custom_op_libraries=names[: len(names) - len(kernels)],
        provider=options.provider,
        threads=options.threads,
        session_options=options.session_options,
    )
    golden = make_golden(options.original or path, sample)
    _check(path, golden, options.provider, kernels, sample.custom_op_libraries)
    try:
        with scratch_directory(output) as scratch:
            save_golden(golden, scratch / GOLDEN_FILE)
            draft = scratch / "package"
            draft.mkdir()
            name = options.name or _name_of(path)
            pair = scratch / GOLDEN_FILE
            package = Package(name, path, model, settings, libraries, pair, options.triton)
            write_format(kind, package, draft)
            draft.rename(output)
    except OSError as error:
        raise EnvironmentFailure(
            f"{output}: cannot be written: {error.strerror or error}: check the disk and the folder"
        ) from error
    return package


def _kernels(model: ir.Model, path: Path, options: PackageOptions) -> tuple[Path, ...]:
    """The library of kernels, where it comes along."""
    has_operators = DOMAIN in model.opset_imports
    if options.library is False or (options.library is None and not has_operators):
        return ()
    found = find_library(options.provider)
    if found is None and options.library:
        from graphopt.runtime.library import library_path

        library_path(options.provider)  # says how to build it
    return () if found is None else (found,)


def _check(
    path: Path,
    golden: Golden,
    provider: str,
    kernels: Sequence[Path],
    custom_op_libraries: Sequence[str | os.PathLike[str]],
) -> None:
    """Raise where the model, opened as the server opens it, gives other outputs."""
    answers = []
    with SessionProcess() as process:
        opened = process.open(
            path,
            provider=provider,
            library=kernels[0] if kernels else None,
            custom_op_libraries=custom_op_libraries,
        )
        first = golden.requests[0]
        if sorted(opened.inputs) != sorted(first.inputs):
            raise UsageError(
                f"{path} has the inputs {listed(opened.inputs)} and the original "
                f"{listed(first.inputs)}: give the original that it was made from"
            )
        for request in golden.requests:
            answer = tensors(process.run(request.inputs))
            answers.append(errors_of_answer(golden, request, answer))
    wrong = next((error for error in worst_errors(answers) if not error.passed), None)
    if wrong is not None:
        raise VerificationFailed(
            f"{path} does not answer its golden pair: output {wrong.name!r}: "
            f"{wrong.problem or f'largest error {wrong.max_abs:.2g}'}: no package was written, "
            "keep the original"
        )


def _name_of(path: Path) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]", "-", path.name.removesuffix(".onnx")) or "model"
