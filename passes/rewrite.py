"""What every pass is: a rewrite that counts what it did and says what it needs."""

from __future__ import annotations

import weakref
from typing import ClassVar

import onnx_ir as ir

from graphopt.passes.graph.naming import all_nodes
from graphopt.passes.graph.shapes import DECLARED
from graphopt.passes.planning.plan import Plan

__all__ = ["PlannedRewrite", "Rewrite"]

_APPLIED = "graphopt.applied"
"""Key of a model's ``meta``: the plan that is being applied, and the passes that have been."""


class Rewrite(ir.passes.InPlacePass):
    """A pass that works in place.

    Attributes:
        needs_shapes: Run on a model whose shapes are unknown, it would see too little and silently
            do nothing: that is an error instead.
        record: How many places were changed, by kind; ``call`` sets it anew.
    """

    needs_shapes: ClassVar[bool] = False

    def __init__(self) -> None:
        super().__init__()
        self.record: dict[str, int] = {}

    @property
    def changed(self) -> int:
        """How many places were changed."""
        return sum(self.record.values())

    def requires(self, model: ir.Model) -> None:
        """Check what the pass needs.

        Raises:
            PreconditionError: Shapes are needed, and were not inferred.
        """
        if not self.needs_shapes:
            return
        results = [value for node in all_nodes(model) for value in node.outputs if value.name]
        if any(DECLARED in value.meta for value in results):
            return  # inferred as far as they can be
        unknown = next((value for value in results if value.shape is None), None)
        if unknown is not None:
            raise ir.passes.PreconditionError(
                f"{type(self).__name__} needs shapes, and that of {unknown.name!r} is not known: "
                "run InferShapes before it"
            )


class PlannedRewrite(Rewrite):
    """A rewrite that obeys a plan.

    Args:
        plan: The plan for the very model that the pass is run on.
    """

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.plan = plan

    @property
    def after(self) -> tuple[str, ...]:
        """Names of the rewrites that must have applied the same plan before this one does."""
        return ()

    def requires(self, model: ir.Model) -> None:
        """Check that the plan is for ``model``, and how far it has been applied.

        Raises:
            PreconditionError: The plan was made for another model, or for an earlier state of this
                one; a rewrite that must come before is missing; or this one has been applied.
        """
        super().requires(model)
        name, done = type(self).__name__, self._done(model)
        graphs = set(model.graphs())
        missing = [other for other in self.after if other not in done]
        if name in done:
            raise ir.passes.PreconditionError(f"{name} has applied this plan to this model already")
        if any(norm.node.graph not in graphs for norm in self.plan.converted):
            raise ir.passes.PreconditionError(
                f"{name} needs the plan of this very model, and was given that of another one or "
                "of an earlier state: make a plan, and rewrite nothing else before it is applied"
            )
        if missing:
            raise ir.passes.PreconditionError(
                f"{name} comes after {' and '.join(missing)}: run {' and '.join(missing)} with the "
                "same plan before it"
            )

    def ensures(self, model: ir.Model) -> None:
        """Remember that this rewrite has been applied."""
        # A weak reference: the plan holds on to the whole graph as it was.
        model.meta[_APPLIED] = (
            weakref.ref(self.plan),
            self._done(model) | {type(self).__name__},
        )

    def _done(self, model: ir.Model) -> frozenset[str]:
        """Names of the rewrites that have applied this plan."""
        plan, done = model.meta.get(_APPLIED, (None, frozenset()))
        return frozenset(done) if plan is not None and plan() is self.plan else frozenset()
