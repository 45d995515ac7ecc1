"""Which norms a verification has tried: they ran, and an output that proves something read them."""

from __future__ import annotations

__all__ = ["nodes_that_ran", "untried_norms"]

import os
from collections.abc import Callable, Collection, Mapping, Sequence

import onnx_ir as ir

from graphopt.evaluation.calls import Array
from graphopt.files import saving
from graphopt.runtime.session_process import SessionProcess
from graphopt.verification.ancestry import ancestors


def nodes_that_ran(
    process: SessionProcess,
    model: ir.Model,
    draws: Sequence[Mapping[str, Array]],
    custom_op_libraries: Sequence[str | os.PathLike[str]],
) -> frozenset[ir.Node]:
    """The nodes of a model, those of branches and loops included, that run on some inputs.

    Asked is the profiler of ONNX Runtime, without its optimizations, of a copy whose nodes bear
    numbers for names.

    Raises:
        RuntimeRefused: The copy does not run.
    """
    copy = model.clone()
    originals = {str(number): node for number, node in enumerate(model.graph.all_nodes())}
    for number, node in enumerate(copy.graph.all_nodes()):
        node.name = str(number)
    with saving.temporary(copy) as path:
        process.open(
            path, optimization="disable", custom_op_libraries=custom_op_libraries, profile=True
        )
        for inputs in draws:
            process.run(inputs)
        return frozenset(originals[name] for name in process.nodes_that_ran() if name in originals)


def untried_norms(
    model: ir.Model,
    norms: Collection[str],
    proving: Collection[str],
    ran: Callable[[], Collection[ir.Node] | None],
) -> dict[str, str]:
    """The norms that outputs say nothing of, each with the reason.

    Args:
        model: The original, its functions inlined.
        norms: Names of norms: those of their nodes, or of what these give.
        proving: Names of the graph outputs that prove something.
        ran: Gives the nodes that ran, or None where that cannot be told; called where a norm is in
            a branch or a loop.
    """
    untried: dict[str, str] = {}
    missing, is_nested = set(norms), False
    proven = ancestors(value for value in model.graph.outputs if value.name in proving)
    for node in model.graph.all_nodes():
        in_branch = node.graph is not model.graph
        is_nested |= in_branch
        names = _names(node).intersection(norms)
        if not names:
            continue
        missing -= names
        reason = _not_run(node, ran()) if in_branch else ""
        if not reason and node not in proven:
            reason = "no output that proves anything depends on it"
        if reason:
            untried |= dict.fromkeys(sorted(names - untried.keys()), reason)
    if is_nested:  # one that has another name there may be in a branch
        untried |= dict.fromkeys(sorted(missing), "whether it ran cannot be told")
    return untried


def _not_run(node: ir.Node, ran: Collection[ir.Node] | None) -> str:
    if ran is None:
        return "whether its branch ran cannot be told"
    return "" if node in ran else "its branch did not run"


def _names(node: ir.Node) -> set[str]:
    return {str(node.name), *(str(value.name) for value in node.outputs)}
