"""The plan in names: what ``inspect`` prints and the report saves."""

from __future__ import annotations

import dataclasses

import onnx_ir as ir

from graphopt.passes.graph import constants
from graphopt.passes.graph.axes import Stream, rank
from graphopt.passes.graph.naming import node_words
from graphopt.passes.graph.titles import title
from graphopt.passes.norms.original_spelling import SPELLING, reported_name
from graphopt.passes.planning.compression import weight_copies
from graphopt.passes.planning.plan import Plan
from graphopt.passes.planning.residual_streams import residual_streams
from graphopt.passes.planning.upstream import Upstream
from graphopt.passes.report import (
    BasisChange,
    Cause,
    Copy,
    NormDecision,
    OtherNorm,
    PlanSummary,
    Recentring,
)
from graphopt.passes.streams.affine import Affine
from graphopt.passes.streams.readers import norm_axis
from graphopt.passes.streams.trace import Norm

__all__ = ["summarize"]


def summarize(
    plan: Plan, variant: str, provider: str, other_norms: tuple[OtherNorm, ...]
) -> PlanSummary:
    """Describe ``plan`` before it is applied; node order is graph order."""
    ends = Upstream(plan.trace, plan.made)
    merges = [s for s, facts in plan.trace.streams.items() if facts.merges and s in plan.made]
    merging = Upstream(plan.trace, plan.made, frozenset(merges))
    decisions = [
        dataclasses.replace(
            _converted(plan, norm, ends),
            merges=tuple(
                stream.value.name or ""
                for stream in merges
                if merging.is_above(stream, norm.stream)
            ),
        )
        for norm in plan.converted
    ]
    decisions += [_kept(node, reason, plan.causes[node]) for node, reason in plan.kept.items()]
    order = {name: i for i, name in enumerate(_graph_order(plan))}
    decisions.sort(key=lambda decision: order[decision.name])
    copies = _copies(plan)
    named = {copy.tensor for copy in copies}
    named.update(*((*decision.absorbed_by, *decision.recentrings) for decision in decisions))
    return PlanSummary(
        variant=variant,
        provider=provider,
        norms=tuple(decisions),
        other_norms=other_norms,
        recentrings=tuple(
            Recentring(
                value=stream.value.name or "",
                axis=stream.axis.axis,
                size=stream.axis.size,
                unlocks=tuple(reported_name(norm.node) for norm in plan.unlocks[stream]),
                cost_us=cost / 1000,
            )
            for stream, cost in plan.costs_ns.items()
        ),
        copies=copies,
        basis=plan.basis,
        streams=residual_streams(plan),
        basis_changes=(
            *(_change("encoder", stream, cost) for stream, cost in plan.encoded.items()),
            *(_change("decoder", stream, cost) for stream, cost in plan.decoded.items()),
        ),
        titles=_titles(plan, named),
    )


def _titles(plan: Plan, named: set[str]) -> dict[str, str]:
    """What the named values are whose names do not say it."""
    values = (stream.value for stream in plan.trace.streams if stream.value.name in named)
    return {value.name or "": title(value) for value in values if title(value) != value.name}


def _change(kind: str, stream: Stream, cost_ns: float) -> BasisChange:
    name, axis = stream.value.name or "", stream.axis
    return BasisChange(kind, name, axis.axis, axis.size, cost_ns / 1000)


def _graph_order(plan: Plan) -> list[str]:
    nodes = [*(norm.node for norm in plan.trace.norms), *plan.trace.refused]
    places: dict[ir.Node, int] = {}
    for graph in {node.graph: None for node in nodes if node.graph is not None}:
        for node in graph:
            places[node] = len(places)
    return [reported_name(node) for node in sorted(nodes, key=lambda node: places[node])]


def _converted(plan: Plan, norm: Norm, ends: Upstream) -> NormDecision:
    facts = plan.trace.streams
    absorbing = [stream for stream in ends.fresh(norm.stream) if facts[stream].constant]
    recentred = [s for s in plan.costs_ns if ends.is_above(s, norm.stream)]
    return NormDecision(
        name=reported_name(norm.node),
        spelling=str(norm.node.meta.get(SPELLING, "LayerNormalization")),
        value=norm.stream.value.name or "",
        axis=norm.stream.axis.axis,
        size=norm.stream.axis.size,
        converted=True,
        absorbed_by=tuple(stream.value.name or "" for stream in absorbing),
        absorbed_above=ends.count(norm.stream) - len(absorbing) - len(recentred),
        recentrings=tuple(stream.value.name or "" for stream in recentred),
        affine=_affine_words(plan.affine[norm]),
        compressed=norm in plan.compressed_norms,
        uncompressed=plan.uncompressed.get(norm, ""),
        gamma=_gamma(norm.node),
    )


def _affine_words(part: Affine) -> str:
    if part.beta == "none":
        return "no beta"
    if part.beta == "folds":
        return "beta folded"
    return f"beta kept: {part.obstacle}"


def _gamma(node: ir.Node) -> str:
    scale = node.inputs[1] if len(node.inputs) > 1 else None
    return "" if scale is None else scale.name or ""


def _kept(node: ir.Node, reason: str, cause: Cause) -> NormDecision:
    axis, value = norm_axis(node), node.inputs[0]
    count = rank(value)
    return NormDecision(
        name=reported_name(node),
        spelling=str(node.meta.get(SPELLING, "LayerNormalization")),
        value="" if value is None else value.name or "",
        axis=node.attributes.get_int("axis", -1) % count if count else -1,
        size=None if axis is None else axis.size,
        converted=False,
        reason=reason,
        gamma=_gamma(node),
        cause=cause,
    )


def _copies(plan: Plan) -> tuple[Copy, ...]:
    found = []
    for stream in plan.recentred:
        tensor = constants.constant_tensor(stream.value)
        if tensor is None:
            continue
        facts = plan.trace.streams[stream]
        raw = [carrier.value.producer() for carrier in facts.carriers if carrier not in plan.made]
        readers = [*facts.raw_readers, *(node_words(node) for node in raw if node)]
        reader = readers[0] if readers else "another use"
        found.append(Copy(stream.value.name or "", tensor.nbytes, f"{reader} needs its mean"))
    found += [
        Copy(stream.value.name or "", growth, f"it is stored as {_stored_type(stream.value)}")
        for stream in plan.made
        if (growth := constants.widening(stream.value))
    ]
    found += [
        Copy(stream.value.name or "", tensor.nbytes, "another use needs it whole")
        for stream in plan.twofold
        if (tensor := constants.constant_tensor(stream.value)) is not None
    ]
    compressed = [norm for norm in plan.converted if norm in plan.compressed_norms]
    for copy in weight_copies(compressed, plan.affine):
        reason = f"{reported_name(copy.norm.node)} is compressed and has a form of its own"
        found.append(Copy(copy.weight.name or "", copy.nbytes, reason))
    return tuple(sorted(found, key=lambda copy: (copy.tensor, copy.reason)))


def _stored_type(value: ir.Value) -> str:
    stored = constants.stored_tensor(value)
    return "" if stored is None else stored.dtype.name.lower()
