"""The job, for choices that are one value: read, optimize each model, place, verify, publish."""

from __future__ import annotations

__all__ = ["optimize_directory_for"]

import contextlib
import dataclasses
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

import onnx_ir as ir

from graphopt.directories import weights
from graphopt.directories.checking import Pair, verified_directory
from graphopt.directories.configurations import check_configurations
from graphopt.directories.kernels import add_kernels
from graphopt.directories.layout import Layout, read_layout
from graphopt.directories.publishing import check_output, staged_directory
from graphopt.directories.report import DirectoryReport, FileReport
from graphopt.directories.sizes import samples_of
from graphopt.errors import QuantizedModel
from graphopt.files import loading
from graphopt.files.external_data import size_of
from graphopt.optimization import optimize_for
from graphopt.options import Check, Sample
from graphopt.passes.pipeline import Options, is_left_as_it_was
from graphopt.passes.report import Progress
from graphopt.runtime.library import find_library

_GENAI = "onnxruntime-genai"


def optimize_directory_for(
    directory: Path,
    output: Path,
    options: Options,
    *,
    check: Check | None,
    force: bool = False,
    progress: Progress | None = None,
) -> DirectoryReport:
    """What :func:`graphopt.optimize_directory` does, for choices that are one value.

    Args:
        directory: The directory; it is not changed.
        output: The directory to make.
        options: What to make of each model.
        check: How to verify the results; None does not. Its sizes go to the models that have
            dimensions of these names.
        force: Replace an existing output.
        progress: Called as the work advances.
    """
    layout = read_layout(directory)
    check_output(layout, output, force=force)
    models = _loaded(layout)
    check_configurations(layout, models)
    samples = samples_of(models, check.sample if check else Sample())
    with staged_directory(output, force=force) as (draft, work):
        files = tuple(
            _made(directory, name, work / str(number), options, progress)
            for number, name in enumerate(layout.models)
        )
        _fill(layout, draft, work, files)
        report = DirectoryReport(
            input=str(directory),
            output=str(output),
            client=layout.client,
            bytes_before=_size(directory / path for path in (*layout.models, *layout.others)),
            bytes_after=0,
            files=files,
            notes=_notes(layout, files),
        )
        if layout.client == _GENAI and options.operators.has_kernels:
            report = _with_kernels(report, draft, options.provider)
        if check is not None:
            pairs = {
                path: Pair(model, directory / path, draft / path, samples[path])
                for path, model in models.items()
            }
            report = verified_directory(report, pairs, check, progress)
        return dataclasses.replace(
            report,
            bytes_after=_size(path for path in draft.rglob("*") if path.is_file()),
            files=tuple(_published(file, draft, output) for file in report.files),
        )


def _loaded(layout: Layout) -> dict[Path, ir.Model]:
    """The models that can be optimized, by their paths within the directory."""
    models = {}
    for path in layout.models:
        with contextlib.suppress(QuantizedModel):
            models[path] = loading.load(layout.directory / path)
    return models


def _made(
    directory: Path, name: Path, work: Path, options: Options, progress: Progress | None
) -> FileReport:
    """Optimize one model into the folder ``work``."""
    work.mkdir()
    source = directory / name
    told = progress and (lambda what, share: progress(f"{name.name}: {what}", share))
    try:
        report = optimize_for(
            source, options, check=None, output=work / name.name, progress=told
        ).report
    except QuantizedModel as error:
        return FileReport(str(name), "copied", str(error).removeprefix(f"{source}: "))
    if is_left_as_it_was(report.plan, report.passes):
        return FileReport(str(name), "copied", "nothing in it converts", report)
    return FileReport(str(name), "optimized", report=report)


def _fill(layout: Layout, draft: Path, work: Path, files: Sequence[FileReport]) -> None:
    """Put every file of the directory into the output: the models as they are now."""
    placed = [
        weights.Placed(
            Path(file.name),
            layout.directory / file.name,
            work / str(number) / Path(file.name).name if file.action == "optimized" else None,
        )
        for number, file in enumerate(files)
    ]
    data = {
        each.name.parent / location
        for each in placed
        for location in weights.data_files(each.source)
    }
    others = [path for path in layout.others if path not in data]
    for path in others:
        (draft / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(layout.directory / path, draft / path)
    weights.place(placed, draft, others)


def _notes(layout: Layout, files: Sequence[FileReport]) -> tuple[str, ...]:
    """What a user of the whole directory should know."""
    notes = []
    deeper = [str(path) for path in layout.others if path.suffix == ".onnx"]
    if deeper:
        notes.append(
            f"copied as they are, since they lie deeper than the folder onnx: {', '.join(deeper)}"
        )
    if all(file.action == "copied" for file in files):
        notes.append("no model changed: the output is a copy")
    return tuple(notes)


def _with_kernels(report: DirectoryReport, draft: Path, provider: str) -> DirectoryReport:
    """The report, after the kernel library was put beside the models that have its operators."""
    names = {
        file.name
        for file in report.files
        if file.action == "optimized" and file.report and file.report.has_custom_operators
    }
    if not names:
        return report
    library = find_library(provider)
    problem = (
        add_kernels(draft, library, names)
        if library
        else f"the kernels for {provider} were not built, so the models run without them"
    )
    if problem or library is None:
        return dataclasses.replace(report, notes=(*report.notes, problem))
    return dataclasses.replace(report, library=library.name)


def _published(file: FileReport, draft: Path, output: Path) -> FileReport:
    """The report on a file under its final name."""
    if file.report is None:
        return file
    made = draft / file.name
    placed = dataclasses.replace(
        file.report.output, path=str(output / file.name), bytes=size_of(made)
    )
    return dataclasses.replace(file, report=dataclasses.replace(file.report, output=placed))


def _size(paths: Iterable[Path]) -> int:
    return sum(path.stat().st_size for path in paths)
