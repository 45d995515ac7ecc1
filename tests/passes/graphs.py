"""Graphs as text with random weights, optimized and compared in float64.

A node without a name is named like its first output, so that a norm that writes y is the norm y.
Weights are written ``w[4,8] b[8]``, a graph input that is a constant, too, both there and as input.
"""

from __future__ import annotations

import dataclasses
import re
import zlib
from collections.abc import Iterable, Mapping

import numpy as np
import onnx
import onnx.numpy_helper
import onnx_ir as ir
import pytest

from graphopt.evaluation import evaluate
from graphopt.evaluation.float64 import cast_to_float64
from graphopt.passes import pipeline
from graphopt.passes.report import PlanSummary

__all__ = ["Case", "Outcome", "assert_outcome", "cases", "graph", "optimized", "random_array"]

BINDINGS = (
    {"B": 2, "S": 3, "T": 3, "F": 8, "K": 1, "H": 4, "W": 5, "M": 3},
    {"B": 3, "S": 1, "T": 1, "F": 1, "K": 1, "H": 3, "W": 2, "M": 2},
)
"""Sizes of the symbolic dimensions: a result must agree for each of these."""


def graph(
    body: str,
    weights: str = "",
    *,
    inputs: str = "float[B,S,4] a",
    outputs: str = "float[B,S,8] y",
    declared: str = "",
    constants: Mapping[str, np.ndarray] | None = None,
    opset: int = 17,
    float64: bool = True,
) -> ir.Model:
    """The model of a text body, in float64 unless its own types are the point.

    Args:
        body: Nodes.
        weights: Constants of random entries.
        inputs: Graph inputs.
        outputs: Graph outputs; without brackets one has no declared shape.
        declared: Types and shapes of intermediate values.
        constants: Further constants.
        opset: Version of the default domain.
        float64: False where the model stays in its own types.
    """
    model = onnx.parser.parse_model(
        f"""<ir_version: 8, opset_import: ["": {opset}, "com.microsoft": 1]>
        graph ({inputs}) => ({outputs}) <{declared}> {{ {body} }}"""
    )
    arrays = {name: random_array(name, shape) for name, shape in _declared(weights)}
    for name, array in {**arrays, **(constants or {})}.items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    found = ir.from_proto(model)
    for value in found.graph.outputs:
        value.shape = value.shape if value.shape and len(value.shape) else None
    for node in found.graph.all_nodes():
        node.name = node.name or node.outputs[0].name
    return cast_to_float64(found) if float64 else found


def _declared(weights: str) -> Iterable[tuple[str, tuple[int, ...]]]:
    for name, dims in re.findall(r"(\w+)\[([\d,]*)\]", weights):
        yield name, tuple(int(dim) for dim in dims.split(",") if dim)


def random_array(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """A float32 array of mean 0.6, so that means matter; the same for the same name and shape."""
    generator = np.random.default_rng(zlib.crc32(f"{name}{shape}".encode()))
    return generator.normal(0.6, 1.0, shape).astype(np.float32)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """A model before and behind the pipeline, and what the pipeline says of it."""

    before: ir.Model
    after: ir.Model
    summary: PlanSummary
    counts: dict[str, int]

    @property
    def converted(self) -> set[str]:
        return {norm.name for norm in self.summary.norms if norm.converted}

    @property
    def reasons(self) -> dict[str, str]:
        return {norm.name: norm.reason for norm in self.summary.norms if not norm.converted}

    @property
    def absorbed(self) -> set[str]:
        return {name for norm in self.summary.norms for name in norm.absorbed_by}

    @property
    def recentred(self) -> set[str]:
        return {recentring.value for recentring in self.summary.recentrings}

    @property
    def copied(self) -> dict[str, int]:
        return {copy.tensor: copy.bytes for copy in self.summary.copies}

    def affine(self, norm: str) -> str:
        return next(found.affine for found in self.summary.norms if found.name == norm)

    def count(self, op_type: str) -> int:
        """How often the optimized model uses an operator, nested graphs included."""
        return sum(node.op_type == op_type for node in self.after.graph.all_nodes())


def optimized(
    model: ir.Model,
    *,
    bindings: Iterable[Mapping[str, int]] = BINDINGS,
    feeds: Mapping[str, np.ndarray] | None = None,
    **options: object,
) -> Outcome:
    """Optimize a copy of a float64 model; its outputs must agree to 1e-9, relative.

    The result has ONNX's operators alone, unless ``ops`` says otherwise, and the norms alone are
    optimized, unless ``fuse`` is true.
    """
    after = model.clone()
    chosen = {"ops": "standard", "fuse": False, **options}
    summary, records = pipeline.run(after, pipeline.Options(**chosen))
    for sizes in bindings:
        arrays = {**_random_feeds(model, sizes), **(feeds or {})}
        _assert_equal(evaluate(model, arrays), evaluate(after, arrays))
    _assert_consistent(after)
    counts = {key: count for record in records for key, count in record.detail.items()}
    return Outcome(model, after, summary, counts)


def _random_feeds(model: ir.Model, sizes: Mapping[str, int]) -> dict[str, np.ndarray]:
    """Floats of mean 0.7, indices below 3, random conditions; none for overridable weights.

    A value of unknown rank gets none either.
    """
    generator = np.random.default_rng(sum(sizes.values()))
    feeds = {}
    for value in model.graph.inputs:
        if value.is_initializer() or value.shape is None:
            continue
        shape = [dim if isinstance(dim, int) else sizes[dim.value] for dim in value.shape]
        if value.dtype == ir.DataType.BOOL:
            feeds[value.name] = generator.integers(0, 2, shape).astype(bool)
        elif value.dtype == ir.DataType.INT64:
            feeds[value.name] = generator.integers(0, 3, shape)
        else:
            feeds[value.name] = generator.normal(0.7, 1.0, shape).astype(value.dtype.numpy())
    return feeds


def _assert_equal(expected: Mapping[str, np.ndarray], found: Mapping[str, np.ndarray]) -> None:
    assert list(found) == list(expected)
    for name, truth in expected.items():
        assert found[name].shape == truth.shape, name
        finite = np.abs(truth[np.isfinite(truth)]).max(initial=1e-30)
        np.testing.assert_allclose(found[name], truth, rtol=0, atol=1e-9 * finite, err_msg=name)


def _assert_consistent(model: ir.Model) -> None:
    """A constant is of the type and shape that it says."""
    for value in model.graph.initializers.values():
        array = value.const_value.numpy()
        assert tuple(value.shape.numpy()) == tuple(value.const_value.shape.numpy()) == array.shape
        assert value.dtype == value.const_value.dtype
        assert value.dtype.numpy() == array.dtype


@dataclasses.dataclass(frozen=True)
class Case:
    """One graph and what becomes of its norms.

    Attributes:
        body: The graph as text.
        weights: Its random constants.
        converts: Names of the norms that convert, separated by blanks.
        absorbs: Names of the constants that absorb a mean.
        keeps: For each kept norm a part of the reason.
        recentres: Names of the values that are recentred explicitly.
        copies: Names of the constants that are held twice.
        given: Further arguments of ``graph``.
        options: Options of the pipeline.
    """

    body: str
    weights: str = ""
    converts: str = ""
    absorbs: str = ""
    keeps: Mapping[str, str] = dataclasses.field(default_factory=dict)
    recentres: str = ""
    copies: str = ""
    given: Mapping[str, object] = dataclasses.field(default_factory=dict)
    options: Mapping[str, object] = dataclasses.field(default_factory=dict)


def assert_outcome(case: Case) -> Outcome:
    """Optimize the graph of ``case``; everything that it says must hold, exactly."""
    outcome = optimized(graph(case.body, case.weights, **case.given), **case.options)
    assert outcome.converted == set(case.converts.split()), outcome.reasons
    assert outcome.reasons.keys() == case.keeps.keys(), outcome.reasons
    for norm, part in case.keeps.items():
        assert part in outcome.reasons[norm], outcome.reasons
    assert outcome.absorbed == set(case.absorbs.split()), outcome.absorbed
    assert outcome.recentred == set(case.recentres.split()), outcome.recentred
    assert outcome.copied.keys() == set(case.copies.split()), outcome.copied.keys()
    assert outcome.counts["norms converted"] == len(outcome.converted)
    assert outcome.counts["recentrings"] == len(outcome.recentred)
    return outcome


def cases(table: Mapping[str, object]) -> pytest.MarkDecorator:
    """One test for each row of a table of cases."""
    return pytest.mark.parametrize("case", table.values(), ids=table.keys())
