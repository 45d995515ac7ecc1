"""Refuses models whose local functions cannot be inlined."""

from __future__ import annotations

__all__ = ["check_functions"]

import onnx_ir as ir

from graphopt.errors import ModelError


def check_functions(model: ir.Model) -> None:
    """Check that the functions that a model calls can be inlined.

    Raises:
        ModelError: A function imports another version of an operator set than the model, so that
            its nodes would change their meaning.
    """
    bodies = (*model.graphs(), *model.functions.values())
    called = {node.op_identifier() for body in bodies for node in body}
    for identifier, function in model.functions.items():
        for domain, version in function.opset_imports.items():
            of_model = model.opset_imports.get(domain, version)
            if of_model != version and identifier in called:
                raise ModelError(
                    f"function {function.domain}.{function.name} imports opset {version} of "
                    f"{domain or 'ai.onnx'!r} and the model {of_model}: convert one of the two "
                    "(onnx.version_converter), or export with one opset"
                )
