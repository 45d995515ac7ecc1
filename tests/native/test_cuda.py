"""The CUDA kernels: compiled, checked on the host, and checked and timed where there is a GPU."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path

import numpy as np
import pytest

from graphopt.native import build
from tests.native.operator_models import (
    SKIP_RMS,
    expected_sum,
    expected_y,
    model,
    open_session,
    random_values,
    run,
)

HERE = Path(__file__).parent
CUDA_SOURCES = [build.SOURCES / "harness.cu", build.SOURCES / "cuda_rows.cu"]


def nvcc() -> str:
    path = build.find_nvcc()
    if path is None:
        pytest.skip("nvcc is not installed")
    return path


def output_of(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout


@pytest.mark.slow
def test_the_library_for_cuda_compiles_and_has_the_cpu_kernels_too(tmp_path: Path) -> None:
    nvcc()
    library = build.build("cuda", tmp_path)
    values = random_values((197, 767), "float32")
    got = run(open_session(model(SKIP_RMS, "float32"), library), values, "float32")
    assert np.array_equal(got["sum"], expected_sum(SKIP_RMS, values, "float32"))
    np.testing.assert_allclose(got["Y"], expected_y(SKIP_RMS, values, "float32"), rtol=5e-7)


@pytest.mark.slow
def test_the_kernels_compute_their_formula_on_the_host(tmp_path: Path) -> None:
    """No GPU needed: the threads of a block take turns (cuda_on_host/cuda_runtime.h)."""
    compiler = build.find_compiler()
    assert compiler is not None
    harness = tmp_path / "harness"
    sanitizers = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    flags = ["-std=c++17", "-O1", "-g", *sanitizers]
    if platform.machine() == "x86_64":
        flags.append("-mf16c")
    includes = [f"-I{HERE / 'cuda_on_host'}", f"-I{build.SOURCES}"]
    sources = ["-DGRAPHOPT_ON_HOST", "-x", "c++", *map(str, CUDA_SOURCES)]
    output_of(compiler, *flags, *includes, *sources, "-o", harness)
    assert "0 of 2400 cases wrong" in output_of(harness)


@pytest.mark.slow
def test_the_kernels_compute_their_formula_on_a_gpu(tmp_path: Path) -> None:
    harness = tmp_path / "harness"
    nvcc()
    output_of(*build.nvcc_command(), *map(str, CUDA_SOURCES), "-o", harness)
    done = subprocess.run([harness], capture_output=True, text=True, check=False)
    if done.returncode == 2:
        pytest.skip(f"the harness compiles; {done.stderr.strip()}")
    print(done.stdout)
    assert done.returncode == 0, done.stdout
