"""What is wrong on other sizes, other lengths or a padded sample alone is found."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from graphopt.inputs import InputGenerator, generate_inputs
from graphopt.verification import Original, verify

HEAD = '<ir_version: 8, opset_import: ["" : 18]>'


def model(inputs: str, output: str, body: str) -> ir.Model:
    return ir.from_onnx_text(f"{HEAD} g ({inputs}) => ({output}) {{ {body} }}")


STREAM = "float[batch, sequence, 4] x"
MASKED = """m = Cast <to = 1> (attention_mask) a = Constant <value_ints = [2]> ()
    u = Unsqueeze(m, a)"""
KNOWN = """z = Constant <value_int = 0> () o = Constant <value_int = 1> ()
    n = Shape <start = 1, end = 2> (x) e = Constant <value_ints = [0]> () s = Squeeze(n, e)
    r = Range(z, s, o) a = Constant <value_ints = [1]> ()"""
WRONG = {
    "a sequence of 16": (
        (STREAM, "float[batch, sequence, 4] y"),
        "s = Shape(x) r = Relu(x) y = Reshape(r, s)",
        "s = Constant <value_ints = [-1, 16, 4]> () r = Relu(x) y = Reshape(r, s)",
    ),
    "a mean over 16": (
        (STREAM, "float[batch, 4] y"),
        "a = Constant <value_ints = [1]> () y = ReduceMean <keepdims = 0> (x, a)",
        """a = Constant <value_ints = [1]> () s = ReduceSum <keepdims = 0> (x, a)
        c = Constant <value_float = 16.0> () y = Div(s, c)""",
    ),
    "the length of another sequence": (
        (f"{STREAM}, float[batch, other, 4] z", "float[batch, other, 4] y"),
        "a = Constant <value_ints = [1]> () m = ReduceMean(x, a) y = Add(z, m)",
        """a = Constant <value_ints = [1]> () s = ReduceSum(x, a) t = Shape <start = 1, end = 2> (z)
        f = Cast <to = 1> (t) m = Div(s, f) y = Add(z, m)""",
    ),
    "no mask of a single sample": (
        ("float[1, 16, 4] x, int64[1, 16] attention_mask", "float[1, 16, 4] y"),
        f"{MASKED} y = Mul(x, u)",
        f"{MASKED} q = Max(u) y = Identity(x)",
    ),
    "one position of each length": (
        (f"{STREAM}, int64[batch] lengths", "float[batch, sequence, 4] y"),
        f"""{KNOWN} l = Unsqueeze(lengths, a) b = Less(r, l) d = Constant <value_ints = [2]> ()
        w = Unsqueeze(b, d) c = Constant <value_float = 0.0> () y = Where(w, x, c)""",
        f"""{KNOWN} b = Less(r, o) w = Unsqueeze(b, a) l = Unsqueeze(lengths, a)
        c = Constant <value_float = 0.0> () y = Where(w, x, c)""",
    ),
    "integers of one digit": (
        ("int64[batch, sequence] n", "float[batch, sequence] y"),
        "f = Cast <to = 1> (n) y = Sin(f)",
        "f = Cast <to = 1> (n) c = Constant <value_float = 0.84147098> () y = Mul(f, c)",
    ),
    "a step of a single digit": (
        ("int64 step", "float[2] y"),
        "f = Cast <to = 1> (step) c = Constant <value_floats = [1.0, 0.5]> () y = Mul(f, c)",
        """f = Cast <to = 1> (step) c = Constant <value_floats = [1.0, 0.5]> ()
        t = Constant <value_float = 1.0> () m = Min(f, t) y = Mul(m, c)""",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_candidate_that_is_right_on_some_inputs_alone_fails(name: str) -> None:
    (inputs, output), right, wrong = WRONG[name]
    base = model(inputs, output, right)
    assert verify(base, base).status == "passed"
    assert verify(base, model(inputs, output, wrong)).status == "failed"


def test_the_sizes_on_which_alone_it_fails_are_named() -> None:
    reshaped, averaged = ([model(*WRONG[name][0], body) for body in WRONG[name][1:]]
                          for name in ("a sequence of 16", "a mean over 16"))  # fmt: skip
    result = verify(*reshaped)
    assert "does not run where the original does on x [3, 13, 4]: " in result.reason
    assert "output y differs on other sizes alone: x [3, 13, 4]" in verify(*averaged).notes


def test_sizes_that_the_original_refuses_are_no_evidence() -> None:
    """One that takes two samples alone, and one whose two lengths have to agree."""
    wanted = "s = Constant <value_ints = [2, -1, 4]> () r = Relu(x) y = Reshape(r, s)"
    fixed = model(STREAM, "float[2, sequence, 4] y", wanted)
    times = "w = Constant <value = float[2, 1, 1] {1.0, 2.0}> () y = Mul(x, w)"
    frozen = model(STREAM, "float[2, sequence, 4] y", times)
    both = model(f"{STREAM}, float[batch, other, 4] z", "float[batch, n, 4] y", "y = Add(x, z)")
    for base, sizes in ((fixed, (2, 13)), (frozen, (2, 13)), (both, (3, 13))):
        with Original(base) as original:
            expected = original.expectation()
            assert expected.draws[-1]["x"].shape == (*sizes, 4)
            assert len(expected.draws) == 4
        assert verify(base, base).status == "passed"


def test_sizes_that_are_given_stay() -> None:
    base = model(STREAM, "float[batch, sequence, 4] y", "y = Relu(x)")
    with Original(base) as original:
        assert {draw["x"].shape for draw in original.expectation().draws} == {
            (2, 16, 4),
            (3, 13, 4),
        }
    generator = InputGenerator(base, dims={"batch": 2, "sequence": 8})
    assert not list(generator.other_sizes(next(generator.sizes())))
    part = InputGenerator(base, dims={"batch": 2})
    found = list(part.other_sizes(next(part.sizes())))
    assert [sizes.shapes["x"] for sizes in found] == [(2, 13, 4)]


def test_masks_leave_another_sample_whole_in_each_draw() -> None:
    base = model("int64[batch, 8] mask", "float[batch, 8] y", "y = Cast <to = 1> (mask)")
    generator = InputGenerator(base)
    sizes = next(generator.sizes())
    rows = [generator.draw(sizes, whole=n).arrays["mask"].sum(axis=1).tolist() for n in range(3)]
    assert rows == [[8, 6], [6, 8], [8, 6]]


def test_lengths_measure_the_longest_axis_of_their_samples() -> None:
    base = model(f"{STREAM}, int64[batch] lengths, int64[5] lens", "int64[batch] y, int64[5] z",
                 "y = Neg(lengths) z = Neg(lens)")  # fmt: skip
    drawn = generate_inputs(base).arrays
    assert drawn["lengths"].tolist() == [16, 12]
    assert set(drawn["lens"].tolist()) <= {0, 1}


FLOATS = {
    "averaged by a sum": "a = Constant <value_ints = [1]> () y = ReduceSum(x, a)",
    "compared": "z = Constant <value_float = 0.5> () b = Greater(x, z) y = Where(b, x, z)",
    "subtracted from a constant": "o = Constant <value_float = 1.0> () y = Sub(o, x)",
    "tested for padding": """z = Constant <value_float = 0.0> () e = Equal(x, z)
        f = Cast <to = 1> (e) y = Add(x, f)""",
}


@pytest.mark.parametrize("name", FLOATS)
def test_a_stream_that_is_used_as_masks_are_is_no_mask(name: str) -> None:
    drawn = generate_inputs(model(STREAM, "float[b, s, f] y", FLOATS[name])).arrays["x"]
    assert len(np.unique(drawn)) == drawn.size


@pytest.mark.parametrize("signature", ["float[2, 8] m", "float[2, 1, 1, 8] attention_mask"])
def test_floats_that_only_hide_positions_are_a_mask(signature: str) -> None:
    name = signature.split()[-1]
    body = f"o = Constant <value_float = 1.0> () y = Sub(o, {name})"
    drawn = generate_inputs(model(signature, "float[a, b] y", body)).arrays[name]
    assert drawn.sum() == 14


WHOLE = {
    "an index of an unknown table": "s = Shape(n) y = GatherND(s, n)",
    "a size": "c = Constant <value_float = 1.0> () y = Expand(c, n)",
    "a number and a size": """f = Cast <to = 1> (n) e = Exp(f) c = Constant <value_float = 1.0> ()
        x = Expand(c, n) y = Mul(x, e)""",
    "a size behind Casts": """f = Cast <to = 1> (n) i = Cast <to = 7> (f)
        c = Constant <value_float = 1.0> () y = Expand(c, i)""",
    "a mask": """f = Cast <to = 1> (n) o = Constant <value_float = 1.0> () s = Sub(o, f)
        y = Exp(f)""",
}


@pytest.mark.parametrize("name", WHOLE)
def test_integers_that_not_every_value_is_valid_for_stay_small(name: str) -> None:
    generator = InputGenerator(model("int64[9] n", "float[a] y", WHOLE[name]))
    sizes = next(generator.sizes())
    assert all(generator.draw(sizes, whole=n).arrays["n"].max() <= 1 for n in range(4))
