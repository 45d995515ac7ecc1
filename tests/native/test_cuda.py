"""The CUDA kernels: compiled, checked on the host, and checked and timed where there is a GPU."""

from __future__ import annotations

import os
import platform
import shutil
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
NO_DEVICE = 2  # exit code of the harness
CUDA_SOURCES = [build.SOURCES / "harness.cu", build.SOURCES / "cuda_rows.cu"]


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The harness for a GPU, compiled as the library is."""
    need_nvcc()
    path = tmp_path_factory.mktemp("cuda") / "harness"
    output_of(*build.nvcc_command(), *map(str, CUDA_SOURCES), "-o", path)
    return path


def need_nvcc() -> None:
    if build.find_nvcc() is None:
        pytest.skip("nvcc is not installed")


def output_of(*command: str | Path, skip: int | None = None) -> str:
    """What a command prints. Skips the test where it exits with a code that says so."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == skip:
        pytest.skip(f"the harness compiles; {done.stderr.strip()}")
    assert done.returncode == 0, f"{done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout + done.stderr


@pytest.mark.slow
def test_the_library_for_cuda_compiles_and_has_the_cpu_kernels_too(tmp_path: Path) -> None:
    need_nvcc()
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
    assert "0 of 7800 cases wrong" in output_of(harness)


@pytest.mark.slow
def test_the_kernels_compute_their_formula_on_a_gpu(harness: Path) -> None:
    print(output_of(harness, skip=NO_DEVICE))


@pytest.mark.slow
def test_the_kernels_touch_only_memory_that_is_theirs_on_a_gpu(harness: Path) -> None:
    nvcc = build.find_nvcc()
    assert nvcc is not None
    tools = os.pathsep.join([os.environ.get("PATH", ""), str(Path(nvcc).resolve().parent)])
    sanitizer = shutil.which("compute-sanitizer", path=tools)
    if sanitizer is None:
        pytest.skip("compute-sanitizer is not installed")
    # Asked without the sanitizer, which has exit codes of its own.
    output_of(harness, "check", skip=NO_DEVICE)
    print(output_of(sanitizer, "--error-exitcode", "1", harness, "check"))
