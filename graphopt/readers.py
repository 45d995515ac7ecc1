"""Which runtimes read an optimized file, as far as that was tried."""

from __future__ import annotations

__all__ = ["least_runtime", "readers"]

import onnx_ir as ir

from graphopt.runtime.releases import least_release

_SIMPLIFIED = "SimplifiedLayerNormalization"
"""An operator of ONNX Runtime's in the domain of ONNX."""


def least_runtime(model: ir.Model) -> str:
    """The oldest release of ONNX Runtime, of those from 1.20 on, that reads ``model``.

    Returns:
        Its version; "" where none is known to.
    """
    release = least_release(model.opset_imports.get("", 1), model.ir_version)
    return release.version if release else ""


def readers(model: ir.Model) -> str:
    """Which runtimes read a file of ``model``, in words.

    Of others than ONNX Runtime nothing is promised that the operators of the input do not allow: a
    file of ONNX's operators alone goes where the input went.
    """
    release = least_runtime(model)
    runtime = f"ONNX Runtime {release} and newer" if release else "the newest ONNX Runtime"
    nodes = [node for graph in model.graphs() for node in graph]
    if any(node.domain not in ("", "ai.onnx") for node in nodes) or model.functions:
        return f"{runtime} (--target any for others)"
    if any(node.op_type == _SIMPLIFIED for node in nodes):
        return f"{runtime}, OpenVINO"
    return f"{runtime}; OpenVINO, tract and others that read the input"
