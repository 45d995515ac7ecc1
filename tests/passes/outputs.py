"""Outputs by name that must be those of another model."""

from __future__ import annotations

__all__ = ["assert_close", "assert_runs_as"]

from collections.abc import Mapping

import numpy as np
import onnx_ir as ir

from tests.onnx_runtime import OptimizedSession


def assert_close(
    found: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray], *, rtol: float, atol: float
) -> None:
    """The same outputs in the same order, each as close as that."""
    assert list(found) == list(expected)
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, rtol=rtol, atol=atol, err_msg=name)


def assert_runs_as(
    model: ir.Model, truth: Mapping[str, np.ndarray], inputs: Mapping[str, np.ndarray]
) -> None:
    """ONNX Runtime gives the outputs that were evaluated in float64, to the rounding of float32."""
    given = {name: array.astype(np.float32) for name, array in inputs.items()}
    assert_close(OptimizedSession(model).run(given), truth, rtol=1e-4, atol=1e-5)
