"""Which norms a verification has tried: they ran, and an output that proves something read them."""

from __future__ import annotations

__all__ = ["untried_norms"]

from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import onnx_ir as ir

from graphopt.passes.graph.branches import Branches, branches_of
from graphopt.passes.graph.constants import constant_tensor
from graphopt.verification.ancestry import ancestors
from graphopt.verification.graph_runs import GraphRuns, ran
from graphopt.verification.precision import MOVES

_BRANCHES = ("then", "else")


def untried_norms(
    model: ir.Model,
    norms: Mapping[str, Sequence[str]],
    proving: Collection[str],
    asked: Callable[[], GraphRuns | None],
) -> dict[str, str]:
    """The norms that outputs say nothing of, each with the reason.

    A norm that was tried ran in a draw in which an output that proves something depended on it.
    Where an If chooses what it normalizes, both choices were tried, and what reads it in a branch
    ran.

    Args:
        model: The original, its functions inlined.
        norms: Names of norms: those of their nodes, or of what these give. For each the names of
            the results of Ifs that hand on what it normalizes.
        proving: Names of the graph outputs that prove something.
        asked: Gives the nested graphs that ran, or None where that cannot be told; called where
            there are any.
    """
    is_nested = any(True for _ in model.graph.subgraphs())
    runs = asked() if is_nested else [frozenset()]
    ends = [value for value in model.graph.outputs if value.name in proving]
    proven = [ancestors(ends)] if runs is None else [ancestors(ends, run) for run in runs]
    givers = {value.name: node for node in model.graph.all_nodes() for value in node.outputs}
    branches = Branches(model)
    untried: dict[str, str] = {}
    missing = set(norms)
    for node in model.graph.all_nodes():
        names = _names(node).intersection(norms)
        missing -= names
        merges = [givers[name] for norm in names for name in norms[norm] if name in givers]
        reason = names and (
            _not_proven(node, model, runs, proven)
            or _not_read(node, branches, runs)
            or next(filter(None, (_one_sided(merge, runs) for merge in merges)), "")
        )
        if reason:
            untried |= dict.fromkeys(sorted(names - untried.keys()), reason)
    if is_nested:  # one that has another name there may be in a branch
        untried |= dict.fromkeys(sorted(missing), "whether it ran cannot be told")
    return untried


def _not_proven(
    node: ir.Node, model: ir.Model, runs: GraphRuns | None, proven: Sequence[Collection[ir.Node]]
) -> str:
    """Why no output says anything of a norm; "" where one does."""
    if node.graph is not model.graph:
        if runs is None:
            return "whether its branch ran cannot be told"
        if not ran(node.graph, runs):
            return "its branch did not run"
    if not any(node in found for found in proven):
        return "no output that proves anything depends on it"
    return ""


def _not_read(node: ir.Node, branches: Branches, runs: GraphRuns | None) -> str:
    """Which branch that reads a norm did not run; "" where all did that can.

    What the norm gives may be another there: its gamma and beta fold into weights of its readers.
    """
    if runs is None:
        return ""
    for reader in _readers(node):
        outer = branches.node_of(reader.graph)
        if reader.graph is node.graph or outer is None or _is_decided(outer):
            continue
        if not ran(reader.graph, runs):
            return f"a branch of If {_called(outer)} that reads it did not run"
    return ""


def _one_sided(node: ir.Node, runs: GraphRuns | None) -> str:
    """Which branch of an If before a norm alone ran; "" where both did, or one alone ever can."""
    graphs = branches_of(node)
    if not graphs or _is_decided(node):
        return ""
    if runs is None:
        return f"whether both branches of If {_called(node)} before it ran cannot be told"
    sides = [name for name, graph in zip(_BRANCHES, graphs, strict=True) if ran(graph, runs)]
    if len(sides) != 1:
        return ""
    return f"behind If {_called(node)} the {sides[0]} branch alone exercised it"


def _is_decided(node: ir.Node) -> bool:
    """True where the condition of an If is a constant."""
    condition = node.inputs[0]
    return condition is not None and constant_tensor(condition) is not None


def _readers(node: ir.Node) -> Iterator[ir.Node]:
    """The nodes that read what a node gives, or what that is moved to."""
    queue, seen = deque(node.outputs), set[ir.Node]()
    while queue:
        for reader in {use.node: None for use in queue.popleft().uses()}:
            if reader in seen:
                continue
            seen.add(reader)
            yield reader
            if reader.op_type in MOVES:
                queue.extend(reader.outputs)


def _called(node: ir.Node) -> str:
    return str(node.name or node.outputs[0].name)


def _names(node: ir.Node) -> set[str]:
    return {str(node.name), *(str(value.name) for value in node.outputs)}
