"""Makes the models that a benchmark sets beside the original, and keeps why one cannot be made."""

from __future__ import annotations

__all__ = [
    "FLOOR",
    "Candidate",
    "Workshop",
    "difference_to",
    "given_candidates",
    "make_candidates",
]

import dataclasses
import functools
import importlib.metadata
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from graphopt.benchmarking.floor import remove_all_norms
from graphopt.benchmarking.peers import PEERS, Peer, run_peer
from graphopt.benchmarking.result import Failure, ModelInfo
from graphopt.errors import ModelError, VerificationFailed
from graphopt.files.saving import save
from graphopt.optimization import optimize_for
from graphopt.options import Check
from graphopt.passes.choices import VARIANT
from graphopt.passes.pipeline import Options
from graphopt.runtime.own_process import ProcessFailed
from graphopt.verification import Original, verify

FLOOR = "floor"


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A model to time.

    Attributes:
        info: Its name, kind and origin.
        path: Its file.
    """

    info: ModelInfo
    path: Path


@dataclasses.dataclass(frozen=True)
class Workshop:
    """What candidates are made of, and for.

    Attributes:
        source: The original model's file.
        original: What they are verified against; it has its inputs.
        directory: Where they are written.
        options: What graphopt makes, but for the variant; its provider is what all are verified on.
        model_type: What ``onnxruntime.transformers`` is told that the model is.
    """

    source: Path
    original: Original
    directory: Path
    options: Options = dataclasses.field(default_factory=Options)
    model_type: str = "bert"


def given_candidates(paths: Sequence[Path], source: Path) -> list[Candidate]:
    """The models at ``paths``, the original first, which ``source`` stands for.

    They are called by their stems, and by their paths where those are not unique; a file that is
    given again is numbered.
    """
    if len(paths) == 1:
        return [Candidate(ModelInfo("original", "original", str(paths[0])), source)]
    stems = [path.stem for path in paths]
    made_here = {FLOOR, *(peer.name for peer in PEERS)}
    taken = {*made_here, *(stem for stem in stems if stems.count(stem) > 1)}
    found: list[Candidate] = []
    times: Counter[str] = Counter()
    for path in paths:
        name = str(path) if path.stem in taken else path.stem
        times[name] += 1
        if times[name] > 1:
            name = f"{name} ({times[name]})"
        info = ModelInfo(name, "given" if found else "original", str(path))
        found.append(Candidate(info, path))
    return found


def difference_to(original: Original, candidate: Path, provider: str) -> str:
    """Why ``candidate`` is not, or not known to be, the same function; "" where it is."""
    checked = verify(original, candidate, provider=provider)
    if checked.status == "passed":
        return ""
    wrong = [output for output in checked.outputs if not output.passed]
    errors = ", ".join(f"{output.name} by {output.max_abs:.2g}" for output in wrong)
    return checked.reason or f"it differs in {errors}"


def make_candidates(
    workshop: Workshop,
    *,
    optimized: bool,
    floor: bool,
    peers: bool,
    announce: Callable[[str], None],
) -> tuple[list[Candidate], list[Failure]]:
    """Makes each candidate in a directory of its own.

    Args:
        workshop: What they are made of, and for.
        optimized: Make what graphopt makes, one model for each variant.
        floor: Make the norm-free floor.
        peers: Make what other optimizers make, and verify it.
        announce: Told the name of what is made next.

    Returns:
        The candidates, and those that failed or compute something else.

    Raises:
        EnvironmentFailure: ONNX Runtime is missing, the provider does not start, the disk is full.
    """
    jobs: dict[str, Callable[[Path], ModelInfo]] = {}
    if optimized:
        jobs |= {name: functools.partial(_optimize, workshop, name) for name in VARIANT.values}
    if floor:
        jobs[FLOOR] = functools.partial(_remove_norms, workshop)
    if peers:
        jobs |= {peer.name: functools.partial(_run_peer, workshop, peer) for peer in PEERS}
    made, failures = [], []
    for name, job in jobs.items():
        announce(name)
        target = workshop.directory / name / "model.onnx"
        target.parent.mkdir(parents=True)
        try:
            made.append(Candidate(job(target), target))
        except (ModelError, ProcessFailed, VerificationFailed) as error:
            failures.append(Failure(name, str(error)))
    return made, failures


def _optimize(workshop: Workshop, variant: str, target: Path) -> ModelInfo:
    options = dataclasses.replace(workshop.options, variant=variant)
    report = optimize_for(
        workshop.source, options, check=Check(), output=target, original=workshop.original
    ).report
    if not report.plan.converted:
        raise ModelError("no LayerNorm was converted: graphopt inspect says why")
    if doubt := report.doubt:
        raise ModelError(doubt)
    converted = f"{report.plan.converted} of {len(report.plan.norms)} LayerNorms converted"
    return ModelInfo(variant, "optimized", f"{_graphopt()}, --ops {report.ops}, {converted}")


def _remove_norms(workshop: Workshop, target: Path) -> ModelInfo:
    expected = workshop.original.expectation(workshop.options.provider)
    if not expected.draws:
        raise ModelError(f"the original was not run: {expected.reason}")
    model = workshop.original.model.clone()
    removed = remove_all_norms(model, expected.draws[0], workshop.options)
    if not removed:
        raise ModelError("there is no LayerNorm to remove")
    save(model, target)
    return ModelInfo(FLOOR, "floor", f"{_graphopt()}, {removed} LayerNorms removed")


def _run_peer(workshop: Workshop, peer: Peer, target: Path) -> ModelInfo:
    run_peer(
        peer,
        workshop.source,
        target,
        provider=workshop.options.provider,
        model_type=workshop.model_type,
    )
    difference = difference_to(workshop.original, target, workshop.options.provider)
    if difference:
        raise ModelError(f"its model is wrong: {difference}")
    detail = f", model type {workshop.model_type}" if peer.name == "ort-transformers" else ""
    return ModelInfo(peer.name, "peer", f"{peer.source}{detail}")


def _graphopt() -> str:
    return f"graphopt {importlib.metadata.version('graphopt')}"
