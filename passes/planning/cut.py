"""The minimum cut behind a plan.

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

Where streams may be compressed, each has three more: ``compressed`` (v itself is computed with
d - 1 features), ``encoded`` (a compressed copy of v is available) and ``unread`` (nobody reads v
whole); and each norm one more, ``compresses``:

    compresses(n) => converts(n), encoded(input of n)
    compressed(p) => made(p), encoded(v)     p carries v
    encoded(v)    => at_hand(v)
    unread(v)     => compresses(n)           n reads v
    unread(v)     => compressed(p)           p carries v
    not unread(v)                            something else reads v, or its size

An encoder costs where v is encoded and not compressed, a decoder where it is compressed and not
unread. A constant w has two more, ``compressed_by_one`` and ``compressed_by_all`` of the streams
that carry it, and costs a copy where the first holds and not the second: that is one copy for each
step from its lowest form to its highest, an upper bound where a raw and a compressed use meet,
because the exact number is not submodular.

    compressed(p) => compressed_by_one(w)    p carries w
    compressed_by_all(w) => compressed(p)    p carries w
"""

from __future__ import annotations

from collections import deque

import networkx as nx

from graphopt.passes.graph.axes import Stream
from graphopt.passes.planning.compression import Compression
from graphopt.passes.streams.trace import Norm, Trace

__all__ = ["minimum_cut"]

_SCALE = 1024
"""Costs become integers in units of 1/1024 ns, so that the cut is exact."""


def minimum_cut(
    found: Trace,
    gains: dict[Norm, float],
    copies: dict[Stream, float],
    compression: Compression | None,
) -> set[object]:
    """The variables that are true in the best plan, as pairs such as ``("made", stream)``.

    Args:
        found: The trace.
        gains: What converting each norm is worth, in nanoseconds.
        copies: What a centred copy of each stream costs.
        compression: What could be compressed; None where nothing is to be.
    """
    graph = nx.DiGraph()
    graph.add_nodes_from(("source", "sink"))
    for norm, gain in gains.items():
        if gain <= 0:
            continue
        graph.add_edge("source", ("converts", norm), capacity=round(gain * _SCALE))
        if norm.stream not in found.centred:
            graph.add_edge(("converts", norm), ("at_hand", norm.stream))
    for stream, facts in found.streams.items():
        made, at_hand, moves = ("made", stream), ("at_hand", stream), ("moves", stream)
        graph.add_edge(made, at_hand)
        graph.add_edge(made, moves)
        _add_edge(graph, at_hand, made, copies[stream])
        if facts.source:
            graph.add_edge(made, "sink")
        if facts.constant and facts.source:
            graph.add_edge(at_hand, "sink")
        if facts.raw_readers:
            graph.add_edge(moves, "sink")
        for operand in facts.operands:
            if operand not in found.centred:
                graph.add_edge(made, ("at_hand", operand))
        for other in (*facts.carriers, *facts.siblings):
            if other not in found.centred:
                graph.add_edge(moves, ("moves", other))
    if compression is not None:
        _compress(graph, found, gains, copies, compression)
    _, (chosen, _) = nx.minimum_cut(graph, "source", "sink")
    return set(_reachable(graph, chosen))


def _compress(
    graph: nx.DiGraph,
    found: Trace,
    gains: dict[Norm, float],
    copies: dict[Stream, float],
    compression: Compression,
) -> None:
    """Add the variables of compression."""
    compressing = {norm for norm, gain in compression.gains.items() if gain > 0 and gains[norm] > 0}
    for norm in compressing:
        capacity = round(compression.gains[norm] * _SCALE)
        graph.add_edge("source", ("compresses", norm), capacity=capacity)
        graph.add_edge(("compresses", norm), ("converts", norm))
        graph.add_edge(("compresses", norm), ("encoded", norm.stream))
    for stream in found.centred:
        _add_edge(graph, ("encoded", stream), "sink", compression.encoding[stream])
    for stream, facts in found.streams.items():
        if facts.constant:
            graph.add_edge(("encoded", stream), ("at_hand", stream))
            by_one, by_all = ("compressed_by_one", stream), ("compressed_by_all", stream)
            _add_edge(graph, by_one, by_all, copies[stream])
            for other in facts.carriers:
                if other in found.streams:
                    graph.add_edge(("compressed", other), by_one)
                graph.add_edge(by_all, ("compressed", other) if other in found.streams else "sink")
            continue
        compressed, encoded = ("compressed", stream), ("encoded", stream)
        unread = ("unread", stream)
        graph.add_edge(encoded, ("at_hand", stream))
        graph.add_edge(compressed, ("made", stream))
        graph.add_edge(compressed, encoded)
        _add_edge(graph, encoded, compressed, compression.encoding[stream])
        _add_edge(graph, compressed, unread, compression.decoding[stream])
        if stream in compression.stream_obstacles:
            graph.add_edge(compressed, "sink")
        for operand in facts.operands:
            if operand not in found.streams or not found.streams[operand].constant:
                graph.add_edge(compressed, ("encoded", operand))
        for other in facts.siblings:
            graph.add_edge(compressed, ("compressed", other))
        for other in facts.carriers:
            target = ("compressed", other) if other in found.streams else "sink"
            graph.add_edge(unread, target)
        if compression.whole_readers[stream]:
            graph.add_edge(unread, "sink")
    for norm in found.norms:
        reads_whole = norm not in compressing
        graph.add_edge(("unread", norm.stream), "sink" if reads_whole else ("compresses", norm))


def _add_edge(graph: nx.DiGraph, start: object, end: object, price: float) -> None:
    if price == float("inf"):
        graph.add_edge(start, end)
    else:
        graph.add_edge(start, end, capacity=max(1, round(price * _SCALE)))


def _reachable(graph: nx.DiGraph, chosen: set[object]) -> set[object]:
    """The source side without what no norm asks for."""
    asked = ("converts", "compresses")
    wanted: set[object] = {node for node in chosen if isinstance(node, tuple) and node[0] in asked}
    queue = deque(wanted)
    while queue:
        for node in graph.successors(queue.popleft()):
            if node in chosen and node not in wanted:
                wanted.add(node)
                queue.append(node)
    return wanted
