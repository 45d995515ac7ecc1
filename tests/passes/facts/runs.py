"""Holds what is inferred of a model against what ONNX Runtime computes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import onnx_ir as ir
import onnxruntime
from onnx_ir.passes.common import InlinePass

from graphopt.passes.infer_shapes import InferShapes

__all__ = ["Facts", "Run"]


@dataclasses.dataclass
class Facts:
    """How many facts were held against runs, and those that were wrong, in words.

    A fact is the rank of a value, a number or an expression as its size, or a symbol that another
    size of the run has, too.
    """

    checked: int = 0
    unknown: int = 0
    runs: int = 0
    wrong: list[str] = dataclasses.field(default_factory=list)

    def add(self, other: Facts) -> None:
        self.checked += other.checked
        self.unknown += other.unknown
        self.runs += other.runs
        self.wrong += other.wrong


class Run:
    """A model with the facts of its values, and a session that gives every value of its graph.

    Values of nested graphs are seen through the results of their nodes alone.
    """

    def __init__(self, model: ir.Model) -> None:
        self.inferred = model.clone()
        InlinePass()(self.inferred)
        shown = self.inferred.clone()
        InferShapes()(self.inferred)
        results = [value for node in shown.graph for value in node.outputs if value.name]
        shown.graph.outputs[:] = results
        for value in results:
            value.shape = None
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        self._session = onnxruntime.InferenceSession(
            ir.to_proto(shown).SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def shapes(self) -> dict[str, str]:
        """The inferred shapes by name."""
        return {v.name or "": str(v.shape) for node in self.inferred.graph for v in node.outputs}

    def check(self, feeds: Mapping[str, np.ndarray]) -> Facts | None:
        """Hold the facts against one run; None where ONNX Runtime refuses the inputs."""
        names = [value.name for value in self._session.get_outputs()]
        given = {value.name: feeds[value.name] for value in self._session.get_inputs()}
        try:
            arrays = dict(zip(names, self._session.run(None, given), strict=True))
        except Exception:  # its classes are not public
            return None
        found, bound = Facts(runs=1), {}
        for value in self.inferred.graph.inputs:
            if value.name in given:
                _compare(found, bound, value, np.asarray(given[value.name]))
        for node in self.inferred.graph:
            for value in node.outputs:
                array = arrays.get(value.name or "")
                if isinstance(array, np.ndarray | np.generic):
                    _compare(found, bound, value, np.asarray(array))
        return found


def _compare(found: Facts, bound: dict[str, int], value: ir.Value, array: np.ndarray) -> None:
    producer = value.producer()
    what = f"{'input' if producer is None else producer.op_type} {value.name}"
    if value.dtype is not None and value.dtype != ir.DataType.STRING and array.dtype != object:
        found.checked += 1
        if value.dtype.numpy() != array.dtype:
            found.wrong.append(f"{what}: {value.dtype}, not {array.dtype}")
    if value.shape is None:
        found.unknown += 1
        return
    found.checked += 1
    if len(value.shape) != array.ndim:
        found.wrong.append(f"{what}: {value.shape}, not {list(array.shape)}")
        return
    for dim, size in zip(value.shape, array.shape, strict=True):
        claimed: object = dim
        if not isinstance(dim, int):
            assert dim.value, f"{what} has a size without a name"
            if set(dim.free_symbols()) <= bound.keys():
                claimed = dim.evaluate(bound)
            elif dim.free_symbols() == {dim.value}:
                bound[dim.value] = size
                found.unknown += 1
                continue
            else:
                claimed = bound.setdefault(dim.value, size)
        found.checked += 1
        if claimed != size:
            found.wrong.append(f"{what}: {value.shape} is {claimed}, not {size}")
