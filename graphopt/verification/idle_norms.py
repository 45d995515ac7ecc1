"""The norms of a candidate that stand in branches and loops, and that no draw ran."""

from __future__ import annotations

__all__ = ["idle_norms"]

import os

import onnx_ir as ir
from onnx_ir.passes.common import InlinePass

from graphopt.errors import ModelError
from graphopt.files import loading
from graphopt.passes.graph.scopes import separate
from graphopt.passes.operators.custom_ops import DOMAIN
from graphopt.verification.graph_runs import graphs_that_ran, ran
from graphopt.verification.original import Expectation, Original

_NORMS = ("LayerNormalization", "RMSNormalization", "LayerNorm", "RMSNorm", "CRMSNorm")
"""How the operators are called in any domain; before it stands what they are fused with."""


def idle_norms(
    base: Original,
    known: Expectation,
    candidate: ir.Model | str | os.PathLike[str],
    library: str | os.PathLike[str] | None,
) -> list[str]:
    """Names of the norm operators that ran in no draw, those included of which it cannot be told.

    Args:
        base: The original, whose process runs the candidate.
        known: What the original ran on.
        candidate: The candidate; one that cannot be read has none.
        library: Library of kernels that it is run with.
    """
    try:
        model = candidate.clone() if isinstance(candidate, ir.Model) else loading.load(candidate)
    except ModelError:
        return []
    InlinePass(criteria=lambda function: function.domain != DOMAIN)(model)
    separate(model)
    nested = [
        node
        for node in model.graph.all_nodes()
        if node.graph is not model.graph and node.op_type.endswith(_NORMS)
    ]
    if not nested:
        return []
    try:
        runs = graphs_that_ran(
            base.process,
            model,
            known.draws,
            library=library,
            custom_op_libraries=base.sample.custom_op_libraries,
        )
    except ModelError:
        runs = []
    idle = [node for node in nested if not ran(node.graph, runs)]
    return [str(node.name or node.outputs[0].name) for node in idle]
