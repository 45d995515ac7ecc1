"""Which execution provider runs how many nodes, as ONNX Runtime's profiler saw them."""

from __future__ import annotations

__all__ = ["count_nodes", "nodes_by_provider"]

import collections
import json
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from graphopt.benchmarking.execution import Execution, bind
from graphopt.runtime.sessions import create_session, run


def nodes_by_provider(
    path: Path, inputs: Mapping[str, np.ndarray], execution: Execution
) -> dict[str, int]:
    """Runs the model once under the profiler, and counts the nodes of each provider."""
    with tempfile.TemporaryDirectory(prefix="graphopt-placement-") as directory:
        session = create_session(
            path,
            provider=execution.provider,
            threads=execution.threads,
            library=execution.library,
            custom_op_libraries=execution.custom_op_libraries,
            profile=Path(directory) / "profile",
        )
        if not execution.is_device:
            run(session, inputs)
        else:
            # It runs, also where it returns bfloat16, which run cannot.
            bind(session, inputs, execution.provider)
        events = json.loads(Path(session.end_profiling()).read_text())
    return count_nodes(events)


def count_nodes(events: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Nodes by provider, the most first; a node that a loop runs often counts once."""
    providers = {
        event["name"]: event["args"]["provider"]
        for event in events
        if event.get("cat") == "Node" and event.get("args", {}).get("provider")
    }
    return dict(collections.Counter(providers.values()).most_common())
