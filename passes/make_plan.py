"""Decide what to centre, convert and compress: the step between reading and rewriting."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection

import onnx_ir as ir

from graphopt.passes.choices import MAX_GROWTH, PROVIDER, SKIP, VARIANT
from graphopt.passes.norms import recognition
from graphopt.passes.planning.forecast import forecast
from graphopt.passes.planning.plan import Plan, make_plan
from graphopt.passes.planning.summary import summarize
from graphopt.passes.report import PlanSummary
from graphopt.passes.rewrite import Rewrite

__all__ = ["MakePlan"]


class MakePlan(Rewrite):
    """Make the plan that :class:`~graphopt.passes.rewrite.PlannedRewrite`\\ s obey.

    The model is not changed. Its norms are canonical, and its shapes inferred.

    Args:
        variant: As the choices of a run have it.
        basis: Basis to compress streams in; None where none is to be compressed.
        provider: As the choices of a run have it.
        max_growth: As the choices of a run have it.
        skip: Passes that will not be run: without fold-affine every beta stays at its norm.

    Attributes:
        plan: The plan, in references into the graph.
        summary: The plan, in names.
    """

    needs_shapes = True

    def __init__(
        self,
        variant: str = VARIANT.default,
        basis: str | None = None,
        provider: str = PROVIDER.default,
        max_growth: float | None = MAX_GROWTH.default,
        skip: Collection[str] = SKIP.default,
    ) -> None:
        super().__init__()
        self.variant, self.basis, self.provider = variant, basis, provider
        self.max_growth, self.skip = max_growth, skip
        self.plan: Plan
        self.summary: PlanSummary

    @property
    def changed(self) -> int:
        """How many norms will be converted."""
        return self.record["norms to convert"]

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Plan; ``record`` counts the norms."""
        self.plan = make_plan(
            model,
            provider=self.provider,
            max_growth=self.max_growth,
            fold_affine="fold-affine" not in self.skip,
            basis=self.basis,
        )
        others = recognition.other_norms(model)
        self.summary = dataclasses.replace(
            summarize(self.plan, self.variant, self.provider, others),
            forecast=forecast(model, self.plan, self.provider),
        )
        self.record = {
            "norms": len(self.summary.norms),
            "norms to convert": self.summary.converted,
        }
        return ir.passes.PassResult(model, modified=False)
