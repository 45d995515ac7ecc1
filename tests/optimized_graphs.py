"""What ONNX Runtime makes of a model before it runs it."""

from __future__ import annotations

__all__ = ["operators_in_onnx_runtime"]

import collections
from pathlib import Path

import onnx_ir as ir
import onnxruntime


def operators_in_onnx_runtime(
    model: ir.Model, folder: Path, library: Path | None = None
) -> collections.Counter[str]:
    """How often each operator is in the graph that a session on the CPU runs."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(folder / "optimized.onnx")
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    if library is not None:
        options.register_custom_ops_library(str(library))
    onnxruntime.InferenceSession(
        ir.to_proto(model).SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    optimized = ir.load(folder / "optimized.onnx")
    return collections.Counter(node.op_type for node in optimized.graph.all_nodes())
