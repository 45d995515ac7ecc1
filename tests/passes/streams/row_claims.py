"""What the row of an op claims to carry in its examples, as numbers in float64."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

import numpy as np
import onnx_ir as ir

from graphopt.evaluation import evaluate
from graphopt.passes.graph.axes import FeatureAxis, dimension, rank
from graphopt.passes.infer_shapes import InferShapes
from graphopt.passes.streams import algebra
from graphopt.passes.streams.algebra import Raw
from graphopt.passes.streams.roles import Carries, OperandRoles
from graphopt.passes.streams.table import OPS
from tests.passes.graphs import graph, random_array
from tests.passes.streams.op_examples import CONSTANTS, EXAMPLES, Example

Arrays = dict[str, np.ndarray]
NAMES = {".".join(filter(None, name)): name for name in OPS}


def model_of(example: Example, held: Mapping[str, np.ndarray] | None = None) -> ir.Model:
    """The example in float64, with inferred shapes; operands in ``held`` are constants."""
    held = held or {}
    inputs = [
        f"{kind}[{','.join(map(str, dims))}] {name}"
        for name, (kind, dims) in example.inputs.items()
        if name not in held
    ]
    found = graph(
        example.body,
        inputs=", ".join(inputs),
        outputs=", ".join(f"{kind} {name}" for name, kind in example.results.items()),
        constants={**CONSTANTS, **held},
        opset=example.opset,
    )
    InferShapes()(found)
    return found


def operands_of(example: Example) -> Arrays:
    """Positive numbers, so that roots and logarithms are real."""
    found = {}
    for name, (kind, dims) in example.inputs.items():
        array = random_array(name, dims).astype(np.float64)
        found[name] = array > 0.5 if kind == "bool" else np.abs(array) + 0.1
    return found


def centred(array: np.ndarray, axis: int) -> np.ndarray:
    return array - array.mean(axis=axis, keepdims=True)


def along(vector: np.ndarray, count: int, axis: int) -> np.ndarray:
    return vector.reshape([-1 if i == axis else 1 for i in range(count)])


def same(left: np.ndarray, right: np.ndarray) -> bool:
    return left.shape == right.shape and np.allclose(left, right, rtol=0, atol=1e-10)


@dataclasses.dataclass(frozen=True)
class Claim:
    """A result of an example that is centred together with operands."""

    model: ir.Model
    arrays: Arrays
    node: ir.Node
    result: ir.Value
    axis: FeatureAxis
    roles: OperandRoles

    def carriers(self) -> Iterator[tuple[int, str, FeatureAxis]]:
        """Position, name and feature axis of each operand that carries."""
        for index, (operand, role) in enumerate(zip(self.node.inputs, self.roles, strict=True)):
            if isinstance(role, Carries):
                assert operand is not None and operand.name is not None
                yield index, operand.name, role.axis

    def before(self) -> np.ndarray:
        return evaluate(self.model, self.arrays)[str(self.result.name)]

    def after(self, changed: Arrays) -> np.ndarray:
        return evaluate(self.model, {**self.arrays, **changed})[str(self.result.name)]


def axes_of(value: ir.Value) -> Iterator[FeatureAxis]:
    for index in range(rank(value) or 0):
        size = dimension(value, index)
        if isinstance(size, int) and size >= 3:
            yield FeatureAxis(index, size)


def claims_of(name: str) -> Iterator[Claim]:
    """All that the examples of one node claim to carry."""
    for example in EXAMPLES[NAMES[name]]:
        model, arrays = model_of(example), operands_of(example)
        if len(model.graph) > 1:
            continue
        node, truth = model.graph[0], evaluate(model, arrays)
        for result in node.outputs:
            result.shape = ir.Shape(truth[str(result.name)].shape)  # whatever inference knows
            for axis in axes_of(result):
                roles = algebra.producers_roles(node, result, axis)
                if not isinstance(roles, Raw):
                    yield Claim(model, arrays, node, result, axis, roles)
