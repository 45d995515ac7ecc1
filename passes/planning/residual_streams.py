"""The residual streams of a plan, in names: where they are written, and where they are read.

The values of the trace are the knots of a graph: an edge leads from what is added up to the sum,
and from what a norm reads to its output, where that is added up in its turn. What hangs together is
one residual stream. Of its values only those matter that somebody reads; all others belong to the
next of those. What is only cut out of a place or laid out anew, for readers that are no norms, is
no place of its own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import networkx as nx
import onnx_ir as ir

from graphopt.passes.graph.axes import Stream
from graphopt.passes.norms.original_spelling import reported_name
from graphopt.passes.planning.plan import Plan
from graphopt.passes.report import Place, ResidualStream, StreamState

__all__ = ["residual_streams"]


def residual_streams(plan: Plan) -> tuple[ResidualStream, ...]:
    """The streams of ``plan``, in graph order."""
    return _Streams(plan).found()


class _Streams:
    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._facts = plan.trace.streams
        self._norms: dict[Stream, list[str]] = {}
        for norm in plan.trace.norms:
            self._norms.setdefault(norm.stream, []).append(reported_name(norm.node))
        self._reads = {norm.node: norm.stream for norm in plan.trace.norms}
        self._sums = self._graph_of_sums()
        self._all = nx.DiGraph(self._sums)  # with what goes on behind norms
        for stream in self._sums:
            node = stream.value.producer()
            if node in self._reads:
                self._all.add_edge(self._reads[node], stream)
        self._rank = {stream: number for number, stream in enumerate(self._in_order())}

    def _graph_of_sums(self) -> nx.DiGraph[Stream]:
        sums: nx.DiGraph[Stream] = nx.DiGraph()
        sums.add_nodes_from(self._norms)
        for stream, facts in self._facts.items():
            if not facts.constant:
                sums.add_node(stream)
                sums.add_edges_from(
                    (operand, stream) for operand in facts.operands if not self._is_weight(operand)
                )
        return sums

    def _is_weight(self, stream: Stream) -> bool:
        return stream in self._facts and self._facts[stream].constant

    def _in_order(self) -> list[Stream]:
        """All values, each behind what it is computed from, and else as the graph has them."""
        numbers: dict[ir.Node, int] = {}
        producers = [stream.value.producer() for stream in self._all]
        for graph in dict.fromkeys(node.graph for node in producers if node is not None):
            for number, node in enumerate(graph or ()):
                numbers[node] = number
        numbered = {
            stream: -1 if node is None else numbers.get(node, -1)
            for stream, node in zip(self._all, producers, strict=True)
        }
        return list(nx.lexicographical_topological_sort(self._all, key=numbered.__getitem__))

    def found(self) -> tuple[ResidualStream, ...]:
        """All streams, those first that begin first."""
        rank = self._rank.__getitem__
        parts = [sorted(part, key=rank) for part in nx.weakly_connected_components(self._all)]
        parts.sort(key=lambda part: rank(part[0]))
        return tuple(self._stream(part) for part in parts)

    def _stream(self, values: list[Stream]) -> ResidualStream:
        """One stream: ``values`` are all of its values, in order."""
        belongs: dict[Stream, Stream] = {}  # to the value that is read
        members: dict[Stream, list[Stream]] = {}
        for value in reversed(values):
            following = [belongs[other] for other in self._sums.successors(value)]
            read = value in self._norms or (value in self._facts and self._readers(value))
            ends = read or not following
            belongs[value] = value if ends else min(following, key=self._rank.__getitem__)
        for value in values:
            members.setdefault(belongs[value], []).append(value)
        anchors = [value for value in values if value in members]
        index: dict[Stream, int] = {}
        axis = anchors[0].axis
        places: list[Place] = []
        for anchor in anchors:
            above = {
                index[belongs[other]]
                for value in members[anchor]
                for other in self._all.predecessors(value)
                if belongs[other] != anchor
            }
            place = self._place(anchor, members[anchor], tuple(sorted(above)))
            if not _is_part(place):
                index[anchor] = len(places)
                places.append(place)
            else:
                index[anchor] = place.after[0]
                whole = places[place.after[0]]
                readers = tuple(dict.fromkeys((*whole.readers, *place.readers)))
                places[place.after[0]] = dataclasses.replace(whole, readers=readers)
        return ResidualStream(axis.axis, axis.size, tuple(places))

    def _readers(self, value: Stream) -> list[str]:
        return self._facts[value].raw_readers

    def _place(self, anchor: Stream, members: list[Stream], after: tuple[int, ...]) -> Place:
        plan = self._plan
        absorbing: list[Stream] = []
        others: list[Stream] = []
        sources: list[str] = []
        outputs: list[str] = []
        for value in members:
            if value not in self._facts:
                continue
            facts = self._facts[value]
            weights = [other for other in (value, *facts.operands) if self._is_weight(other)]
            is_centred = value in plan.made or (facts.constant and value in plan.recentred)
            (absorbing if is_centred else others).extend(weights)
            sources += [source for weight in weights if (source := self._facts[weight].source)]
            node = value.value.producer()
            if node in self._reads:
                outputs.append(reported_name(node))
            elif facts.source:
                sources.append(facts.source)
        inserted = (plan.encoded, plan.decoded)
        return Place(
            value=anchor.value.name or "",
            state=self._state(anchor),
            after=after,
            absorbing=_names(absorbing),
            others=_names(others),
            sources=tuple(dict.fromkeys(sources)),
            norm_outputs=tuple(outputs),
            norms=tuple(self._norms.get(anchor, ())),
            readers=tuple(dict.fromkeys(self._readers(anchor))) if anchor in self._facts else (),
            recentrings=_names(value for value in members if value in plan.costs_ns),
            basis_changes=_names(v for changes in inserted for v in members if v in changes),
        )

    def _state(self, value: Stream) -> StreamState:
        if value in self._plan.compressed:
            return "compressed"
        return "centred" if value in self._plan.made or value not in self._facts else "raw"


def _is_part(place: Place) -> bool:
    """True of what is cut out of one other place, for readers that are no norms."""
    writers = (place.absorbing, place.others, place.sources, place.norm_outputs)
    inserted = (place.recentrings, place.basis_changes)
    return len(place.after) == 1 and not any((*writers, place.norms, *inserted))


def _names(streams: Iterable[Stream]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(stream.value.name or "" for stream in streams))
