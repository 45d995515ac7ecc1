"""The plan: which values are centred and which norms converted, by a minimum cut.

For each stream v three binary variables: ``made`` (v itself is computed centred), ``moves`` (the
mean of v may change: nobody reads it) and ``at_hand`` (a centred copy of v is available, v itself
or an explicit recentring of it); for each norm one, ``converts``. With gains for norms and costs
for recentrings and copies, and with implications alone

    converts(n) => at_hand(input of n)
    made(p)     => at_hand(v)     p carries v
    made(v)     => at_hand(v), moves(v)
    moves(v)    => moves(p)       p carries v: the mean of p moves with that of v
    not made(v)                   the producer of v does not commute with centring
    not moves(v)                  v is read raw

the best choice is a minimum s-t cut: implications are edges that no cut crosses, a norm's gain is
the edge from the source, and the cost of at_hand without made is the edge between the two.
"""

from __future__ import annotations

import dataclasses
from collections import deque

import networkx as nx
import onnx_ir as ir

from graphopt.passes import affine, constants, trace
from graphopt.passes.affine import Affine
from graphopt.passes.axes import Stream
from graphopt.passes.costs import Costs, RowCounts, provider_costs
from graphopt.passes.trace import Norm, StreamFacts, Trace

__all__ = ["Plan", "make_plan"]

_SCALE = 1024
"""Costs become integers in units of 1/1024 ns, so that the cut is exact."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """What to do, as references into the graph.

    Attributes:
        trace: What the plan was made from.
        converted: Norms that become RMSNorms, in graph order.
        made: Streams that are computed centred, weights included.
        recentred: Streams of which a centred copy is made: at run time for a value, offline for a
            constant.
        affine: The affine part of each norm.
        kept: Why each other norm stays, in words.
        unlocks: For each recentred value the norms that need it.
        costs_ns: Cost of each recentring at run time, in nanoseconds.
    """

    trace: Trace
    converted: tuple[Norm, ...]
    made: frozenset[Stream]
    recentred: frozenset[Stream]
    affine: dict[Norm, Affine]
    kept: dict[ir.Node, str]
    unlocks: dict[Stream, tuple[Norm, ...]]
    costs_ns: dict[Stream, float]


@dataclasses.dataclass(frozen=True)
class _Prices:
    """Gains and costs in nanoseconds."""

    gains: dict[Norm, float]
    copies: dict[Stream, float]


def make_plan(
    model: ir.Model,
    provider: str = "cpu",
    max_growth: float | None = None,
    fold_affine: bool = True,
) -> Plan:
    """The plan with the greatest total gain.

    Args:
        model: A canonicalized model with inferred shapes; not changed.
        provider: ``"cpu"`` or ``"cuda"``: whose costs count.
        max_growth: Upper bound of the bytes of copied constants, as a share of all constants.
        fold_affine: False where every beta stays at its norm.
    """
    found = trace.trace(model)
    affines = {norm: affine.affine_of(norm, fold=fold_affine) for norm in found.norms}
    costs = provider_costs(provider)
    rows = RowCounts(model)
    rate = costs.nanoseconds_per_byte
    limit = None if max_growth is None else max_growth * _constant_bytes(model)
    while True:
        prices = _prices(found, affines, costs, rows, rate)
        chosen = _cut(found, prices)
        plan = _read_off(found, affines, prices, chosen)
        copied = sum(_bytes(stream) for stream in plan.recentred if _is_constant(stream))
        if limit is None or copied <= limit:
            return plan
        rate = rate * 8 if rate < 1e6 else float("inf")


def _constant_bytes(model: ir.Model) -> int:
    return sum(
        value.const_value.nbytes
        for value in model.graph.initializers.values()
        if value.const_value is not None
    )


def _is_constant(stream: Stream) -> bool:
    return constants.constant_tensor(stream.value) is not None


def _bytes(stream: Stream) -> int:
    tensor = constants.constant_tensor(stream.value)
    return 0 if tensor is None else tensor.nbytes


def _prices(
    found: Trace, affines: dict[Norm, Affine], costs: Costs, rows: RowCounts, rate: float
) -> _Prices:
    gains = {}
    for norm, part in affines.items():
        elements = rows.elements(norm.stream)
        gain = elements * (costs.layer_norm - costs.rms_norm)
        if part.beta == "stays":
            gain -= elements * costs.add + costs.launch
        elif part.beta == "folds" and part.added:
            gain -= elements * costs.add * part.added / norm.stream.axis.size + costs.launch
        gains[norm] = gain
    copies = {}
    for stream, facts in found.streams.items():
        if facts.constant:
            copies[stream] = rate * _bytes(stream) + 1.0
        elif stream.is_whole:
            copies[stream] = costs.recentring * rows.elements(stream) + 2 * costs.launch + 1.0
        else:
            copies[stream] = float("inf")
    return _Prices(gains, copies)


def _cut(found: Trace, prices: _Prices) -> set[object]:
    """The variables that are true in the best plan."""
    graph = nx.DiGraph()
    graph.add_nodes_from(("source", "sink"))
    for norm, gain in prices.gains.items():
        if gain <= 0:
            continue
        graph.add_edge("source", ("converts", norm), capacity=round(gain * _SCALE))
        if norm.stream not in found.centred:
            graph.add_edge(("converts", norm), ("at_hand", norm.stream))
    for stream, facts in found.streams.items():
        made, at_hand = ("made", stream), ("at_hand", stream)
        graph.add_edge(made, at_hand)
        _add_edge(graph, at_hand, made, prices.copies[stream])
        if facts.constant and facts.source:
            graph.add_edge(at_hand, "sink")
        moves = ("moves", stream)
        graph.add_edge(made, moves)
        if facts.source:
            graph.add_edge(made, "sink")
        if facts.raw_readers:
            graph.add_edge(moves, "sink")
        for operand in facts.operands:
            if operand not in found.centred:
                graph.add_edge(made, ("at_hand", operand))
        for other in (*facts.carriers, *facts.siblings):
            if other not in found.centred:
                graph.add_edge(moves, ("moves", other))
    _, (chosen, _) = nx.minimum_cut(graph, "source", "sink")
    return set(_reachable(graph, chosen))


def _add_edge(graph: nx.DiGraph, start: object, end: object, price: float) -> None:
    if price == float("inf"):
        graph.add_edge(start, end)
    else:
        graph.add_edge(start, end, capacity=max(1, round(price * _SCALE)))


def _reachable(graph: nx.DiGraph, chosen: set[object]) -> set[object]:
    """The source side without what no norm asks for."""
    wanted: set[object] = {
        node for node in chosen if isinstance(node, tuple) and node[0] == "converts"
    }
    queue = deque(wanted)
    while queue:
        for node in graph.successors(queue.popleft()):
            if node in chosen and node not in wanted:
                wanted.add(node)
                queue.append(node)
    return wanted


def _read_off(
    found: Trace, affines: dict[Norm, Affine], prices: _Prices, chosen: set[object]
) -> Plan:
    converted = tuple(norm for norm in found.norms if ("converts", norm) in chosen)
    made = frozenset(s for s in found.streams if ("made", s) in chosen)
    recentred = frozenset(s for s in found.streams if ("at_hand", s) in chosen and s not in made)
    unlocks: dict[Stream, list[Norm]] = {s: [] for s in found.streams if s in recentred}
    for norm in converted:
        for stream in upstream(found, norm.stream, made):
            if stream in unlocks:
                unlocks[stream].append(norm)
    kept = dict(found.refused)
    for norm in found.norms:
        if norm not in converted:
            kept[norm.node] = _reason(found, prices, norm)
    return Plan(
        trace=found,
        converted=converted,
        made=made,
        recentred=recentred,
        affine=affines,
        kept=kept,
        unlocks={s: tuple(norms) for s, norms in unlocks.items()},
        costs_ns={
            s: prices.copies[s]
            for s, facts in found.streams.items()
            if s in recentred and not facts.constant
        },
    )


def upstream(found: Trace, start: Stream, made: frozenset[Stream]) -> list[Stream]:
    """The streams that are centred so that ``start`` is: as far as constants and recentrings."""
    order: list[Stream] = []
    seen, queue = {start}, deque([start])
    while queue:
        stream = queue.popleft()
        if stream not in found.streams:
            continue
        order.append(stream)
        if stream not in made:
            continue
        for operand in found.streams[stream].operands:
            if operand not in seen:
                seen.add(operand)
                queue.append(operand)
    return order


def _reason(found: Trace, prices: _Prices, norm: Norm) -> str:
    """The nearest raw reader or source that keeps ``norm``, following what it would imply."""
    if prices.gains[norm] <= 0:
        return "converting it would not pay"
    start = (norm.stream, True)
    seen, queue = {start}, deque([start])
    while queue:
        stream, computed = queue.popleft()
        facts = found.streams.get(stream)
        if facts is None:
            continue
        blocked = _blocked(facts, computed)
        if blocked:
            return blocked
        operands = facts.operands if computed else ()
        following = [(other, True) for other in operands]
        following += [(other, False) for other in (*facts.siblings, *facts.carriers)]
        queue.extend(entry for entry in following if entry not in seen)
        seen.update(following)
    return "recentring its input would cost more than it gains"


def _blocked(facts: StreamFacts, computed: bool) -> str:
    """Why the stream cannot be computed centred, or cannot move with what it carries."""
    name = facts.stream.value.name
    if facts.constant and not facts.source:
        return ""
    if facts.source and computed:
        return f"{facts.source}: {name} cannot be computed centred"
    if facts.raw_readers:
        return f"{facts.raw_readers[0]} reads {name} raw"
    return ""
