"""The CUDA kernels as ONNX Runtime runs them, where it has CUDA."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from graphopt.native import build
from graphopt.runtime.library import find_library
from tests.native.operator_models import (
    FORMS,
    SKIP_RMS,
    TYPES,
    Form,
    expected_sum,
    expected_y,
    model,
    open_session,
    random_values,
    run,
)

PROVIDER = "CUDAExecutionProvider"
pytestmark = pytest.mark.skipif(
    PROVIDER not in onnxruntime.get_available_providers(),
    reason=f"this build of ONNX Runtime has no {PROVIDER}",
)
# A warp and a block, with rows that start at vectors and anywhere; more than registers hold; none.
SHAPES = ((197, 768), (2, 3, 767), (5, 4096), (40, 1025), (2, 70001), (0, 768))
# As in harness.cu. Unlike the CPU, a thread adds up its part of a long row in float32.
TOLERANCES = {"float32": 1e-6, "float16": 6e-4, "bfloat16": 4.5e-3, "float64": 2e-15}


@pytest.fixture(scope="module")
def cuda_library() -> Path:
    """The kernels as the sources have them, or, where there is no nvcc, as they were built."""
    if build.find_nvcc():
        return build.build("cuda", only_if_changed=True)
    path = find_library("cuda")
    if path is None:
        pytest.skip("the kernels for cuda were not built, and nvcc is not installed")
    return path


def check(
    form: Form, values: dict[str, np.ndarray], got: Mapping[str, np.ndarray], dtype: str
) -> None:
    if "sum" in got:
        assert np.array_equal(got["sum"], expected_sum(form, values, dtype))
    y = got["Y"].astype(np.float64)
    expected = expected_y(form, values, dtype)
    np.testing.assert_allclose(y, expected, rtol=TOLERANCES[dtype], atol=1e-7)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("form", FORMS, ids=str)
def test_an_operator_computes_its_formula(form: Form, dtype: str, cuda_library: Path) -> None:
    session = open_session(model(form, dtype), cuda_library, providers=[PROVIDER])
    assert session.get_providers()[0] == PROVIDER
    for shape in SHAPES:
        values = random_values(shape, dtype)
        check(form, values, run(session, values, dtype), dtype)


def test_a_captured_graph_computes_what_its_inputs_hold_at_each_run(cuda_library: Path) -> None:
    """ONNX Runtime captures the kernels in an early run and only replays them in later ones."""
    shape = (197, 768)
    provider: Any = (PROVIDER, {"enable_cuda_graph": "1"})
    session = open_session(model(SKIP_RMS, "float32"), cuda_library, providers=[provider])
    initial = random_values(shape, "float32")
    initial |= {name: np.zeros(shape, np.float32) for name in SKIP_RMS.outputs}
    device = {
        name: onnxruntime.OrtValue.ortvalue_from_numpy(value, "cuda", 0)
        for name, value in initial.items()
    }
    binding = session.io_binding()
    for name in SKIP_RMS.inputs:
        binding.bind_ortvalue_input(name, device[name])
    for name in SKIP_RMS.outputs:
        binding.bind_ortvalue_output(name, device[name])
    for seed in range(4):
        values = random_values(shape, "float32", seed)
        for name, value in values.items():
            device[name].update_inplace(value)
        session.run_with_iobinding(binding)
        got = {name: device[name].numpy() for name in SKIP_RMS.outputs}
        check(SKIP_RMS, values, got, "float32")
