"""The table of ops is whole, and what its rows say is true: each answer is proved by numbers.

A row that says yes must have an example that shows it, and may have none that does not. A row that
says "proved not to commute", or that tolerates nothing, must be right on every axis.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator

import numpy as np
import onnx_ir as ir
import pytest

from graphopt.evaluation import evaluate
from graphopt.passes.crms import sizes
from graphopt.passes.crms.size_operands import SizesOperand
from graphopt.passes.graph.axes import FeatureAxis, Stream
from graphopt.passes.graph.naming import Names
from graphopt.passes.infer_shapes import InferShapes
from graphopt.passes.streams import algebra
from graphopt.passes.streams.affine import contracted_beta
from graphopt.passes.streams.algebra import Raw
from graphopt.passes.streams.readers import nothing
from graphopt.passes.streams.roles import Vanishes, never
from graphopt.passes.streams.table import OPS, Op
from tests.passes.graphs import graph, random_array
from tests.passes.streams.op_examples import EXAMPLES
from tests.passes.streams.row_claims import (
    NAMES,
    Arrays,
    along,
    axes_of,
    centred,
    claims_of,
    model_of,
    operands_of,
    same,
)


def _rows(**answers: object) -> pytest.MarkDecorator:
    """One test for each row, or for each with the given answers."""
    asked = [
        name
        for name, key in NAMES.items()
        if all(getattr(OPS[key], field) is answer for field, answer in answers.items())
    ]
    return pytest.mark.parametrize("name", asked)


def test_a_row_answers_all_questions() -> None:
    for field in dataclasses.fields(Op):
        assert field.default is field.default_factory is dataclasses.MISSING, field.name
    assert all(op.equation for op in OPS.values())


def test_each_row_has_an_example() -> None:
    assert EXAMPLES.keys() == OPS.keys()
    assert all(EXAMPLES.values())


@pytest.mark.parametrize("name", [n for n, key in NAMES.items() if OPS[key].carries is not never])
def test_what_carries_is_centred_together_with_the_result(name: str) -> None:
    found = list(claims_of(name))
    assert found
    for case in found:
        changed = {}
        for index, operand, axis in case.carriers():
            changed[operand] = centred(case.arrays[operand], axis.axis)
            assert Stream(case.result, case.axis) in list(algebra.results(case.node, index, axis))
        for value, role in zip(case.node.inputs, case.roles, strict=True):
            if isinstance(role, Vanishes):
                assert value is not None
                changed[str(value.name)] = np.zeros_like(case.arrays[str(value.name)])
        assert same(case.after(changed), centred(case.before(), case.axis.axis))


@_rows(carries=never)
def test_what_is_said_never_to_commute_does_not(name: str) -> None:
    for example in EXAMPLES[NAMES[name]]:
        model, arrays = model_of(example), operands_of(example)
        node, before = model.graph[0], evaluate(model, arrays)
        for result in (value for value in node.outputs if value.name in before):
            for axis in axes_of(result):
                assert algebra.producers_roles(node, result, axis) is Raw.NEVER
                for changed in _centred_somewhere(model, arrays, axis.size):
                    with np.errstate(all="ignore"):
                        after = evaluate(model, {**arrays, **changed})[str(result.name)]
                    assert not same(after, centred(before[str(result.name)], axis.axis))


def _centred_somewhere(model: ir.Model, arrays: Arrays, size: int) -> Iterator[Arrays]:
    """Every way to centre some operands on an axis of that size."""
    choices = []
    for value in model.graph.inputs:
        array = arrays[str(value.name)]
        ways = [(str(value.name), centred(array, a.axis)) for a in axes_of(value) if a.size == size]
        choices.append([None, *ways])
    for chosen in itertools.product(*choices):
        if any(chosen):
            yield dict(way for way in chosen if way)


@_rows()
def test_what_is_tolerated_changes_nothing(name: str) -> None:
    op, shown = OPS[NAMES[name]], False
    for example in EXAMPLES[NAMES[name]]:
        model, arrays = model_of(example), operands_of(example)
        before = evaluate(model, arrays)
        for value in model.graph.inputs:
            for axis in axes_of(value):
                changed = {str(value.name): centred(arrays[str(value.name)], axis.axis)}
                with np.errstate(all="ignore"):
                    after = evaluate(model, {**arrays, **changed})
                unchanged = all(same(after[result], before[result]) for result in before)
                uses = list(value.uses())
                if all(algebra.tolerates(use.node, use.idx, axis) for use in uses):
                    assert unchanged
                    shown = True
                elif op.tolerates is nothing:
                    assert not unchanged
    assert shown == (op.tolerates is not nothing)


@pytest.mark.parametrize("name", [n for n, key in NAMES.items() if OPS[key].carries is not never])
def test_the_result_loses_an_entry_where_its_operands_do(name: str) -> None:
    for case in claims_of(name):
        named, size = algebra.sizes_of(case.node), case.axis.size
        source = next((axis for index, _, axis in case.carriers() if index == 0), None)
        if sizes.obstacle(named, case.node, source, case.result, case.axis.axis):
            continue
        before = case.before()
        resized = sizes.resize_result(
            named, Names(case.model), case.result, case.axis.axis, size - 1
        )
        assert resized == isinstance(named, SizesOperand)
        changed = {
            operand: np.delete(case.arrays[operand], -1, axis.axis)
            for _, operand, axis in case.carriers()
        }
        shape = list(before.shape)
        shape[case.axis.axis] -= 1
        assert list(case.after(changed).shape) == shape


@_rows(hands_on_beta=True)
def test_beta_is_handed_on(name: str) -> None:
    found = list(claims_of(name))
    assert found
    for case in found:
        beta = random_array("beta", (case.axis.size,)).astype(np.float64)
        changed = {
            operand: case.arrays[operand] + along(beta, case.arrays[operand].ndim, axis.axis)
            for _, operand, axis in case.carriers()
        }
        before = case.before()
        assert same(case.after(changed), before + along(beta, before.ndim, case.axis.axis))


@_rows(moves_entries=True)
def test_entries_are_those_of_the_first_operand(name: str) -> None:
    for example in EXAMPLES[NAMES[name]]:
        arrays = operands_of(example)
        results = evaluate(model_of(example), arrays)
        assert all(np.isin(array, next(iter(arrays.values()))).all() for array in results.values())


@_rows(keeps_count=True)
def test_as_many_entries_come_out(name: str) -> None:
    for example in EXAMPLES[NAMES[name]]:
        arrays = operands_of(example)
        results = evaluate(model_of(example), arrays)
        assert next(iter(results.values())).size == next(iter(arrays.values())).size


@pytest.mark.parametrize("name", [n for n, key in NAMES.items() if OPS[key].linear is not None])
def test_a_linear_reader_takes_gamma_and_beta_over(name: str) -> None:
    shown = False
    for example in EXAMPLES[NAMES[name]]:
        arrays = operands_of(example)
        x, *weights = arrays
        held = {weight: arrays[weight] for weight in weights}
        model = model_of(example, held)
        node, op = model.graph[0], OPS[NAMES[name]]
        value, weight = node.inputs[:2]
        for axis in () if value is None else axes_of(value):
            assert op.linear is not None and weight is not None and weight.const_value is not None
            reader = op.linear(node, weight, Stream(value, axis))
            if reader is None:
                continue
            gamma, beta = (random_array(n, (axis.size,)).astype(np.float64) for n in ("g", "b"))
            gamma, beta = (along(v, arrays[x].ndim, axis.axis) for v in (gamma, beta))
            expected = evaluate(model, {x: arrays[x] * gamma + beta})["y"]
            folded = dict(held)
            scaled = along(gamma.reshape(-1), held[weights[0]].ndim, reader.axis)
            folded[weights[0]] = held[weights[0]] * scaled
            added = contracted_beta(weight.const_value, reader.axis, beta.reshape(-1))
            added = added * node.attributes.get_float("alpha", 1.0)
            assert added.shape == (reader.outputs,)
            if len(weights) > 1:
                folded[weights[1]] = held[weights[1]] + added / reader.bias_factor
                added = np.zeros_like(added)
            found = evaluate(model_of(example, folded), {x: arrays[x]})["y"]
            if added.any():
                found = found + along(added, found.ndim, reader.output_axis)
            np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
            shown = True
    assert shown


def test_what_is_not_known_and_what_is_disproved_are_different_answers() -> None:
    model = graph(
        "u = foreign.Magic(x) v = Relu(x) w = Mul(x, k) y = Mul(x, t)",
        inputs="float[2,4,8] x, float[4,1] t, float[8] k",
        outputs="float y",
        declared="float[2,4,8] u",
    )
    InferShapes()(model)
    axis = FeatureAxis(2, 8)
    answers = [algebra.producers_roles(node, node.outputs[0], axis) for node in model.graph]
    assert answers[:3] == [Raw.NO_ROW, Raw.NEVER, Raw.NOT_HERE]
    assert not isinstance(answers[3], Raw)
