"""What a kernel is given and what it gives back."""

from __future__ import annotations

__all__ = [
    "Array",
    "Call",
    "EvaluationFailed",
    "Kernel",
    "UnsupportedOperator",
    "pure",
    "working_dtype",
]

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from graphopt.errors import ModelError

Array = npt.NDArray[Any]


class EvaluationFailed(ModelError):
    """A node could not be evaluated on the given inputs."""


class UnsupportedOperator(EvaluationFailed):
    """No kernel is known for an operator (or for this form of it)."""


@dataclasses.dataclass(frozen=True, slots=True)
class Call:
    """One node as its kernel sees it.

    Attributes:
        node: The node, for messages and for its number of outputs.
        attributes: Attribute values by name; references to function attributes are resolved.
        version: Opset version of the node's domain.
        run: Evaluates a nested graph on positional inputs and returns its outputs.
    """

    node: ir.Node
    attributes: dict[str, Any]
    version: int
    run: Callable[[ir.Graph, Sequence[Any]], list[Any]]

    def get(self, name: str, default: Any = None) -> Any:
        """The value of an attribute, or the default of the operator's specification."""
        return self.attributes.get(name, default)

    def wants(self, index: int) -> bool:
        """True where the node names its output at this position."""
        outputs = self.node.outputs
        return index < len(outputs) and bool(outputs[index].name)


Kernel = Callable[..., Any]
"""``kernel(call, *inputs)`` gives one array, or a tuple with one entry for each output.

An absent optional input is None. Inputs are never written to; an output may be a view of an input.
"""


def pure(function: Callable[..., Any]) -> Kernel:
    """The kernel of an operator that has no attributes: a function of its inputs alone."""

    def kernel(call: Call, *inputs: Any) -> Any:
        return function(*inputs)

    return kernel


def working_dtype(x: Array) -> np.dtype[Any]:
    """The type a norm or a softmax computes in: float64 for float64, otherwise float32."""
    return np.dtype(np.float64 if x.dtype == np.float64 else np.float32)
