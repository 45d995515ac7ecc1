"""Yes-or-no variables, implications and costs, and the choice of the greatest gain.

With gains for single variables, costs for one that is true where another is not, and implications
alone, the best choice is a minimum s-t cut: what is true lies on the side of the source. An
implication is an edge that no cut crosses, a gain is the edge from the source.
"""

from __future__ import annotations

import enum
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
        self._graph.add_edge(_End.SOURCE, variable, capacity=round(gain * _SCALE))
        self._gainful.append(variable)

    def imply(self, first: Variable, second: Variable) -> None:
        """Where the first is true the second is."""
        self._graph.add_edge(first, second)

    def forbid(self, variable: Variable) -> None:
        """The variable is false."""
        self._graph.add_edge(variable, _End.SINK)

    def charge(self, variable: Variable, price: float, unless: Variable | None = None) -> None:
        """``price`` where the variable is true and ``unless`` is not; infinity is no choice."""
        end = _End.SINK if unless is None else unless
        if price == float("inf"):
            self._graph.add_edge(variable, end)
        else:
            self._graph.add_edge(variable, end, capacity=max(1, round(price * _SCALE)))

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
