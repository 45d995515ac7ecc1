"""Evaluation of an ONNX graph with numpy, in the graph's own types: the truth in float64.

ONNX Runtime has no float64 kernel for Conv, Erf or Gelu, and the reference evaluator of the onnx
package has none of ONNX Runtime's own operators. This package has both, so that a graph cast to
float64 (:func:`graphopt.evaluation.float64.cast_to_float64`) can be compared with its optimized
form far below the rounding of float32.
"""

from __future__ import annotations

__all__ = ["EvaluationFailed", "UnsupportedOperator", "evaluate"]

from graphopt.evaluation.calls import EvaluationFailed, UnsupportedOperator
from graphopt.evaluation.interpreter import evaluate
