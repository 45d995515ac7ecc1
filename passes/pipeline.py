"""The pipeline: an ordered list of passes for each variant and target."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable

import onnx_ir as ir
import onnx_ir.passes.common as common_passes

from graphopt.passes.canonicalize_norms import CanonicalizeNorms
from graphopt.passes.compress import Compress
from graphopt.passes.convert_norms import ConvertNorms
from graphopt.passes.fold_affine import FoldAffine
from graphopt.passes.fold_layer_scale import FoldLayerScale
from graphopt.passes.fold_transposes import FoldTransposes
from graphopt.passes.fuse_custom_norms import FuseCustomNorms
from graphopt.passes.fuse_skip_norms import FuseSkipNorms
from graphopt.passes.infer_shapes import ForgetShapes, InferShapes
from graphopt.passes.lower_custom_norms import LowerCustomNorms
from graphopt.passes.lower_norms import LowerNorms
from graphopt.passes.merge_twins import MergeTwins
from graphopt.passes.norms import recognition
from graphopt.passes.planning.plan import Plan, make_plan
from graphopt.passes.planning.summary import summarize
from graphopt.passes.recentre import Recentre
from graphopt.passes.report import PassRecord, PlanSummary, Progress
from graphopt.passes.restore_norms import RestoreNorms
from graphopt.passes.unfuse_custom_norms import UnfuseCustomNorms
from graphopt.passes.unfuse_skip_norms import UnfuseSkipNorms

__all__ = ["Options", "Step", "analyse", "run", "steps"]


@dataclasses.dataclass(frozen=True)
class Options:
    """What the result is made for.

    Attributes:
        variant: ``"rms"``, or ``"crms"``, which also compresses the streams to d - 1 features.
        basis: How crms represents centred vectors: ``"orthonormal"`` or ``"drop"``.
        ops: ``"standard"``, ONNX operators alone, ``"ort"``, ONNX Runtime's own, or ``"custom"``,
            those of the domain graphopt, with bodies in ONNX operators.
        provider: Execution provider that the result is lowered for: ``"cpu"`` or ``"cuda"``.
        max_growth: Upper bound of the bytes of copied constants, as a share of all constants.
        skip: Names of optional steps to leave out.
    """

    variant: str = "rms"
    basis: str = "orthonormal"
    ops: str = "standard"
    provider: str = "cpu"
    max_growth: float | None = None
    skip: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        for name, value, known in (
            ("variant", self.variant, ("rms", "crms")),
            ("basis", self.basis, ("orthonormal", "drop")),
            ("ops", self.ops, ("standard", "ort", "custom")),
            ("provider", self.provider, ("cpu", "cuda")),
        ):
            if value not in known:
                raise ValueError(f"{name} is {value!r}; choose one of {', '.join(known)}")
        optional = {step.name for step in _ALL_STEPS if step.optional}
        refused = sorted(self.skip - optional)
        if refused:
            raise ValueError(
                f"pass {refused[0]!r} cannot be skipped; optional are {', '.join(sorted(optional))}"
            )


class CleanUp(ir.passes.InPlacePass):
    """Remove nodes, constants and functions that nothing uses, and sort the nodes."""

    def __init__(self) -> None:
        self.record: dict[str, int] = {}

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Clean up in place."""
        before = model.graph.num_nodes()
        common_passes.RemoveUnusedNodesPass()(model)
        common_passes.TopologicalSortPass()(model)
        self.record = {"nodes removed": before - model.graph.num_nodes()}
        return ir.passes.PassResult(model, modified=self.record["nodes removed"] > 0)


@dataclasses.dataclass(frozen=True)
class Step:
    """One pass of the pipeline.

    Attributes:
        name: What ``--skip`` and the report call it.
        summary: What it does, in one line.
        build: Makes the pass from the options and, behind the plan, from the plan.
        optional: True where leaving it out is sound.
        applies: False where the options leave nothing to do.
    """

    name: str
    summary: str
    build: Callable[[Options, Plan | None], ir.passes.InPlacePass]
    optional: bool = False
    applies: Callable[[Options], bool] = lambda options: True


def _planned(
    make: Callable[[Plan], ir.passes.InPlacePass],
) -> Callable[[Options, Plan | None], ir.passes.InPlacePass]:
    def build(options: Options, plan: Plan | None) -> ir.passes.InPlacePass:
        assert plan is not None
        return make(plan)

    return build


_CANONICALIZE = (
    Step(
        "unfuse-custom-norms",
        "read the operators of the domain graphopt back",
        lambda options, plan: UnfuseCustomNorms(),
    ),
    Step(
        "inline-functions",
        "inline model-local functions",
        lambda options, plan: common_passes.InlinePass(),
    ),
    Step("infer-shapes", "infer symbolic shapes", lambda options, plan: InferShapes()),
    Step(
        "unfuse-skip-norms",
        "split SkipLayerNormalization into Add and LayerNormalization",
        lambda options, plan: UnfuseSkipNorms(provider=options.provider),
    ),
    Step(
        "canonicalize-norms",
        "rewrite every spelling of LayerNorm to LayerNormalization",
        lambda options, plan: CanonicalizeNorms(),
    ),
    Step(
        "fold-transposes",
        "store transposed weights instead of transposing them",
        lambda options, plan: FoldTransposes(),
        optional=True,
    ),
    Step(
        "fold-layer-scale",
        "fold LayerScale factors into the linear maps before them",
        lambda options, plan: FoldLayerScale(),
        optional=True,
    ),
)
_REWRITE = (
    Step("recentre", "centre what writes the residual stream", _planned(Recentre)),
    Step(
        "fold-affine",
        "fold beta (and gamma of twin norms) into the linear maps that read it",
        _planned(FoldAffine),
        optional=True,
    ),
    Step(
        "compress",
        "compress what is centred to d - 1 features",
        _planned(Compress),
        applies=lambda options: options.variant == "crms",
    ),
    Step("convert-norms", "turn norms of centred values into RMSNorms", _planned(ConvertNorms)),
    Step(
        "merge-twins",
        "merge norms that compute the same thing",
        lambda options, plan: MergeTwins(),
        optional=True,
    ),
    Step(
        "restore-norms",
        "give the norms that stay their original spelling back",
        lambda options, plan: RestoreNorms(),
    ),
    Step(
        "fuse-skip-norms",
        "fuse a residual Add and the norm behind it",
        lambda options, plan: FuseSkipNorms(),
        optional=True,
        applies=lambda options: options.ops == "ort" and options.provider == "cuda",
    ),
    Step(
        "lower-custom-norms",
        "write RMSNorms in operators of the domain graphopt",
        lambda options, plan: LowerCustomNorms(),
        applies=lambda options: options.ops == "custom",
    ),
    Step(
        "fuse-custom-norms",
        "fuse a residual Add and the graphopt.RMSNorm behind it",
        lambda options, plan: FuseCustomNorms(),
        optional=True,
        applies=lambda options: options.ops == "custom",
    ),
    Step(
        "lower-norms",
        "write RMSNorms in the target's operators",
        lambda options, plan: LowerNorms(ops="ort" if options.ops == "ort" else "standard"),
    ),
    Step("clean-up", "remove what nothing reads", lambda options, plan: CleanUp()),
    Step(
        "forget-shapes",
        "give every value the shape that the file declared",
        lambda options, plan: ForgetShapes(),
    ),
)
_ALL_STEPS = (*_CANONICALIZE, *_REWRITE)


def steps(options: Options) -> tuple[Step, ...]:
    """The steps that ``run`` takes for ``options``, in order."""
    return tuple(s for s in _ALL_STEPS if s.name not in options.skip and s.applies(options))


def analyse(model: ir.Model, options: Options) -> PlanSummary:
    """Plan without applying the plan: canonicalizes ``model`` in place and changes nothing else."""
    records: list[PassRecord] = []
    for step in steps(options):
        if step in _CANONICALIZE:
            records.append(_take(step, model, options, None))
    return _summary(model, options)[1]


def run(
    model: ir.Model, options: Options, progress: Progress | None = None
) -> tuple[PlanSummary, tuple[PassRecord, ...]]:
    """Optimize ``model`` in place.

    Args:
        model: Any valid model; weights may be external, and are read only as far as needed.
        options: What to make.
        progress: Called before each step with its name and the share of the steps that are done.

    Returns:
        The plan, in names, and what each step did.
    """
    plan: Plan | None = None
    summary: PlanSummary | None = None
    records: list[PassRecord] = []
    chosen = steps(options)
    for index, step in enumerate(chosen):
        if progress is not None:
            progress(step.name, index / len(chosen))
        if step not in _CANONICALIZE and plan is None:
            start = time.perf_counter()
            plan, summary = _summary(model, options)
            records.append(
                PassRecord(
                    "plan",
                    summary.converted,
                    time.perf_counter() - start,
                    {"norms": len(summary.norms), "norms to convert": summary.converted},
                )
            )
        records.append(_take(step, model, options, plan))
    assert summary is not None
    return summary, tuple(records)


def _summary(model: ir.Model, options: Options) -> tuple[Plan, PlanSummary]:
    plan = make_plan(
        model,
        provider=options.provider,
        max_growth=options.max_growth,
        fold_affine="fold-affine" not in options.skip,
        basis=options.basis if options.variant == "crms" else None,
    )
    others = recognition.other_norms(model)
    return plan, summarize(plan, options.variant, options.provider, others)


def _take(step: Step, model: ir.Model, options: Options, plan: Plan | None) -> PassRecord:
    start = time.perf_counter()
    made = step.build(options, plan)
    made(model)
    detail: dict[str, int] = getattr(made, "record", {})
    return PassRecord(step.name, sum(detail.values()), time.perf_counter() - start, detail)
