"""Models in ONNX Runtime on the CPU and one thread: the graph that really runs, and its results."""

from __future__ import annotations

__all__ = ["OptimizedSession"]

import collections
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx_ir as ir
import onnxruntime


class OptimizedSession:
    """A session of ``model``, with the kernels of ``library`` if that is given.

    Attributes:
        nodes: The nodes of the graph that ONNX Runtime made of the model.
    """

    def __init__(self, model: ir.Model, library: Path | None = None) -> None:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = 1
        if library is not None:
            options.register_custom_ops_library(str(library))
        with tempfile.TemporaryDirectory() as folder:
            options.optimized_model_filepath = str(Path(folder) / "optimized.onnx")
            self._session = onnxruntime.InferenceSession(
                ir.to_proto(model).SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
            self.nodes = list(ir.load(options.optimized_model_filepath).graph.all_nodes())

    @property
    def operators(self) -> collections.Counter[str]:
        """How often each operator is in the graph that runs."""
        return collections.Counter(node.op_type for node in self.nodes)

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The results by name, in the order of the outputs; inputs of other models are ignored."""
        given = {value.name: inputs[value.name] for value in self._session.get_inputs()}
        names = [value.name for value in self._session.get_outputs()]
        return dict(zip(names, self._session.run(None, given), strict=True))
