"""Which branches of Ifs and bodies of loops a model runs on some inputs."""

from __future__ import annotations

__all__ = ["GraphRuns", "graphs_that_ran", "ran"]

import os
from collections.abc import Mapping, Sequence

import numpy as np
import onnx_ir as ir

from graphopt.evaluation.calls import Array
from graphopt.files import saving
from graphopt.runtime.session_process import SessionProcess

_MARK = "graphopt.graph."

GraphRuns = Sequence[frozenset[ir.Graph]]
"""The nested graphs that ran in each draw."""


def graphs_that_ran(
    process: SessionProcess,
    model: ir.Model,
    draws: Sequence[Mapping[str, Array]],
    *,
    library: str | os.PathLike[str] | None = None,
    custom_op_libraries: Sequence[str | os.PathLike[str]] = (),
) -> GraphRuns:
    """The branches and bodies of the main graph, at any depth, that run on each of some inputs.

    Asked is the profiler of ONNX Runtime, without its optimizations, of a copy that has a node in
    each of them to be found by.

    Raises:
        RuntimeRefused: The copy does not run.
    """
    originals = {_name(number): graph for number, graph in enumerate(model.graph.subgraphs())}
    copy = model.clone()
    for number, graph in enumerate(list(copy.graph.subgraphs())):
        _mark(graph, _name(number))
    with saving.temporary(copy) as path:
        process.open(
            path,
            optimization="disable",
            library=library,
            custom_op_libraries=custom_op_libraries,
            profile=True,
        )
        for inputs in draws:
            process.run(inputs)
        runs = process.nodes_that_ran()
    return [frozenset(originals[name] for name in names if name in originals) for names in runs]


def ran(graph: ir.Graph | ir.Function | None, runs: GraphRuns) -> bool:
    """True where a nested graph ran in some draw."""
    return any(graph in run for run in runs)


def _name(number: int) -> str:
    return f"{_MARK}{number}"


def _mark(graph: ir.Graph, name: str) -> None:
    """Add a node that nothing reads: constants alone would leave no trace of a run."""
    tensor = ir.tensor(np.zeros(1, np.float32))
    constant = ir.node("Constant", [], {"value": ir.AttrTensor("value", tensor)})
    constant.outputs[0].name = f"{name}.constant"
    marker = ir.node("Identity", constant.outputs, name=name)
    marker.outputs[0].name = f"{name}.mark"
    graph.extend([constant, marker])
