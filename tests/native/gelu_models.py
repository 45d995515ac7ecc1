"""Models of one GELU, and what it computes in float64."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from onnx import helper

from tests.native.operator_models import Form, serialized

__all__ = ["FORMS", "FUNCTIONS", "stock_model", "truth"]

FORMS = tuple(
    Form(operator, inputs)
    for operator in ("Gelu", "TanhGelu", "QuickGelu")
    for inputs in (("X",), ("X", "bias"))
)

_erfc = np.vectorize(math.erfc, otypes=[np.float64])


def _sigmoid(u: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return np.asarray(1 / (1 + np.exp(-u)))


FUNCTIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "Gelu": lambda v: v * _erfc(-v / math.sqrt(2)) / 2,
    "TanhGelu": lambda v: v * _sigmoid(2 * math.sqrt(2 / math.pi) * (v + 0.044715 * v**3)),
    "QuickGelu": lambda v: v * _sigmoid(1.702 * v),
}
"""In a form that loses no digits where the result is small."""


def truth(form: Form, values: dict[str, np.ndarray]) -> np.ndarray:
    """The operator in float64, of X + bias as float32 at least has it."""
    wide = np.float64 if values["X"].dtype == np.float64 else np.float32
    v = np.asarray(values["X"].astype(wide))
    if "bias" in form.inputs:
        v = v + values["bias"].astype(wide)
    return np.asarray(FUNCTIONS[form.operator](v.astype(np.float64)))


_STOCK = {"Gelu": "Gelu", "TanhGelu": "FastGelu", "QuickGelu": "QuickGelu"}


def stock_model(operator: str) -> bytes:
    """One float32 node of ONNX Runtime's own kernel for a GELU."""
    node = helper.make_node(_STOCK[operator], ["X"], ["Y"], domain="com.microsoft")
    return serialized([node], {"X": 1}, {"Y": 1})
