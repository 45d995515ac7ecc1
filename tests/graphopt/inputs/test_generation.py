"""Generated inputs are valid: indices stay in their tables, masks are masks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from graphopt.errors import UsageError
from graphopt.inputs import generate_inputs
from tests.graphopt.inputs.declared_models import declared, model


def table(name: str, rows: int) -> str:
    """A lookup table of this many rows, as text."""
    return f"float[{rows}, 2] {name} = {{{', '.join(['0.5'] * (2 * rows))}}}"


INDEXED = {
    "directly": ("int64[9, 99] i", "{ y = Gather(table, i) }", 0, 7),
    "through a cast, a reshape and a slice": (
        "int32[9, 99] i",
        """{
            a = Cast <to = 7> (i)
            s = Constant <value_ints = [-1]> ()
            f = Reshape(a, s)
            b = Constant <value_ints = [0]> ()
            e = Constant <value_ints = [880]> ()
            c = Slice(f, b, e)
            y = Gather(table, c)
        }""",
        0,
        7,
    ),
    "behind an offset": (
        "int64[9, 99] i",
        "{ o = Constant <value_int = 2> () p = Add(i, o) y = Gather(table, p) }",
        0,
        5,
    ),
    "behind a negative offset": (
        "int64[9, 99] i",
        "{ o = Constant <value_int = 2> () p = Sub(i, o) y = Gather(table, p) }",
        2,
        9,
    ),
    "a table that the graph computes": (
        "int64[9, 99] i",
        "{ h = Constant <value_float = 0.5> () t = Mul(table, h) y = Gather(t, i) }",
        0,
        7,
    ),
    "the smaller of two tables": (
        "int64[9, 99] i",
        "{ a = Gather(table, i) b = Gather(short, i) y = Add(a, b) }",
        0,
        3,
    ),
    "although it is compared with the end token too": (
        "int64[9, 99] i",
        """{
            e = Constant <value_int = 1> ()
            m = Equal(i, e)
            a = Gather(table, i)
            f = Cast <to = 1> (m)
            u = Constant <value_ints = [-1]> ()
            w = Unsqueeze(f, u)
            y = Mul(a, w)
        }""",
        0,
        7,
    ),
    "inside a branch": (
        "int64[9, 99] i, bool c",
        """{
            y = If (c) <
                then_branch = t () => (float[9, 99, 2] p) { p = Gather(table, i) },
                else_branch = e () => (float[9, 99, 2] q) { q = Gather(table, i) }
            >
        }""",
        0,
        7,
    ),
}


@pytest.mark.parametrize("name", INDEXED)
def test_integers_stay_inside_the_tables_they_index(name: str) -> None:
    signature, body, low, high = INDEXED[name]
    tables = f"<{table('table', 7)}, {table('short', 3)}>"
    drawn = generate_inputs(model(signature, tables + body)).arrays["i"]
    assert (drawn.min(), drawn.max()) == (low, high - 1)  # hundreds of draws reach both ends


def test_every_index_of_the_embedding_operator_has_its_table() -> None:
    tables = f"<{table('words', 7)}, {table('places', 9)}, {table('kinds', 2)}, "
    tables += "float[2] gamma = {1, 2}, float[2] beta = {1, 2}>"
    names = ("ids", "segments", "mask", "positions")
    arrays = generate_inputs(
        model(
            ", ".join(f"int32[40, 20] {name}" for name in names),
            tables
            + """{
                y, unused = com.microsoft.EmbedLayerNormalization
                    (ids, segments, words, places, kinds, gamma, beta, mask, positions)
            }""",
        )
    ).arrays
    assert {name: array.max() for name, array in arrays.items()} == {
        "ids": 6,
        "segments": 1,
        "mask": 1,
        "positions": 8,
    }


MASKS = {
    "cast to bool": "{ b = Cast <to = 9> (m) y = Cast <to = 1> (b) }",
    "one minus it": "{ f = Cast <to = 1> (m) o = Constant <value_float = 1.0> () y = Sub(o, f) }",
    "compared": "{ z = Constant <value_int = 0> () b = Equal(m, z) y = Cast <to = 1> (b) }",
    "counted": "{ a = Constant <value_int = 1> () c = CumSum(m, a) y = Cast <to = 1> (c) }",
    "reshaped first": """{
        s = Constant <value_ints = [0, 1, -1]> ()
        r = Reshape(m, s)
        b = Cast <to = 9> (r)
        y = Cast <to = 1> (b)
    }""",
}


@pytest.mark.parametrize("name", MASKS)
def test_masks_are_ones_padded_to_the_right_in_all_samples_but_the_first(name: str) -> None:
    mask = generate_inputs(model("int64[batch, sequence] m", MASKS[name])).arrays["m"]
    expected = np.ones((2, 16), dtype=np.int64)
    expected[1, 12:] = 0
    np.testing.assert_array_equal(mask, expected)


def test_other_inputs() -> None:
    arrays = generate_inputs(
        declared(
            x=["FLOAT", 200, 5],
            flag=["BOOL", 200],
            attention_mask=["BOOL", 2, 8],
            position_ids=["INT64", 1, 6],
            other=["INT64", 200],
            half=["FLOAT16", 3],
        )
    ).arrays
    assert abs(arrays["x"].mean()) < 0.2 and abs(arrays["x"].std() - 1) < 0.1
    assert 0 < arrays["flag"].sum() < 200
    assert arrays["attention_mask"].sum() == 14
    assert arrays["position_ids"].tolist() == [[0, 1, 2, 3, 4, 5]]
    assert set(arrays["other"].tolist()) == {0, 1}
    assert {name: str(array.dtype) for name, array in arrays.items()} == {
        "x": "float32",
        "flag": "bool",
        "attention_mask": "bool",
        "position_ids": "int64",
        "other": "int64",
        "half": "float16",
    }


def test_an_input_with_a_default_is_left_to_it() -> None:
    text = "<float[2] w = {1.0, 2.0}> { y = Mul(x, w) }"
    assert list(generate_inputs(model("float[2] x, float[2] w", text)).arrays) == ["x"]


def test_the_seed_decides_and_each_input_has_its_own_stream() -> None:
    two = declared(a=["FLOAT", 4], b=["FLOAT", "n"])
    first = generate_inputs(two, seed=1).arrays
    longer = generate_inputs(two, seed=1, dims={"n": 3}).arrays
    other = generate_inputs(two, seed=2).arrays
    np.testing.assert_array_equal(first["a"], longer["a"])
    np.testing.assert_array_equal(first["b"][:3], longer["b"])
    assert not np.array_equal(first["a"], other["a"])
    assert not np.array_equal(first["a"], first["b"][:4])


TWO: dict[str, list[Any]] = {"a": ["INT64", "batch", "s"], "b": ["FLOAT", "batch", 4]}
MISUSES = {
    "an unknown input": ({"input_shapes": {"c": (1, 2)}}, "no input 'c': choose one of a, b"),
    "an unknown array": ({"given": {"c": np.ones(1)}}, "no input 'c': choose one of a, b"),
    "an unknown dimension": (
        {"dims": {"t": 3}},
        "no symbolic dimension 't': choose one of batch, s",
    ),
    "a size of zero": ({"dims": {"s": 0}}, "dimension 's' is 0"),
    "another rank": (
        {"input_shapes": {"a": (1,)}},
        r"'a' is declared \[batch, s\]; the shape .* \[1\]",
    ),
    "another static size": ({"input_shapes": {"b": (1, 3)}}, r"'b' is declared \[batch, 4\]"),
    "two sizes": (
        {"input_shapes": {"a": (2, 3)}, "dims": {"batch": 5}},
        "dimension 'batch' is 2, but 5 was given before",
    ),
    "another type": ({"given": {"b": np.ones((1, 4))}}, "declared float32; the array .* float64"),
    "array and shape": (
        {"given": {"b": np.ones((1, 4), np.float32)}, "input_shapes": {"b": (2, 4)}},
        "give one of them",
    ),
}


@pytest.mark.parametrize("name", MISUSES)
def test_a_misuse_is_one_clear_line(name: str) -> None:
    options, message = MISUSES[name]
    with pytest.raises(UsageError, match=message) as caught:
        generate_inputs(declared(**TWO), **options)
    assert "\n" not in str(caught.value)


def test_an_input_of_unknown_rank_or_of_strings_must_be_given() -> None:
    unknown = declared(x=["FLOAT", 2])
    unknown.graph.inputs[0].shape = None
    with pytest.raises(UsageError, match=r"'x' has no declared rank; give --input-shape x:"):
        generate_inputs(unknown)
    assert generate_inputs(unknown, input_shapes={"x": (3,)}).arrays["x"].shape == (3,)
    with pytest.raises(UsageError, match="'t' is no tensor of numbers"):
        generate_inputs(declared(t=["STRING", 2]))
