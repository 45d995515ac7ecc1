"""A weight that folding could take beyond its type is left as it is, and the reason is said."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from graphopt.passes import pipeline
from graphopt.passes.fold_scales import FoldScales
from graphopt.passes.graph import constants, overflow
from graphopt.passes.infer_shapes import InferShapes
from graphopt.passes.report import PlanSummary

OPTIONS = pipeline.Options(ops="standard")
TEXT = """<ir_version: 8, opset_import: ["" : 17]>
    g (float16[N, 8] x) => (float16[N, 8] y) {
        stream = MatMul (x, written)
        normed = LayerNormalization <axis = -1> (stream, gamma, beta)
        product = MatMul (normed, read)
        y = Add (product, bias)
    }"""


def model(kind: str = "float16", text: str = TEXT, **entries: np.ndarray) -> ir.Model:
    """Small weights but for those given; without a mean that is 0 by chance."""
    rng = np.random.default_rng(0)
    arrays = {
        "written": rng.normal(size=(8, 8)) + 0.3,
        "gamma": 1 + rng.normal(size=8) / 4,
        "beta": rng.normal(size=8),
        "read": rng.normal(size=(8, 8)),
        "bias": rng.normal(size=8),
    } | entries
    typed = {name: array.astype(kind) for name, array in arrays.items()}
    return filled(text.replace("float16", kind.replace("float32", "float")), typed)


def filled(text: str, arrays: dict[str, np.ndarray]) -> ir.Model:
    """A graph whose constants are ``arrays``."""
    made = ir.from_onnx_text(text)
    for name, array in arrays.items():
        tensor = ir.tensor(array, name=name)
        value = next(
            v for node in made.graph for v in node.inputs if v is not None and v.name == name
        )
        value.const_value = tensor
        value.type, value.shape = ir.TensorType(tensor.dtype), tensor.shape
        made.graph.register_initializer(value)
    return made


def optimized(made: ir.Model, options: pipeline.Options = OPTIONS) -> tuple[PlanSummary, ir.Model]:
    summary, _ = pipeline.run(made, options)
    for value in made.graph.initializers.values():
        assert value.const_value is not None
        assert np.isfinite(np.asarray(value.const_value.numpy(), np.float64)).all(), value.name
    return summary, made


def test_small_weights_are_recentred_and_take_beta() -> None:
    summary, made = optimized(model())
    assert summary.converted == 1
    assert "beta" not in made.graph.initializers


def with_one(entry: float) -> np.ndarray:
    """Recentred, the entry beside seven of the other sign leaves the range of float16."""
    array = np.full((8, 8), -60000.0)
    array[3, 2] = entry
    return array


def test_a_weight_that_would_overflow_keeps_its_norm() -> None:
    large = with_one(60000.0)
    centred = large - large.mean(axis=1, keepdims=True)
    assert np.abs(centred).max() > 65504
    summary, _ = optimized(model(written=large))
    (norm,) = summary.norms
    assert not norm.converted
    assert "written has entries up to 6e+04, which could overflow float16 once recentred" in (
        norm.reason
    )


def test_the_same_weight_is_recentred_in_float32() -> None:
    assert optimized(model("float32", written=with_one(60000.0)))[0].converted == 1


def test_a_float32_weight_at_its_limit_keeps_its_norm() -> None:
    (norm,) = optimized(model("float32", written=with_one(60000.0) * 5e33))[0].norms
    assert not norm.converted
    assert "could overflow float once recentred" in norm.reason


@pytest.mark.parametrize(
    "entries",
    [
        {"beta": np.full(8, 200.0), "read": np.full((8, 8), 50.0)},
        {"beta": np.full(8, 10.0), "read": np.full((8, 8), 50.0), "bias": np.full(8, 30000.0)},
    ],
    ids=["the product", "the sum"],
)
@pytest.mark.parametrize(("kind", "times"), [("float16", 1.0), ("float32", 5.1e33)])
def test_a_beta_that_would_overflow_stays_at_its_norm(
    entries: dict[str, np.ndarray], kind: str, times: float
) -> None:
    grown = {name: array if name == "beta" else array * times for name, array in entries.items()}
    summary, made = optimized(model(kind, **grown))
    (norm,) = summary.norms
    assert norm.converted
    assert "could overflow" in norm.affine
    assert "beta" in made.graph.initializers
    assert made.graph.initializers["bias"].const_value is not None


@pytest.mark.parametrize(
    ("places", "bias", "bias_factor", "overflows"),
    [(9, 0.0, 1.0, True), (1, 0.0, 1.0, False), (1, 3e4, 1.0, True), (1, 3e4, 0.5, False)],
    ids=["a convolution", "a product", "a bias", "half a bias"],
)
def test_the_bound_of_a_beta_that_is_folded(
    places: int, bias: float, bias_factor: float, overflows: bool
) -> None:
    weight = ir.tensor(np.full((2, 2, places), 2000.0, np.float16))
    held = ir.tensor(np.full(2, bias, np.float16))
    beta = np.array([1.0, -1.0])
    assert overflow.beta_overflows(weight, beta, held, 1.0, bias_factor) == overflows


@pytest.mark.parametrize("kind", ["float16", "float32", "float64"])
def test_a_scaled_weight_that_could_leave_its_range(kind: str) -> None:
    limit = float(np.finfo(kind).max)
    tensor = ir.tensor(np.full((4, 4), limit / 128, kind))
    assert overflow.scaling_leaves_range(tensor, np.array([0.0, 1.0, -65.0]))
    assert not overflow.scaling_leaves_range(tensor, np.array([0.0, 1.0, -63.0]))
    assert not overflow.scaling_leaves_range(tensor, np.zeros(3))


@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_a_scaled_weight_that_could_lose_digits(kind: str) -> None:
    tensor = ir.tensor(np.full((4, 4), 2.0, kind))
    smallest = float(np.finfo(kind).smallest_normal)
    assert overflow.scaling_leaves_range(tensor, np.array([1.0, smallest * 2.0**30]))
    assert not overflow.scaling_leaves_range(tensor, np.array([1.0, smallest * 2.0**32]))


HUGE_SCALES = {
    "float32 weights that would overflow": (np.full((4, 8), 1e30, np.float32), 1e15),
    "float32 weights that would lose their digits": (np.full((4, 8), 1e-25, np.float32), 1e-15),
    "float32 weights in range": (np.full((4, 8), 1e-15, np.float32), 1e15),
}


@pytest.mark.parametrize(("name", "folded"), [*zip(HUGE_SCALES, (0, 0, 1), strict=True)])
def test_a_scale_of_queries_that_leaves_the_range_stays(name: str, folded: int) -> None:
    weights, factor = HUGE_SCALES[name]
    made = filled(
        """<ir_version: 8, opset_import: ["" : 17]>
        g (float[1, 3, 4] x, float[1, 8, 3] k) => (float[1, 3, 3] y)
        { q = MatMul (x, w)  s = Mul (q, c)  y = MatMul (s, k) }""",
        {"w": weights, "c": np.array(factor, np.float32)},
    )
    InferShapes()(made)
    step = FoldScales()
    step(made)
    assert step.record["scales folded"] == folded


@pytest.mark.parametrize(("factor", "merged"), [(1e-3, 0), (0.1, 1)])
def test_two_scales_of_which_the_product_loses_its_digits_stay_two(
    factor: float, merged: int
) -> None:
    made = filled(
        """<ir_version: 8, opset_import: ["" : 17]>
        g (float16[1, 3, 8] q, float16[1, 8, 3] k) => (float16[1, 3, 3] y)
        { a = Mul (q, c)  b = Mul (k, c)  y = MatMul (a, b) }""",
        {"c": np.array(factor, np.float16)},
    )
    InferShapes()(made)
    step = FoldScales()
    step(made)
    assert step.record["scales merged"] == merged


CRMS = pipeline.Options(variant="crms", ops="standard")


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        (
            {"read": np.full((8, 8), 35000.0)},
            "read has entries up to 3.5e+04, which could overflow float16 once compressed with "
            "gamma in it",
        ),
        (
            {"read": np.full((8, 8), 9000.0), "gamma": np.full(8, 4.0), "beta": np.zeros(8)},
            "read has entries up to 9e+03, which could overflow float16 once compressed with "
            "gamma in it",
        ),
        (
            {"written": np.full((8, 8), 30000.0)},
            "constant written has entries up to 3e+04, which could overflow float16 once "
            "compressed",
        ),
    ],
    ids=["what reads", "gamma", "what writes"],
)
def test_a_weight_without_room_for_the_basis_keeps_the_norm_uncompressed(
    entries: dict[str, np.ndarray], reason: str
) -> None:
    entries.setdefault("beta", np.zeros(8))
    summary, _ = optimized(model(**entries), CRMS)
    (norm,) = summary.norms
    assert (norm.converted, norm.compressed) == (True, False)
    assert norm.uncompressed == reason


def test_a_weight_with_room_for_the_basis_is_compressed() -> None:
    summary, _ = optimized(model(read=np.full((8, 8), 10000.0), beta=np.zeros(8)), CRMS)
    assert summary.norms[0].compressed


def test_a_gamma_that_would_overflow_is_not_folded_to_merge_twins() -> None:
    text = TEXT.replace(
        "product = MatMul (normed, read)",
        """other = LayerNormalization <axis = -1> (stream, wide, beta)
        second = MatMul (other, read_too)
        first = MatMul (normed, read)
        product = Add (first, second)""",
    )
    for entry, norms in ((1000.0, 2), (10.0, 1)):
        made = model(
            text=text,
            wide=np.full(8, 100.0),
            read_too=np.full((8, 8), entry),
            beta=np.zeros(8),
        )
        optimized(made)
        roots = [node for node in made.graph if node.op_type == "Sqrt"]
        assert len(roots) == norms


@pytest.mark.parametrize("dtype", ["FLOAT", "DOUBLE", "FLOAT16", "BFLOAT16"])
@pytest.mark.parametrize("shape", [(), (5,), (3, 0), (7, 3)])
def test_the_largest_entry(dtype: str, shape: tuple[int, ...]) -> None:
    kind = ir.DataType[dtype]
    array = np.linspace(-5, 4, int(np.prod(shape))).reshape(shape).astype(kind.numpy())
    expected = float(np.abs(array.astype(np.float64)).max(initial=0.0))
    assert constants.largest(ir.Tensor(array, dtype=kind)) == expected
    for poison in (np.nan, np.inf, -np.inf):
        if array.size:
            array.reshape(-1)[array.size // 2] = poison
            assert not np.isfinite(constants.largest(ir.Tensor(array, dtype=kind)))
