"""How a model is put on disk before it is loaded and saved, and weights that are computed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from tests.graphopt.model_files import save_external, save_inline

SAVERS = pytest.mark.parametrize("save", [save_inline, save_external])
Saver = Callable[[onnx.ModelProto, Path], Path]


def lazy(value: ir.Value, compute: Callable[[], np.ndarray]) -> None:
    tensor = value.const_value
    assert tensor is not None
    value.const_value = ir.LazyTensor(
        lambda: ir.Tensor(compute()), dtype=tensor.dtype, shape=tensor.shape, name=value.name
    )
