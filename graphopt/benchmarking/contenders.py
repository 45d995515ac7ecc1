"""What is compared: the original, the candidates that were given, and what is made of it."""

from __future__ import annotations

__all__ = ["Contenders", "compared"]

import contextlib
import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import onnx_ir as ir

from graphopt.benchmarking.candidates import Candidate, difference_to, given_candidates
from graphopt.benchmarking.execution import Execution
from graphopt.benchmarking.grid import Place, with_padding
from graphopt.benchmarking.half_precision import fit_precision
from graphopt.benchmarking.making import Workshop, make_candidates
from graphopt.benchmarking.output_errors import error_of
from graphopt.benchmarking.result import Failure
from graphopt.benchmarking.settings import Settings
from graphopt.errors import ModelError, UsageError
from graphopt.files import parsing
from graphopt.files.external_data import size_of
from graphopt.files.loading import source_of
from graphopt.options import Sample
from graphopt.passes.pipeline import Options
from graphopt.verification import Original
from graphopt.verification.interface import interface_difference

Announce = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Contenders:
    """What is compared on one provider.

    Attributes:
        candidates: The original, then those that were given or made.
        failures: What could not be made, and why.
        notes: What is to be said of those that were given.
    """

    candidates: list[Candidate]
    failures: list[Failure]
    notes: list[str]


def compared(
    model: ir.Model,
    source: Path,
    execution: Execution,
    place: Place,
    directory: Path,
    *,
    paths: Sequence[Path],
    settings: Settings,
    announce: Announce,
) -> Contenders:
    """Checks the candidates that were given against the original, and makes the others.

    Args:
        model: The original, in the type that is measured.
        source: Its file.
        execution: How models are run.
        place: The inputs with which candidates are checked.
        directory: Where candidates are made.
        paths: The model files that were given, the original first.
        settings: The choices.
        announce: Called with what is done next.

    Raises:
        ModelError: No candidate that was given has the inputs of the original.
    """
    notes: list[str] = []
    with contextlib.ExitStack() as stack:
        original = _original(model, source, execution, place, settings, stack)
        first, *others = given_candidates(paths, source)
        loaded = source_of(original.model)
        first = dataclasses.replace(first, file_bytes=loaded.size if loaded else None)
        others = [dataclasses.replace(each, file_bytes=size_of(each.path)) for each in others]
        strangers = {each.info.name: _other_inputs(model, each.path) for each in others}
        unfit = [Failure(name, problem) for name, problem in strangers.items() if problem]
        if unfit and len(unfit) == len(others):
            raise ModelError(
                f"{others[0].path}: {unfit[0].reason}: give a model with the same ones"
            )
        others = [each for each in others if not strangers[each.info.name]]
        for other in others:
            announce(f"checking {other.info.name}")
            if difference := difference_to(original, other.path, execution.provider):
                notes.append(
                    f"{other.info.name} was not found to compute what {first.info.name} does: "
                    f"{difference}"
                )
        workshop = Workshop(
            source=source,
            original=original,
            directory=directory,
            options=Options(ops=settings.ops, provider=execution.provider),
            model_type=settings.model_type,
        )
        made, failures = make_candidates(
            workshop,
            [first, *others],
            optimized=not strangers,
            no_fuse=settings.no_fuse,
            floor=settings.floor,
            peers=settings.peers,
            quantizers=tuple(dict.fromkeys(settings.quantize)),
            announce=lambda name: announce(f"making {name}"),
        )
        candidates = [first, *others, *made]
        if settings.quantize:
            measured = (_with_error(each, original, execution, announce) for each in candidates[1:])
            candidates = [first, *measured]
    return Contenders(candidates, unfit + failures, notes)


def _other_inputs(model: ir.Model, candidate: Path) -> str:
    """In which inputs a candidate differs from the original, so that it cannot be timed beside it.

    Those that have a value of their own are left out: they need none.
    """
    graph = parsing.read(candidate).graph
    constants = {tensor.name for tensor in graph.initializer}
    found = {info.name for info in graph.input} - constants
    needed = {str(v.name) for v in model.graph.inputs if v.name not in model.graph.initializers}
    same = found == needed
    return "" if same else interface_difference("input", sorted(needed), sorted(found))


def _original(
    model: ir.Model,
    source: Path,
    execution: Execution,
    place: Place,
    settings: Settings,
    stack: contextlib.ExitStack,
) -> Original:
    """What candidates are verified against, run with two samples where that can be.

    A candidate that ignores a mask must not pass for right. There is no second sample where the
    batch is frozen, or an input is given.
    """
    sample = Sample(
        inputs=fit_precision(settings.inputs, model),
        input_shapes=place.input_shapes,
        seed=settings.seed,
        custom_op_libraries=settings.custom_op_libraries,
    )

    def at(place: Place) -> Original:
        return stack.enter_context(
            Original(model, dataclasses.replace(sample, dims=place.dims), path=source)
        )

    padded = with_padding(place, model)
    if padded != place:
        with contextlib.suppress(UsageError):  # what was given has one sample
            original = at(padded)
            if original.expectation(execution.provider).draws:
                return original
    return at(place)


def _with_error(
    candidate: Candidate, original: Original, execution: Execution, announce: Announce
) -> Candidate:
    """How far it is from the original; a floor computes something else on purpose."""
    if candidate.info.kind == "floor":
        return candidate
    announce(f"checking {candidate.info.name}")
    error = error_of(original, candidate.path, execution.provider, execution.library)
    return dataclasses.replace(candidate, error=error)
