"""Yes-or-no variables, implications and costs, and the choice of the greatest gain.

With gains for single variables, costs for one that is true where another is not, and implications
alone, the best choice is a minimum s-t cut: what is true lies on the side of the source. An
implication is an edge that no cut crosses, a gain is the edge from the source.
"""

from __future__ import annotations

import enum
import math
from collections import deque

import networkx as nx

from graphopt.passes.planning.variables import Choice, Variable

__all__ = ["Implications"]

_SCALE = 1024
"""Costs become integers in units of 1/1024 ns, so that the cut is exact."""


class _End(enum.Enum):
    SOURCE = "true"
    SINK = "false"


class Implications:
    """What a choice must keep to, and what it gains and costs, in nanoseconds."""

    def __init__(self) -> None:
        self._graph = nx.DiGraph()
        self._graph.add_nodes_from(_End)
        self._gainful: list[Variable] = []

    def gain(self, variable: Variable, gain: float) -> None:
        """``gain`` where the variable is true."""
        self._add(_End.SOURCE, variable, gain)
        self._gainful.append(variable)

    def imply(self, first: Variable, second: Variable) -> None:
        """Where the first is true the second is."""
        self._add(first, second)

    def forbid(self, variable: Variable) -> None:
        """The variable is false."""
        self._add(variable, _End.SINK)

    def charge(self, variable: Variable, price: float, unless: Variable | None = None) -> None:
        """``price`` where the variable is true and ``unless`` is not; infinity is no choice."""
        self._add(variable, _End.SINK if unless is None else unless, price)

    def _add(self, start: object, end: object, price: float = math.inf) -> None:
        """An edge; with one that is there already, what both ask for."""
        total = price
        if self._graph.has_edge(start, end):
            total += self._graph[start][end].get("capacity", math.inf) / _SCALE
            self._graph.remove_edge(start, end)
        if total == math.inf:
            self._graph.add_edge(start, end)  # without a capacity: no cut crosses it
        else:
            self._graph.add_edge(start, end, capacity=max(1, round(total * _SCALE)))

    def best(self) -> Choice:
        """The choice of the greatest gain, and of those the one that asks for the least."""
        _, (chosen, _) = nx.minimum_cut(self._graph, _End.SOURCE, _End.SINK)
        wanted = {variable for variable in self._gainful if variable in chosen}
        queue = deque(wanted)
        while queue:
            for variable in self._graph.successors(queue.popleft()):
                if variable in chosen and variable not in wanted:
                    wanted.add(variable)
                    queue.append(variable)
        return Choice(wanted)
