"""Outputs that are sequences, maps or optionals are compared by structure and tensor by tensor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.parser
import onnx_ir as ir
import pytest

import graphopt
from graphopt.files import loading, saving
from graphopt.runtime.results import Map, Result
from graphopt.verification import prove, verify
from graphopt.verification.structure import difference, parts

_HEAD = '<ir_version: 8, opset_import: ["" : 17, "ai.onnx.ml" : 3]>'


def model(body: str, output: str = "seq(float[]) y", inputs: str = "float[3, 4] x") -> Any:
    return ir.from_onnx_text(f"{_HEAD} g ({inputs}) => ({output}) {{ {body} }}")


def rows(middle: str = "e = Identity(x)", axis: int = 0) -> ir.Model:
    return model(f"{middle} y = SplitToSequence <axis = {axis}, keepdims = 0> (e)")


def times(*factors: float) -> str:
    """Each row times a factor of its own."""
    listed = ", ".join(map(str, factors))
    return f"f = Constant <value = float[3, 1] {{{listed}}}> () e = Mul(x, f)"


def zipped(path: Path, body: str = "", labels: str = '"cat", "dog", "emu", "fox"') -> Path:
    """The probabilities of a classifier, as ZipMap gives them."""
    kind = "int64" if labels[0] != '"' else "string"
    text = f"""{_HEAD} g (float[3, 4] x) => (seq(map({kind}, float)) y) {{
        {body or "e = Identity(x)"} p = Softmax(e)
        y = ai.onnx.ml.ZipMap <classlabels_{kind}s = [{labels}]> (p) }}"""
    onnx.save(onnx.parser.parse_model(text), path)
    return path


SEQUENCES = {
    "the same": (rows(), "passed", ""),
    "within the tolerance": (rows(times(1, 1.0003, 1)), "passed", ""),
    "another row": (rows(times(1, 1, 1.5)), "failed", "output 'y': at [2]: differs by "),
    "fewer entries": (rows("s = Constant <value_ints = [0]> () "
                           "t = Constant <value_ints = [2]> () e = Slice(x, s, t, s)"),
                      "failed", "output 'y': 2 entries instead of 3"),
    "other shapes": (model("n = Constant <value_ints = [1, 4]> () "
                           "t = SplitToSequence <axis = 0, keepdims = 0> (x) "
                           "i = Constant <value_int = 0> () r = SequenceAt(t, i) "
                           "u = SequenceErase(t, i) v = Reshape(r, n) "
                           "y = SequenceInsert(u, v, i)"),
                     "failed", "output 'y': at [0]: shape [1, 4] instead of [4]"),
    "a tensor": (model("y = Identity(x)", "float[3, 4] y"),
                 "failed", "output 'y': a tensor instead of a sequence"),
}  # fmt: skip


@pytest.mark.parametrize("name", SEQUENCES)
def test_sequences_are_compared_entry_by_entry(name: str) -> None:
    candidate, status, reason = SEQUENCES[name]
    result = verify(rows(), candidate)
    assert result.status == status, result
    assert result.reason.startswith(reason)
    assert [output.name for output in result.outputs] == ["y"]


def test_sequences_are_held_against_float64() -> None:
    body = "h = Cast <to = 10> (x) c = Cast <to = 1> (h) "
    exact, rounded = rows("e = Exp(x)"), rows(f"{body} e = Exp(c)")
    assert verify(rounded, exact).outputs[0].passed
    assert verify(exact, exact, reference="float64").status == "passed"
    failed = verify(exact, rounded, reference="float64")
    assert failed.status == "failed"
    assert "at [" in failed.reason


def test_float64_decides_on_an_entry_of_a_sequence() -> None:
    """The original loses what the candidate keeps."""
    large = "c = Constant <value_float = 3e6> () s = Add(x, c) e = Sub(s, c)"
    result = verify(rows(large), rows())
    assert result.status == "passed", result
    assert result.outputs[0].decided_by_float64
    assert verify(rows(), rows(large)).status == "failed"


def test_an_empty_sequence_proves_nothing() -> None:
    empty = model("y = SequenceEmpty()")
    result = verify(empty, empty)
    assert result.status == "unverified"
    assert "no output of the original proves anything: y holds no tensor" in result.reason
    assert verify(empty, rows()).status == "failed"


def test_prove_compares_sequences() -> None:
    inputs = {"x": np.arange(12.0).reshape(3, 4)}
    assert prove(rows(), rows(), inputs).status == "passed"
    failed = prove(rows(), rows(times(1, 1 + 1e-6, 1)), inputs)
    assert failed.status == "failed"
    assert failed.reason.startswith("output 'y': at [1]: differs by")


OPTIONAL = "optional(float[]) y"


def test_optionals_hold_a_tensor_or_nothing() -> None:
    full = model("z = Identity(x) y = Optional(x)", f"{OPTIONAL}, float[3, 4] z")
    empty = model("z = Identity(x) y = Optional <type = float[]> ()", f"{OPTIONAL}, float[3, 4] z")
    assert verify(full, full).status == "passed"
    result = verify(empty, empty)
    assert result.status == "passed"
    assert result.notes == ("output y proves nothing: it holds no tensor",)
    for one, other, words in ((full, empty, "nothing instead of a tensor"),
                              (empty, full, "a tensor instead of nothing")):  # fmt: skip
        failed = verify(one, other)
        assert (failed.status, failed.reason) == ("failed", f"output 'y': {words}")


MAPS = {
    "the same": ({}, "passed", ""),
    "within the tolerance": ({"body": times(1, 1.0001, 1)}, "passed", ""),
    "another row": ({"body": times(1, 1.5, 1)}, "failed", "output 'y': at [1]['"),
    "another key": ({"labels": '"cat", "dog", "emu", "hen"'}, "failed",
                    "output 'y': at [0]: no key 'fox'"),
    "other keys": ({"labels": "1, 2, 3, 4"}, "failed", "output 'y': at [0]: no key 'cat'"),
}  # fmt: skip


@pytest.mark.parametrize("name", MAPS)
def test_maps_are_compared_by_key(name: str, tmp_path: Path) -> None:
    changes, status, reason = MAPS[name]
    base = zipped(tmp_path / "base.onnx")
    result = verify(base, zipped(tmp_path / "candidate.onnx", **changes))
    assert result.status == status, result
    assert result.reason.startswith(reason)
    assert [output.dtype for output in result.outputs] == ["float32"]


def test_keys_that_are_numbers(tmp_path: Path) -> None:
    base = zipped(tmp_path / "base.onnx", labels="4, 5, 6, 7")
    wrong = zipped(tmp_path / "wrong.onnx", times(2, 1, 1), labels="4, 5, 6, 7")
    assert verify(base, base).status == "passed"
    assert verify(base, wrong).reason.startswith("output 'y': at [0][")


def test_a_model_with_maps_is_optimized_and_keeps_their_types(tmp_path: Path) -> None:
    weights = ", ".join(str((7 * i) % 11 / 11 - 0.4) for i in range(32))
    body = f"""w = Constant <value = float[4, 8] {{{weights}}}> ()
        v = Constant <value = float[8, 4] {{{weights}}}> ()
        g = Constant <value = float[8] {{1, 2, 0.5, 1.5, 0.7, 1.1, 0.9, 2}}> ()
        c = Constant <value = float[8] {{0.1, 0.2, -0.5, 1.5, 0.7, 1.1, 0.9, 2}}> ()
        h = MatMul(x, w) [norm] n = LayerNormalization(h, g, c) e = MatMul(n, v)"""
    base, output = zipped(tmp_path / "base.onnx", body), tmp_path / "out.onnx"
    report = graphopt.optimize(base, ops="standard", output=output).report
    assert [norm.converted for norm in report.plan.norms] == [True]
    assert report.verification is not None
    assert (report.verification.status, report.verification.draws) == ("passed", 3)
    onnx.checker.check_model(output)
    assert onnx.load(output).graph.output[0].type == onnx.load(base).graph.output[0].type


def test_a_copy_keeps_the_types_of_maps_and_an_input_of_one_is_unverified(tmp_path: Path) -> None:
    text = f"""{_HEAD} g (map(string, float) m, float[2] x) => (float[1, 2] y, float[2] z) {{
        y = ai.onnx.ml.DictVectorizer <string_vocabulary = ["a", "b"]> (m) z = Neg(x) }}"""
    path, copy = tmp_path / "model.onnx", tmp_path / "copy.onnx"
    onnx.save(onnx.parser.parse_model(text), path)
    saving.save(loading.load(path).clone(), copy)
    assert onnx.load(copy).graph.input[0].type.HasField("map_type")
    result = verify(path, copy)
    assert result.status == "unverified"
    assert result.reason.startswith("input 'm' is no tensor of numbers")


ONE, TWO = np.array([1.0, 2.0]), np.array([3.0, 4.0])
STRUCTURES: list[tuple[Result, Result, str]] = [
    (ONE, TWO, ""),
    (None, None, ""),
    ((ONE, None), (TWO, None), ""),
    ((ONE, (TWO,)), (ONE, (TWO, TWO)), "at [1]: 2 entries instead of 1"),
    ((ONE, None), (ONE, ONE), "at [1]: a tensor instead of nothing"),
    (Map((1, 2), ONE), Map((1, 2), TWO), ""),
    (Map((1, 2), ONE), Map((1, 3), ONE), "no key 2"),
    ((Map((1, 2), ONE),), (Map((1, 2, 3), ONE),), "at [0]: a key 3 more"),
    ((Map((1, 2), ONE),), Map((1, 2), ONE), "a map instead of a sequence"),
]


@pytest.mark.parametrize(("base", "found", "problem"), STRUCTURES)
def test_structures(base: Result, found: Result, problem: str) -> None:
    assert difference(base, found) == problem


def test_maps_of_other_keys_are_parts_of_their_own() -> None:
    alike = (Map((1, 2), ONE), Map((1, 2), TWO))
    assert [part.place_of((1, 0)) for part in parts(alike)] == ["[1][1]"]
    others = (Map((1, 2), ONE), Map((1, 3), TWO))
    assert [part.place_of((1,)) for part in parts(others)] == ["[0][2]", "[1][3]"]
