"""Sizes that nobody gave: told by place, read beside the model, or found by trying."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest

import graphopt
from graphopt.inputs import InputGenerator, generate_inputs
from graphopt.inputs.configuration import read_configuration
from graphopt.verification import verify
from tests.graphopt.inputs.declared_models import declared

HEAD = '<ir_version: 8, opset_import: ["" : 17]>'

PLACES = {
    "an image whose dimensions nobody named": (
        {"pixel_values": ["FLOAT", None, 3, None, None]},
        {"pixel_values": (2, 3, 224, 224)},
    ),
    "an image by its channels": ({"x": ["FLOAT", "n", 3, "h", "w"]}, {"x": (2, 3, 224, 224)}),
    "a mask is no image": (
        {"attention_mask": ["FLOAT", None, 1, None, None]},
        {"attention_mask": (2, 1, 16, 16)},
    ),
    "a cache": (
        {"past_key_values.0.key": ["FLOAT", "a", 4, "b", 8]},
        {"past_key_values.0.key": (2, 4, 8, 8)},
    ),
    "one symbol is one size": (
        {"pixel_values": ["FLOAT", "n", 3, "s", "s"], "y": ["FLOAT", "n", "s"]},
        {"pixel_values": (2, 3, 224, 224), "y": (2, 224)},
    ),
    "a size of -1": ({"x": ["FLOAT", -1, -1, 8]}, {"x": (2, 16, 8)}),
    "a size of -1 in an image": ({"image": ["FLOAT", -1, 3, -1, -1]}, {"image": (2, 3, 224, 224)}),
}


@pytest.mark.parametrize("name", PLACES)
def test_a_dimension_is_told_by_its_place(name: str) -> None:
    inputs, shapes = PLACES[name]
    arrays = generate_inputs(declared(**inputs)).arrays
    assert {key: array.shape for key, array in arrays.items()} == shapes


def test_a_size_of_minus_one_can_be_given() -> None:
    unknown = declared(x=["FLOAT", -1, -1, 8])
    assert generate_inputs(unknown, dims={"x[0]": 3}).arrays["x"].shape == (3, 16, 8)
    assert generate_inputs(unknown, input_shapes={"x": (3, 5, 8)}).arrays["x"].shape == (3, 5, 8)


@pytest.mark.parametrize("prefix", ["d", "seq_"])
def test_six_dimensions_stay_small(prefix: str) -> None:
    six = declared(x=["FLOAT", *(f"{prefix}{axis}" for axis in range(6))])
    shape = generate_inputs(six).arrays["x"].shape
    assert min(shape) >= 2
    assert 1 << 18 <= math.prod(shape) <= 1 << 20
    given = generate_inputs(six, dims={f"{prefix}0": 30}).arrays["x"].shape
    assert given[0] == 30
    assert math.prod(given) <= 1 << 20


CONFIGURATIONS = {
    "an image": (
        {"config.json": {"vision_config": {"image_size": 48, "num_channels": 1}}},
        {"x": ["FLOAT", "batch", "num_channels", "height", "width"]},
        {"x": (2, 1, 48, 48)},
        {"num_channels": 1, "height": 48, "width": 48},
    ),
    "an image that is no square": (
        {"preprocessor_config.json": {"size": {"height": 32, "width": 64}}},
        {"pixel_values": ["FLOAT", None, 3, None, None]},
        {"pixel_values": (2, 3, 32, 64)},
        {"pixel_values[2]": 32, "pixel_values[3]": 64},
    ),
    "a crop of an image": (
        {"preprocessor_config.json": {"size": {"shortest_edge": 99}, "crop_size": [40, 56]}},
        {"pixel_values": ["FLOAT", "n", 3, "h", "w"]},
        {"pixel_values": (2, 3, 40, 56)},
        {"h": 40, "w": 56},
    ),
    "a short position table": (
        {"config.json": {"max_position_embeddings": 12}},
        {"ids": ["INT64", "batch", "sequence"]},
        {"ids": (2, 12)},
        {},
    ),
    "a cache": (
        {"config.json": {"num_attention_heads": 4, "hidden_size": 32, "num_key_value_heads": 2}},
        {"past_key_values.0.key": ["FLOAT", None, None, None, None]},
        {"past_key_values.0.key": (2, 2, 8, 8)},
        {"past_key_values.0.key[1]": 2, "past_key_values.0.key[3]": 8},
    ),
    "genai": (
        {"genai_config.json": {"model": {"decoder": {"head_size": 6, "num_key_value_heads": 3}}}},
        {"past_key_values.0.key": ["FLOAT", "batch", "kv_heads", "past", "head_dim"]},
        {"past_key_values.0.key": (2, 3, 8, 6)},
        {"kv_heads": 3, "head_dim": 6},
    ),
    "genai from 0.18 on": (
        {"genai_config.json": {"model": {"decoder": {"head_size": 6}}}},
        {"past_key_values.0.key": ["FLOAT", "batch_size", 3, "past", "kv_cache_dim"]},
        {"past_key_values.0.key": (2, 3, 8, 6)},
        {"kv_cache_dim": 6},
    ),
    "nonsense": (
        {"config.json": {"image_size": "large", "num_channels": -3, "n_head": True}},
        {"x": ["FLOAT", "batch", "num_channels", "height", "width"]},
        {"x": (2, 3, 224, 224)},
        {},
    ),
}


@pytest.mark.parametrize("name", CONFIGURATIONS)
@pytest.mark.parametrize("folder", [".", "onnx"])
def test_sizes_are_read_beside_the_model_or_above(name: str, folder: str, tmp_path: Path) -> None:
    files, inputs, shapes, configured = CONFIGURATIONS[name]
    for file, content in files.items():
        (tmp_path / file).write_text(json.dumps(content))
    (tmp_path / folder).mkdir(exist_ok=True)
    ir.save(declared(**inputs), tmp_path / folder / "model.onnx")
    found = generate_inputs(graphopt.load(tmp_path / folder / "model.onnx"))
    assert {key: array.shape for key, array in found.arrays.items()} == shapes
    assert found.configured == configured


@pytest.mark.parametrize("text", ["", "[", "[1, 2]", "null", "[" * 100_000, "\udcff"])
def test_a_file_that_says_nothing_is_passed_over(text: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert read_configuration(tmp_path / "model.onnx") == read_configuration(Path("/none/none"))


def reshaping(*sizes: int) -> Any:
    """A model that takes inputs of one size alone, whatever it declares."""
    listed = ", ".join(map(str, sizes))
    return ir.from_onnx_text(
        f"""{HEAD} g (float[batch, sequence] x) => (float[a, b] y) {{
            s = Constant <value_ints = [{listed}]> () r = Reshape(x, s) y = Exp(r) }}"""
    )


@pytest.mark.parametrize(
    ("sizes", "dims"),
    [
        ((1, 16), {"batch": 1, "sequence": 16}),
        ((1, 77), {"batch": 1, "sequence": 77}),
        ((2, 4), {"batch": 2, "sequence": 4}),
        ((1, 1), {"batch": 1, "sequence": 1}),
    ],
)
def test_other_sizes_are_tried_where_a_model_refuses_the_likeliest(
    sizes: tuple[int, ...], dims: dict[str, int]
) -> None:
    result = verify(reshaping(*sizes), reshaping(*sizes))
    assert (result.status, result.defaulted) == ("passed", dims)


def test_a_sequence_fits_the_position_table() -> None:
    rows = ", ".join(str(i / 7) for i in range(22))
    base = ir.from_onnx_text(
        f"""{HEAD} g (float[batch, sequence, 2] x) => (float[batch, sequence, 2] y)
        <float[11, 2] positions = {{{rows}}}> {{
            s = Shape <start = 1, end = 2> (x) o = Constant <value_ints = [0]> ()
            p = Slice(positions, o, s, o) y = Add(x, p) }}"""
    )
    result = verify(base, base)
    assert (result.status, result.defaulted) == ("passed", {"batch": 2, "sequence": 8})


def test_a_model_that_takes_none_of_them_says_what_would_help() -> None:
    result = verify(reshaping(3, 5), reshaping(3, 5))
    assert result.status == "unverified"
    assert "(batch=2, sequence=16: --dim sets others)" in result.reason
    assert verify(reshaping(3, 5), reshaping(3, 5), dims={"batch": 3, "sequence": 5}).status == (
        "passed"
    )


def test_sizes_that_the_user_gave_are_kept_while_others_are_tried() -> None:
    result = verify(reshaping(1, 64), reshaping(1, 64), dims={"batch": 1})
    assert (result.status, result.defaulted) == ("passed", {"sequence": 64})


def test_an_unknown_rank_is_unverified_and_says_what_to_give(tmp_path: Path) -> None:
    proto = onnx.parser.parse_model(f"{HEAD} g (float[N] x) => (float[N] y) {{ y = Exp(x) }}")
    proto.graph.input[0].type.tensor_type.ClearField("shape")
    proto.graph.output[0].type.tensor_type.ClearField("shape")
    onnx.save(proto, tmp_path / "model.onnx")
    checked = graphopt.optimize(tmp_path / "model.onnx").report.verification
    assert checked is not None
    assert checked.status == "unverified"
    assert checked.reason == "input 'x' has no declared rank; give --input-shape x:..."


def test_draws_differ_in_seed_and_scale_and_not_in_size() -> None:
    generator = InputGenerator(declared(x=["FLOAT", "n", 50], flag=["BOOL"]))
    sizes = next(generator.sizes())
    first, small = (generator.draw(sizes, seed=n, scale=s).arrays for n, s in ((0, 1), (1, 0.25)))
    assert first["x"].shape == small["x"].shape
    assert np.std(small["x"]) == pytest.approx(0.25, rel=0.1)
    assert first["flag"] != small["flag"]
