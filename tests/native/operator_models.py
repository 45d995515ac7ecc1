"""Models of one operator of the domain graphopt, and what it computes in float64."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnxruntime
from onnx import TensorProto, helper

EPSILON = 2.0**-10  # the same in float32 and in float64


@dataclasses.dataclass(frozen=True)
class Form:
    """An operator with the operands that it is given, and the results that it is asked for."""

    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...] = ("Y",)

    def __str__(self) -> str:
        return f"{self.operator}({', '.join(self.inputs)})->{', '.join(self.outputs)}"


RMS = Form("RMSNorm", ("X", "gamma"))
RMS_WITHOUT_GAMMA = Form("RMSNorm", ("X",))
CRMS = Form("CRMSNorm", ("X",))
SKIP_RMS = Form("SkipRMSNorm", ("X", "residual", "gamma", "bias"), ("Y", "sum"))
SKIP_CRMS = Form("SkipCRMSNorm", ("X", "residual", "bias"), ("Y", "sum"))
LAYER = Form("LayerNorm", ("X", "gamma", "beta"))
SKIP_LAYER = Form("SkipLayerNorm", ("X", "residual", "gamma", "beta", "bias"), ("Y", "sum"))
FORMS = (
    RMS,
    RMS_WITHOUT_GAMMA,
    CRMS,
    SKIP_RMS,
    Form("SkipRMSNorm", ("X", "residual", "gamma"), ("Y", "sum")),
    Form("SkipRMSNorm", ("X", "residual", "gamma", "bias"), ("Y",)),
    SKIP_CRMS,
    Form("SkipCRMSNorm", ("X", "residual"), ("Y", "sum")),
    Form("SkipCRMSNorm", ("X", "residual", "bias"), ("Y",)),
    LAYER,
    SKIP_LAYER,
    Form("SkipLayerNorm", ("X", "residual", "gamma", "beta"), ("Y", "sum")),
    Form("SkipLayerNorm", ("X", "residual", "gamma", "beta", "bias"), ("Y",)),
)
TYPES: dict[str, Any] = {
    "float32": np.float32,
    "float16": np.float16,
    "bfloat16": ml_dtypes.bfloat16,
    "float64": np.float64,
}
# Largest error of Y, relative to what it consists of: rounding the result once, and a few roundings
# of what it is computed with: float32 for the first three.
TOLERANCES = {"float32": 5e-7, "float16": 5.5e-4, "bfloat16": 4.2e-3, "float64": 1e-15}


def model(form: Form, dtype: str, epsilon: float | None = EPSILON) -> bytes:
    """One node. bfloat16 goes in and out as float32, which numpy knows."""
    element = int(helper.np_dtype_to_tensor_dtype(np.dtype(TYPES[dtype])))
    outside = TensorProto.FLOAT if dtype == "bfloat16" else element
    attributes = {} if epsilon is None else {"epsilon": epsilon}
    nodes = [helper.make_node("Cast", [name], [f"{name}_in"], to=element) for name in form.inputs]
    inputs = [f"{name}_in" for name in form.inputs]
    outputs = [f"{name}_out" for name in form.outputs]
    nodes.append(helper.make_node(form.operator, inputs, outputs, domain="graphopt", **attributes))
    nodes += [
        helper.make_node("Cast", [f"{name}_out"], [name], to=outside) for name in form.outputs
    ]
    return serialized(
        nodes, dict.fromkeys(form.inputs, outside), dict.fromkeys(form.outputs, outside)
    )


def serialized(
    nodes: Sequence[Any], inputs: Mapping[str, int], outputs: Mapping[str, int], **graph: Any
) -> bytes:
    """A model that every release of ONNX Runtime under test reads, of values of unknown shape."""
    values = [
        [helper.make_tensor_value_info(name, element, None) for name, element in side.items()]
        for side in (inputs, outputs)
    ]
    opsets = [helper.make_opsetid("graphopt", 1), helper.make_opsetid("", 17)]
    made = helper.make_model(
        helper.make_graph(nodes, "g", *values, **graph), opset_imports=opsets, ir_version=8
    )
    return made.SerializeToString()


def open_session(
    content: bytes,
    library: Path,
    threads: int = 1,
    optimize: bool = False,
    providers: Sequence[Any] = ("CPUExecutionProvider",),
) -> Any:
    """A session with the kernels; ORT's own optimization only on demand.

    On other providers than that of the CPU, a node that they do not take is an error.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    # Each tensor from malloc, so that a sanitizer sees where it ends.
    options.enable_cpu_mem_arena = False
    if not optimize:
        level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.graph_optimization_level = level
    if "CPUExecutionProvider" not in providers:
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    options.register_custom_ops_library(str(library))
    return onnxruntime.InferenceSession(content, options, providers=list(providers))


def run(session: Any, values: Mapping[str, np.ndarray], dtype: str) -> dict[str, np.ndarray]:
    """The outputs by name, in the type under test."""
    outside = np.float32 if dtype == "bfloat16" else TYPES[dtype]
    feeds = {value.name: values[value.name] for value in session.get_inputs()}
    names = [value.name for value in session.get_outputs()]
    if dtype == "bfloat16":
        feeds = {name: value.astype(outside) for name, value in feeds.items()}
    return {
        name: np.asarray(array).astype(TYPES[dtype])
        for name, array in zip(names, session.run(names, feeds), strict=True)
    }


def expected_sum(form: Form, values: Mapping[str, np.ndarray], dtype: str) -> np.ndarray:
    """X + bias + residual in float32 at least, rounded once; X where there is no residual."""
    if "residual" not in form.inputs:
        return values["X"]
    wide = np.float64 if dtype == "float64" else np.float32
    total = values["X"].astype(wide)
    if "bias" in form.inputs:
        total = total + values["bias"].astype(wide)
    with np.errstate(over="ignore", invalid="ignore"):
        return (total + values["residual"].astype(wide)).astype(TYPES[dtype])


def expected_y(form: Form, values: Mapping[str, np.ndarray], dtype: str) -> np.ndarray:
    """The norm in float64 of the sum as it is stored; a LayerNorm in the longest type there is."""
    if "beta" in form.inputs:
        gamma, beta = (values[name].astype(np.float64) for name in ("gamma", "beta"))
        return gamma * _normalized(form, values, dtype) + beta
    row = expected_sum(form, values, dtype).astype(np.float64)
    energy = np.square(row).sum(axis=-1, keepdims=True)
    divisor = row.shape[-1]
    with np.errstate(invalid="ignore", divide="ignore"):
        if form.operator.endswith("CRMSNorm"):
            energy = energy + np.square(row.sum(axis=-1, keepdims=True))
            divisor += 1
        result = row / np.sqrt(energy / divisor + EPSILON)
        if "gamma" in form.inputs:
            result = result * values["gamma"].astype(np.float64)
    return result


def _normalized(form: Form, values: Mapping[str, np.ndarray], dtype: str) -> np.ndarray:
    """What a LayerNorm scales and shifts."""
    row = expected_sum(form, values, dtype).astype(np.longdouble)
    with np.errstate(invalid="ignore", divide="ignore"):
        row = row - row.mean(axis=-1, keepdims=True)
        variance = np.square(row).mean(axis=-1, keepdims=True)
        return (row / np.sqrt(variance + EPSILON)).astype(np.float64)


def magnitude(form: Form, values: Mapping[str, np.ndarray], dtype: str) -> np.ndarray:
    """What the error of Y is relative to: Y itself, or where it is a sum, its parts.

    The mean of a row is as exact as its deviation is large, so that 1 stands beside each entry of
    what a LayerNorm scales.
    """
    if "beta" not in form.inputs:
        return np.abs(expected_y(form, values, dtype))
    gamma, beta = (np.abs(values[name].astype(np.float64)) for name in ("gamma", "beta"))
    return gamma * (1 + np.abs(_normalized(form, values, dtype))) + beta


def assert_right(
    form: Form, values: Mapping[str, np.ndarray], got: Mapping[str, np.ndarray], dtype: str
) -> None:
    """Y is within its tolerance, and sum to the last bit."""
    if "sum" in got:
        assert np.array_equal(got["sum"], expected_sum(form, values, dtype), equal_nan=True)
    y, expected = got["Y"].astype(np.float64), expected_y(form, values, dtype)
    assert y.shape == expected.shape
    tiny = float(np.float16(6e-8)) if dtype == "float16" else 1e-40  # of subnormal numbers
    bound = TOLERANCES[dtype] * magnitude(form, values, dtype) + tiny
    with np.errstate(invalid="ignore"):
        wrong = ~(np.abs(y - expected) <= bound) & ~(np.isnan(y) & np.isnan(expected))
    wrong &= y != expected  # infinite ones
    assert not wrong.any(), (y[wrong][:5], expected[wrong][:5])


def random_values(shape: Sequence[int], dtype: str, seed: int = 0) -> dict[str, np.ndarray]:
    """Operands for X of a shape. A mean beside zero, so that CRMS differs from RMS."""
    rng = np.random.default_rng(seed)
    d = shape[-1]
    shapes = {"X": shape, "residual": shape, "gamma": [d], "bias": [d], "beta": [d]}
    return {
        name: (rng.normal(size=size) * 2 + 0.5).astype(TYPES[dtype])
        for name, size in shapes.items()
    }
