"""Makes the models that a benchmark sets beside the original, and keeps why one cannot be made."""

from __future__ import annotations

__all__ = ["Workshop", "make_candidates"]

import dataclasses
import functools
import importlib.metadata
from collections.abc import Callable, Sequence
from pathlib import Path

from graphopt.benchmarking.candidates import (
    FLOOR,
    FLOOR_NO_FUSE,
    RMS_NO_FUSE,
    Candidate,
    difference_to,
    quantized_name,
)
from graphopt.benchmarking.floor import remove_all_norms
from graphopt.benchmarking.peers import PEERS, Peer, run_peer
from graphopt.benchmarking.quantizing import quantize
from graphopt.benchmarking.result import Failure, ModelInfo
from graphopt.errors import EnvironmentFailure, ModelError, VerificationFailed
from graphopt.files.saving import save
from graphopt.optimization import optimize_for
from graphopt.options import Check
from graphopt.passes import pipeline
from graphopt.passes.choices import VARIANT
from graphopt.passes.pipeline import Options
from graphopt.runtime.own_process import ProcessFailed
from graphopt.verification import Original


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


class _Making:
    """The candidates made so far, each in a directory of its own, and the failures."""

    def __init__(self, workshop: Workshop, announce: Callable[[str], None]) -> None:
        self.made: list[Candidate] = []
        self.failures: list[Failure] = []
        self._directory = workshop.directory
        self._announce = announce

    def make(self, name: str, job: Callable[[Path], Candidate]) -> Candidate | None:
        """The candidate that a job writes under the path it is given, or None where it fails."""
        self._announce(name)
        target = self._directory / f"{len(self.made) + len(self.failures)}" / "model.onnx"
        target.parent.mkdir(parents=True)
        try:
            candidate = job(target)
        except (ModelError, ProcessFailed, VerificationFailed) as error:
            self.failures.append(Failure(name, str(error)))
            return None
        written = sum(file.stat().st_size for file in target.parent.iterdir())
        self.made.append(dataclasses.replace(candidate, file_bytes=written))
        return candidate


def make_candidates(
    workshop: Workshop,
    given: Sequence[Candidate],
    *,
    optimized: bool,
    no_fuse: bool,
    floor: bool,
    peers: bool,
    quantizers: Sequence[str],
    announce: Callable[[str], None],
) -> tuple[list[Candidate], list[Failure]]:
    """Makes each candidate in a directory of its own.

    Args:
        workshop: What they are made of, and for.
        given: The original and those that need not be made.
        optimized: Make what graphopt makes, one model for each variant.
        no_fuse: Where more than norms was changed, make the same without: rms and the floor.
        floor: Make the norm-free floor.
        peers: Make what other optimizers make, and verify it.
        quantizers: Make the quantized forms of what is given and of what graphopt makes.
        announce: Told the name of what is made next.

    Returns:
        The candidates, and those that failed or compute something else.

    Raises:
        EnvironmentFailure: ONNX Runtime is missing, the provider does not start, the disk is full,
            or a quantizer is missing.
    """
    making = _Making(workshop, announce)
    alone = workshop.options.without_fusing()
    for variant in VARIANT.values if optimized else ():
        options = dataclasses.replace(workshop.options, variant=variant)
        made = making.make(variant, functools.partial(_optimize, workshop, options, variant))
        if no_fuse and made and made.fused and variant == VARIANT.default:
            job = functools.partial(_optimize, workshop, alone, RMS_NO_FUSE)
            making.make(RMS_NO_FUSE, job)
    if floor:
        job = functools.partial(_remove_norms, workshop, workshop.options, FLOOR)
        made = making.make(FLOOR, job)
        if no_fuse and made and made.fused:
            job = functools.partial(_remove_norms, workshop, alone, FLOOR_NO_FUSE)
            making.make(FLOOR_NO_FUSE, job)
    for peer in PEERS if peers else ():
        making.make(peer.name, functools.partial(_run_peer, workshop, peer))
    kept = [made for made in making.made if made.info.name in VARIANT.values]
    for quantizer in quantizers:
        for source in (*given, *kept):
            name = quantized_name(source.info.name, quantizer)
            making.make(name, functools.partial(_quantize, workshop, source, quantizer))
    return making.made, making.failures


def _optimize(workshop: Workshop, options: Options, name: str, target: Path) -> Candidate:
    report = optimize_for(
        workshop.source, options, check=Check(), output=target, original=workshop.original
    ).report
    fused = pipeline.is_fused(report.passes)
    if not report.plan.converted and not fused:
        raise ModelError("no LayerNorm was converted: ask graphopt inspect why")
    if doubt := report.doubt:
        raise ModelError(doubt)
    converted = f"{report.plan.converted} of {len(report.plan.norms)} LayerNorms converted"
    source = f"{_graphopt()}, --ops {report.ops}{'' if options.fuse else ' --no-fuse'}, {converted}"
    return Candidate(ModelInfo(name, "optimized", source), target, fused)


def _remove_norms(workshop: Workshop, options: Options, name: str, target: Path) -> Candidate:
    expected = workshop.original.expectation(options.provider)
    if not expected.draws:
        raise ModelError(f"the original was not run ({expected.reason}): leave it out (--no-floor)")
    model = workshop.original.model.clone()
    removed = remove_all_norms(model, expected.draws[0], options)
    if not removed.norms:
        raise ModelError("there is no LayerNorm to remove: leave it out (--no-floor)")
    save(model, target)
    how = "" if options.fuse else ", --no-fuse"
    info = ModelInfo(name, "floor", f"{_graphopt()}{how}, {removed.norms} LayerNorms removed")
    return Candidate(info, target, removed.fused)


def _run_peer(workshop: Workshop, peer: Peer, target: Path) -> Candidate:
    run_peer(
        peer,
        workshop.source,
        target,
        provider=workshop.options.provider,
        model_type=workshop.model_type,
    )
    difference = difference_to(workshop.original, target, workshop.options.provider)
    if difference:
        raise ModelError(f"its model is wrong ({difference}): keep the original")
    detail = f", model type {workshop.model_type}" if peer.name == "ort-transformers" else ""
    return Candidate(ModelInfo(peer.name, "peer", f"{peer.source}{detail}"), target)


def _quantize(workshop: Workshop, source: Candidate, quantizer: str, target: Path) -> Candidate:
    try:
        made_by = quantize(quantizer, source.path, target)
    except ProcessFailed as error:
        if error.kind == EnvironmentFailure.__name__:  # it is missing, for every model
            raise EnvironmentFailure(str(error)) from error
        raise
    of = source.info.name
    info = ModelInfo(quantized_name(of, quantizer), source.info.kind, made_by, quantizer, of)
    return Candidate(info, target, source.fused)


def _graphopt() -> str:
    return f"graphopt {importlib.metadata.version('graphopt')}"
