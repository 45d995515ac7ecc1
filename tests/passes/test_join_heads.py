from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from graphopt.evaluation.float64 import cast_to_float64
from graphopt.passes import pipeline
from graphopt.passes.join_heads import JoinHeads
from tests.onnx_runtime import OptimizedSession
from tests.passes.attention import assert_same, changed, records
from tests.passes.graphs import graph, random_array
from tests.versions.conditions import needs_onnxruntime

BLOCK = """
    q0 = MatMul(x, wq) k0 = MatMul(x, wk) v0 = MatMul(x, wv)
    q1 = Reshape(q0, split) q = Transpose<perm=[0,2,1,3]>(q1)
    k1 = Reshape(k0, split) k = Transpose<perm=[0,2,1,3]>(k1)
    v1 = Reshape(v0, split) v = Transpose<perm=[0,2,1,3]>(v1)
    o = Attention(q, k, v)
    o1 = Transpose<perm=[0,2,1,3]>(o) o2 = Reshape(o1, join) y = MatMul(o2, wo)
"""
_NUMBERS = {
    "split": np.array([0, 0, 2, 4], np.int64),
    "one": np.array([0, 0, 1, 4], np.int64),
    "join": np.array([0, 0, 8], np.int64),
    "apart": np.array([0, 0, 0, 4], np.int64),
    "low": np.array(-3.4028234663852886e38, np.float32),
    "none": np.array(0, np.float32),
}
_WEIGHTS = "wq[8,8] wk[8,8] wv[8,8] wm[8,4] wp[8,4] wo[8,8] cache[2,2,1,4]"
_MASK = "mask = Where(keep, none, low)"

# What is written instead of what, and whether the heads are joined.
CASES: dict[str, tuple[dict[str, str], int]] = {
    "as it stands": ({}, 1),
    "a scale": ({"Attention(": "Attention<scale=0.3>("}, 1),
    "causal": ({"Attention(": "Attention<is_causal=1>("}, 1),
    "a mask of numbers": ({"o = Attention(q, k, v)": f"{_MASK} o = Attention(q, k, v, mask)"}, 1),
    "a mask of booleans": ({"(q, k, v)": "(q, k, v, keep)"}, 1),
    "a mask for all samples": ({"(q, k, v)": "(q, k, v, square)"}, 1),
    "a head of keys for two of queries": (
        {
            "MatMul(x, wk)": "MatMul(x, wm)",
            "MatMul(x, wv)": "MatMul(x, wp)",
            "(k0, split)": "(k0, one)",
            "(v0, split)": "(v0, one)",
        },
        1,
    ),
    "keys of another sequence": (
        {"MatMul(x, wk)": "MatMul(z, wk)", "MatMul(x, wv)": "MatMul(z, wv)"},
        1,
    ),
    "a mask for all queries": ({"(q, k, v)": "(q, k, v, few)"}, 0),
    "keys of tokens before": (
        {"o = Attention(q, k, v)": 'o, pk, pv = Attention(q, k, v, "", cache, cache)'},
        0,
    ),
    "keys that are handed on": ({"o = Attention(q, k, v)": "o, extra, pv = Attention(q, k, v)"}, 0),
    "results that something else reads": ({"o1 =": "extra = Neg(o) o1 ="}, 0),
    "values transposed otherwise": (
        {"v = Transpose<perm=[0,2,1,3]>": "v = Transpose<perm=[0,2,3,1]>"},
        0,
    ),
    "heads that stay apart": (
        {"Reshape(o1, join) y = MatMul(o2, wo)": "Reshape(o1, apart) y = Reshape(o2, join)"},
        0,
    ),
}
_LENGTHS = {"values transposed otherwise": 4}


def model_of(changes: dict[str, str], length: str = "S") -> ir.Model:
    body = changed(BLOCK, changes)
    extra = ", float extra" if "extra" in body else ""
    return graph(
        body,
        _WEIGHTS,
        inputs=f"float[B,{length},8] x, float[B,T,8] z, bool[B,1,{length},{length}] keep, "
        f"bool[{length},{length}] square, bool[B,1,1,{length}] few",
        outputs=f"float[B,{length},8] y{extra}",
        constants=_NUMBERS,
        opset=23,
        float64=False,
    )


def inputs_of(length: int, keep: np.ndarray | None = None) -> dict[str, np.ndarray]:
    if keep is None:
        keep = np.random.default_rng(0).random((2, 1, length, length)) < 0.6
        keep[:, :, :, 0] = True
    return {
        "x": random_array("x", (2, length, 8)),
        "z": random_array("z", (2, 5, 8)),
        "keep": keep,
        "square": keep[0, 0],
        "few": keep[:, :, :1],
    }


@needs_onnxruntime("1.24", "Attention of opset 23 with every mask")
@pytest.mark.parametrize("case", CASES)
def test_heads_are_taken_as_they_lie(case: str) -> None:
    changes, joined = CASES[case]
    length = _LENGTHS.get(case)
    model, original = (model_of(changes, str(length or "S")) for _ in range(2))
    assert records(model, JoinHeads()) == ({"heads joined": 1} if joined else {})
    assert [node.op_type for node in model.graph].count("Transpose") == (0 if joined else 4)
    if case in ("keys of tokens before", "a mask for all queries"):
        return  # ONNX Runtime refuses a broadcast mask, and a cache that is not handed on
    given = inputs_of(length or 3)
    assert_same(original, model, given)


_CAUSAL = np.tri(5, dtype=bool)
_PADDED = {
    "left": [[1, 1, 1, 1, 1], [0, 0, 1, 1, 1]],
    "right": [[1, 1, 1, 0, 0], [1, 0, 0, 0, 0]],
    "a whole row": [[0, 0, 0, 0, 0], [1, 1, 0, 1, 0]],
}


@needs_onnxruntime("1.24", "Attention of opset 23 with every mask")
@pytest.mark.parametrize("padding", _PADDED)
@pytest.mark.parametrize("case", ["a mask of numbers", "a mask of booleans"])
def test_padding_shows_no_more_than_before(padding: str, case: str) -> None:
    """What a row becomes that is masked whole is up to the release: both forms have one kernel."""
    tokens = np.array(_PADDED[padding], bool)[:, None, None]
    given = inputs_of(5, np.logical_and(_CAUSAL, tokens))
    original, model = model_of(CASES[case][0]), model_of(CASES[case][0])
    assert records(model, JoinHeads()) == {"heads joined": 1}
    before, after = (OptimizedSession(each).run(given)["y"] for each in (original, model))
    assert np.array_equal(np.isnan(before), np.isnan(after))
    assert np.nanmax(np.abs(after - before)) <= 2e-6 * np.nanmax(np.abs(before))


@pytest.mark.parametrize(("length", "joined"), [("512", 1), ("513", 0), ("S", 1)])
def test_long_rows_stay_transposed(length: str, joined: int) -> None:
    assert records(model_of({}, length), JoinHeads()) == ({"heads joined": 1} if joined else {})


def test_types_of_other_widths_stay() -> None:
    assert records(cast_to_float64(model_of({})), JoinHeads()) == {}


@pytest.mark.parametrize("ops", ["standard", "ort", "custom"])
def test_each_set_of_operators_has_it(ops: str) -> None:
    model = model_of(CASES["a mask of booleans"][0])
    pipeline.run(model, pipeline.Options(ops=ops))
    assert [node.op_type for node in model.graph].count("Transpose") == 0
    onnx.checker.check_model(ir.to_proto(model), full_check=True)


def test_a_result_is_read_again() -> None:
    """Sizes are proved through both forms: without them the norm would stay."""
    tail = """stream = MatMul(x, wq) o3 = MatMul(o2, wo) r = Add(o3, stream)
        n = LayerNormalization(r, gamma) y = MatMul(n, wk)"""
    body = BLOCK.replace("y = MatMul(o2, wo)", tail)
    model = graph(
        body,
        f"{_WEIGHTS} gamma[8]",
        inputs="float[B,S,8] x",
        outputs="float y",
        constants=_NUMBERS,
        opset=23,
        float64=False,
    )
    assert records(model, JoinHeads()) == {"heads joined": 1}
    again = ir.from_proto(ir.to_proto(model))
    summary, _ = pipeline.run(again, pipeline.Options(ops="standard"))
    assert [norm.converted for norm in summary.norms] == [True]
