"""The pipeline: takes the steps for what is asked for, one after the other."""

from __future__ import annotations

import time
from collections.abc import Iterable

import onnx_ir as ir

from graphopt.passes.make_plan import MakePlan
from graphopt.passes.options import Options, steps
from graphopt.passes.planning.plan import Plan
from graphopt.passes.report import PassRecord, PlanSummary, Progress
from graphopt.passes.rewrite import Rewrite
from graphopt.passes.step import Step
from graphopt.passes.steps import FUSING

__all__ = ["Options", "Step", "analyse", "is_fused", "is_left_as_it_was", "prepare", "run", "steps"]


def analyse(model: ir.Model, options: Options) -> PlanSummary:
    """Plan without applying the plan: canonicalizes ``model`` in place and changes nothing else."""
    return prepare(model, options)[0]


def prepare(model: ir.Model, options: Options) -> tuple[PlanSummary, tuple[PassRecord, ...]]:
    """Take the steps up to the plan, in place: the plan, and what each step did."""
    records: list[PassRecord] = []
    for step in steps(options):
        made, record = _take(step, model, options, None)
        records.append(record)
        if isinstance(made, MakePlan):
            return made.summary, tuple(records)
    raise AssertionError("every pipeline has a plan")


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
        made, record = _take(step, model, options, plan)
        records.append(record)
        if isinstance(made, MakePlan):
            plan, summary = made.plan, made.summary
    assert summary is not None
    return summary, tuple(records)


def is_left_as_it_was(plan: PlanSummary, records: Iterable[PassRecord]) -> bool:
    """True for a model that no pass is to change: no norm converts, and nothing beside is fused.

    One that was optimized before, with operators of the domain graphopt, may be asked for others.
    """
    records = tuple(records)
    is_read_back = any(r.changed for r in records if r.name == "unfuse-custom-norms")
    return not plan.converted and not is_read_back and not is_fused(records)


def is_fused(records: Iterable[PassRecord]) -> bool:
    """True where something beside the norms was cleaned up or fused."""
    return any(record.changed for record in records if record.name in FUSING)


def _take(
    step: Step, model: ir.Model, options: Options, plan: Plan | None
) -> tuple[Rewrite, PassRecord]:
    start = time.perf_counter()
    made = step.build(options, plan)
    made(model)
    return made, PassRecord(step.name, made.changed, time.perf_counter() - start, made.record)
