"""What a value is, in words, where its name says nothing: exporters count what they do not name."""

from __future__ import annotations

import ast
import re

import onnx_ir as ir

from graphopt.passes.graph import constants

__all__ = ["module_of", "title"]

_COUNTED = re.compile(r"(?:val_|onnx::\w+_|tensor_|const_|constant_|t)?\d+")
_SCOPES = "pkg.torch.onnx.name_scopes"
_WEIGHTS = {"MatMul": 1, "Gemm": 1, "Conv": 1, "ConvTranspose": 1, "Gather": 0}
_BIASES = {"Gemm": 2, "Conv": 2, "ConvTranspose": 2}


def module_of(node: ir.Node) -> str:
    """The module that a node was exported from, such as ``model.h.3.mlp``; "" where none is told.

    Exporters that number their nodes write the modules that one lies in beside it, the outermost
    first and the node itself last.
    """
    try:
        scopes = ast.literal_eval(node.metadata_props.get(_SCOPES, "[]"))
    except (ValueError, SyntaxError):
        return ""
    if not isinstance(scopes, list) or len(scopes) < 2 or not isinstance(scopes[-2], str):
        return ""
    return scopes[-2]


def title(value: ir.Value) -> str:
    """The name of a value, or where it was only counted (``val_12``) what it is.

    A constant is named by its first reader, ``weight of /h/3/mlp/MatMul``; what a node computes by
    the module of the node, ``val_12 (in h.3.mlp)``.
    """
    name = value.name or ""
    if not _COUNTED.fullmatch(name):
        return name
    node = value.producer()
    if constants.constant_tensor(value) is None:
        module = "" if node is None else module_of(node)
        return f"{name} (in {module})" if module else name
    use = next(iter(value.uses()), None)
    return name if use is None else f"{_part(use.node, use.idx)} of {_place(use.node)}"


def _part(node: ir.Node, operand: int) -> str:
    """What a constant is to the node that reads it."""
    if _WEIGHTS.get(node.op_type) == operand:
        return "table" if node.op_type == "Gather" else "weight"
    if node.op_type == "Add" or _BIASES.get(node.op_type) == operand:
        return "bias"
    return "constant"


def _place(node: ir.Node) -> str:
    """Where a node stands: its module, or its own name where that is a path, or what it makes."""
    if module := module_of(node):
        return module
    if node.name and ("/" in node.name or "." in node.name):
        return node.name
    made = next((value.name for value in node.outputs if value.name), "nothing")
    return f"the {node.op_type} that makes {made}"
