"""What sizes bind, as a table of models and options."""

from __future__ import annotations

from typing import Any

import onnx_ir as ir
import pytest

from graphopt.benchmarking.grid import Place, build_grid, with_padding
from graphopt.cli.parsing import to_dim_lists, to_integers, to_shape_lists
from graphopt.errors import UsageError

IMAGE = "float[batch, 3, 32, 32] pixels"
TOKENS = "int64[batch, sequence] ids, int64[batch, sequence] mask"
STEP = "int64[B, 1] ids, float[B, 4, past_sequence, 8] past_0, float[B, 4, past_sequence, 8] past_1"
TWO = "int64[batch, encoder_sequence] source, int64[batch, decoder_sequence] target"
FIXED = "float[1, 16] x"


def model(inputs: str) -> ir.Model:
    return ir.from_onnx_text(
        f"""<ir_version: 8, opset_import: ["" : 17]>
        g ({inputs}) => (y) {{ y = Identity ({inputs.rsplit(" ", 1)[-1]}) }}"""
    )


@pytest.mark.parametrize(
    ("inputs", "options", "dims", "notes"),
    [
        (IMAGE, {}, [{"batch": 1}], ["batch 1 (batch) by default: --batch gives others"]),
        (IMAGE, {"batches": (1, 8)}, [{"batch": 1}, {"batch": 8}], ["--batch binds batch"]),
        (IMAGE, {"dims": {"batch": (4,)}}, [{"batch": 4}], []),
        (STEP, {"batches": (2,)}, [{"B": 2}], ["--batch binds B"]),
        (
            TOKENS,
            {"batches": (1, 2), "lengths": (16, 32)},
            [{"batch": batch, "sequence": length} for batch in (1, 2) for length in (16, 32)],
            ["--batch binds batch", "--seq binds sequence"],
        ),
        (
            TWO,
            {"batches": (2,), "lengths": (16,), "dims": {}},
            [{"batch": 2, "encoder_sequence": 16, "decoder_sequence": 16}],
            ["--batch binds batch", "--seq binds encoder_sequence, decoder_sequence"],
        ),
        (
            STEP,
            {"batches": (1,), "dims": {"past_sequence": (64, 128)}},
            [{"B": 1, "past_sequence": 64}, {"B": 1, "past_sequence": 128}],
            ["--batch binds B"],
        ),
        (FIXED, {}, [{}], []),
        (
            "float[sequence, 64] x",
            {"lengths": (16,)},
            [{"sequence": 16}],
            ["--seq binds sequence"],
        ),
        (
            "int64[N, sequence] ids, int64[sequence] positions",
            {"batches": (8,), "dims": {"sequence": (16,)}},
            [{"N": 8, "sequence": 16}],
            ["--batch binds N"],
        ),
    ],
)
def test_sizes_bind_symbols_and_say_which(
    inputs: str, options: dict[str, Any], dims: list[dict[str, int]], notes: list[str]
) -> None:
    assert build_grid(model(inputs), **options) == ([Place(chosen, {}) for chosen in dims], notes)


@pytest.mark.parametrize(
    ("inputs", "dims", "padded"),
    [
        (IMAGE, {"batch": 1}, {"batch": 2}),
        (IMAGE, {"batch": 8}, {"batch": 8}),
        (STEP, {"B": 1, "past_sequence": 1}, {"B": 2, "past_sequence": 1}),
        (FIXED, {}, {}),
    ],
)
def test_padding_takes_two_samples(
    inputs: str, dims: dict[str, int], padded: dict[str, int]
) -> None:
    assert with_padding(Place(dims, {}), model(inputs)) == Place(padded, {})


def test_a_given_shape_leaves_no_batch_to_choose() -> None:
    shapes = {"pixels": [(1, 3, 32, 32), (4, 3, 32, 32)]}
    places, notes = build_grid(model(IMAGE), input_shapes=shapes)
    assert places == [Place({}, {"pixels": shape}) for shape in shapes["pixels"]]
    assert notes == []


@pytest.mark.parametrize(
    ("inputs", "options", "message"),
    [
        (FIXED, {"batches": (8,)}, r"--batch: no symbolic .* \(x \[1, 16\]\): give --dim NAME=N"),
        (IMAGE, {"lengths": (8,)}, r"--seq: no symbolic .* \(pixels \[batch, 3, 32, 32\]\)"),
        (STEP, {"lengths": (8,)}, "--seq: no symbolic"),
        (IMAGE, {"batches": (8,), "dims": {"batch": (1,)}}, "--batch and --dim batch give"),
        (TOKENS, {"lengths": (8,), "dims": {"sequence": (1,)}}, "--seq and --dim sequence give"),
    ],
)
def test_sizes_that_bind_nothing_are_refused(
    inputs: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        build_grid(model(inputs), **options)


def test_lists_are_read() -> None:
    assert to_integers("1, 8,32") == (1, 8, 32)
    assert to_integers("") == ()
    assert to_dim_lists(["past=1,2", "x=3"]) == {"past": (1, 2), "x": (3,)}
    assert to_shape_lists(["x:1,2", "y:", "x:3,4"]) == {"x": [(1, 2), (3, 4)], "y": [()]}


@pytest.mark.parametrize(
    ("read", "value", "message"),
    [
        (to_integers, "1,x", "'1,x' is no list of numbers: write it as 1,8,32"),
        (to_integers, "1,,2", "is no list of numbers"),
        (to_integers, "-1", "is no list of numbers"),
        (to_dim_lists, ["n=1,0"], "--dim 'n=1,0': write it as NAME=N"),
        (to_dim_lists, ["n=1", "n=2"], "give all sizes of 'n' at once"),
        (to_shape_lists, ["x:1,-2"], "--input-shape 'x:1,-2'"),
    ],
)
def test_other_lists_are_refused(read: Any, value: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read(value)
