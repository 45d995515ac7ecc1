"""A case is one node with its inputs, and how they are drawn."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir

RANDOM = np.random.default_rng(0)


def f(*shape: int) -> np.ndarray:
    """Normal float32 values."""
    return RANDOM.normal(size=shape).astype(np.float32)


def scalar(value: float) -> np.ndarray:
    return np.array(value, dtype=np.float32)


def positive(*shape: int) -> np.ndarray:
    return np.abs(f(*shape)) + np.float32(0.1)


def i64(*values: Any) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def i32(*values: Any) -> np.ndarray:
    return np.array(values, dtype=np.int32)


def below(bound: int, *shape: int) -> np.ndarray:
    return RANDOM.integers(0, bound, size=shape)


def flags(*shape: int) -> np.ndarray:
    return RANDOM.integers(0, 2, size=shape).astype(bool)


@dataclasses.dataclass
class Case:
    op: str
    inputs: list[np.ndarray | None]
    attributes: dict[str, Any] = dataclasses.field(default_factory=dict)
    opset: int = 17
    outputs: int = 1
    domain: str = ""
    unread: tuple[int, ...] = ()  # outputs that ONNX Runtime does not fill in
    since: str = "1.20"  # first ONNX Runtime with a right kernel for this form of the operator

    def __str__(self) -> str:
        shapes = "_".join("none" if x is None else "x".join(map(str, x.shape)) for x in self.inputs)
        attributes = "_".join(
            f"{k}={v}" for k, v in self.attributes.items() if not isinstance(v, onnx.TensorProto)
        )
        return f"{self.op}-{self.opset}-{shapes}-{attributes}"[:90]

    def model(self) -> ir.Model:
        names = ["" if x is None else f"x{i}" for i, x in enumerate(self.inputs)]
        outputs = ["" if i in self.unread else f"y{i}" for i in range(self.outputs)]
        node = onnx.helper.make_node(
            self.op, names, outputs, name="node", domain=self.domain, **self.attributes
        )
        declared = [
            onnx.helper.make_tensor_value_info(
                name, onnx.helper.np_dtype_to_tensor_dtype(x.dtype), x.shape
            )
            for name, x in zip(names, self.inputs, strict=True)
            if x is not None
        ]
        graph = onnx.helper.make_graph(
            [node], "case", declared, [onnx.ValueInfoProto(name=name) for name in outputs if name]
        )
        imports = [onnx.helper.make_opsetid("", self.opset)]
        imports.append(onnx.helper.make_opsetid("com.microsoft", 1))
        return ir.from_proto(onnx.helper.make_model(graph, opset_imports=imports, ir_version=8))

    def feeds(self) -> dict[str, np.ndarray]:
        return {f"x{i}": x for i, x in enumerate(self.inputs) if x is not None}


def ms(
    op: str,
    inputs: list[np.ndarray | None],
    attributes: dict[str, Any] | None = None,
    outputs: int = 1,
    unread: tuple[int, ...] = (),
    since: str = "1.20",
) -> Case:
    return Case(op, inputs, attributes or {}, 17, outputs, "com.microsoft", unread, since)
