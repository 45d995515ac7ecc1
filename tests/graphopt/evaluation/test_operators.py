"""Every kernel against ONNX Runtime's, operator by operator, form by form.

Each case is one node. ONNX Runtime runs it in float32; the evaluator runs it in float32 and, cast
to float64, in float64: both must agree with ONNX Runtime to float32 rounding.
"""

from __future__ import annotations

import numpy as np
import pytest

from graphopt.evaluation import EvaluationFailed, evaluate
from graphopt.evaluation.float64 import cast_to_float64
from tests.graphopt.evaluation.operator_cases import Case, f, i32, ms
from tests.graphopt.evaluation.operator_tables import CASES
from tests.onnx_runtime import OptimizedSession
from tests.versions.conditions import needs_onnxruntime, needs_opset

TOLERANCE = 2e-5  # relative to the largest output; float32 sums of up to a few hundred terms


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(
            case,
            marks=[needs_onnxruntime(case.since, "a right kernel"), *needs_opset(case.opset)],
            id=str(case),
        )
        for case in CASES
    ],
)
def test_a_node_gives_what_onnx_runtime_gives(case: Case) -> None:
    model = case.model()
    expected = OptimizedSession(model).run(case.feeds())
    wide = {
        name: x.astype(np.float64) if x.dtype == np.float32 else x
        for name, x in case.feeds().items()
    }
    for actual, as_float64 in (
        (evaluate(model, case.feeds()), False),
        (evaluate(cast_to_float64(model), wide), True),
    ):
        for name, want in expected.items():
            got = actual[name]
            dtype = np.float64 if as_float64 and want.dtype == np.float32 else want.dtype
            assert (got.dtype, got.shape) == (dtype, want.shape)
            if want.dtype == np.float32 and want.size:
                scale = np.max(np.abs(want), where=np.isfinite(want), initial=1e-30)
                np.testing.assert_allclose(got, want, rtol=0, atol=TOLERANCE * scale)
            else:
                np.testing.assert_array_equal(got, want)


RECURRENT = [f(3, 2, 4), f(1, 20, 4), f(1, 20, 5)]
NOT_EVALUATED = {
    "samples of several lengths": Case("LSTM", [*RECURRENT, None, i32(3, 1)], {"hidden_size": 5}),
    "attribute clip": Case("LSTM", RECURRENT, {"hidden_size": 5, "clip": 0.1}),
    "attribute activations": Case(
        "LSTM", RECURRENT, {"hidden_size": 5, "activations": ["Sigmoid", "Relu", "Tanh"]}
    ),
    "attribute input_forget": Case("LSTM", RECURRENT, {"hidden_size": 5, "input_forget": 1}),
    "positions as output": Case("MaxPool", [f(1, 2, 6, 6)], {"kernel_shape": [3, 3]}, outputs=2),
    "auto_pad SAME_LOWER": Case(
        "MaxPool", [f(1, 2, 8, 7)], {"kernel_shape": [3, 3], "auto_pad": "SAME_LOWER"}
    ),
    "ceil_mode": Case("AveragePool", [f(1, 2, 8, 7)], {"kernel_shape": [3, 3], "ceil_mode": 1}),
    "a causal mask over the keys of another sequence": ms(
        "MultiHeadAttention",
        [f(1, 3, 8), f(1, 5, 8), f(1, 5, 8)],
        {"num_heads": 1, "unidirectional": 1},
    ),
}


@pytest.mark.parametrize("reason", NOT_EVALUATED)
def test_what_is_computed_otherwise_is_not_evaluated(reason: str) -> None:
    """A truth that ONNX Runtime does not compute would let any candidate near it pass."""
    case = NOT_EVALUATED[reason]
    with pytest.raises(EvaluationFailed, match=f"with {reason} cannot be evaluated"):
        evaluate(case.model(), case.feeds())
