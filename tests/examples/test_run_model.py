"""The programs of examples/ that run a model: built, run, and compared with ONNX Runtime here."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

import graphopt
from graphopt.native.build import find_compiler
from graphopt.runtime.library import find_library
from tests.graphopt.model_files import block, save_external
from tests.pages import ROOT
from tests.versions.node_environments import node_with

SIZES = (1, 3, 40)
NODE = "onnxruntime-node@1.30.0"
PROGRAM = ROOT / "examples" / "run_model.cpp"
SCRIPT = ROOT / "examples" / "run_model.mjs"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = find_compiler()
    if compiler is None:
        pytest.skip("there is no C++ compiler")
    built = tmp_path_factory.mktemp("program") / "run_model"
    flags = ("-std=c++17", "-O2", "-Wall", "-Wextra", "-Werror")
    subprocess.run([compiler, *flags, PROGRAM, "-o", built, "-ldl"], check=True)
    return built


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    source = save_external(block(), folder / "block.onnx")
    graphopt.optimize(source, output=folder / "fast.onnx", dims={"batch": 1, "rows": 3})
    return folder / "fast.onnx"


def runtime() -> Path:
    """The library that comes with the Python package of ONNX Runtime."""
    found = list(Path(onnxruntime.__file__).parent.glob("capi/libonnxruntime.so.*"))
    if not found:
        pytest.skip("this build of ONNX Runtime has no library beside its Python module")
    return found[0]


def kernels() -> Path:
    found = find_library("cpu")
    if found is None:
        pytest.skip("the kernels were not built")
    return found


def expected(model: Path) -> np.ndarray:
    entries = (np.arange(np.prod(SIZES)) % 7 - 3).astype(np.float32).reshape(SIZES)
    (found,) = onnxruntime.InferenceSession(str(model)).run(["y"], {"x": entries})
    return np.asarray(found)


def ran(
    *command: Path | str, folder: Path | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def check(printed: str, model: Path) -> None:
    head, _, numbers = printed.splitlines()[-1].partition(":")
    assert head.split() == ["y", *map(str, SIZES)]
    found = np.array(numbers.split(), np.float32).reshape(SIZES)
    np.testing.assert_allclose(found, expected(model), rtol=1e-4, atol=1e-5)


TEXT = ",".join(map(str, SIZES))


def test_a_program_runs_the_model_with_and_without_the_kernels(program: Path, model: Path) -> None:
    for library in ((), (kernels(),)):
        done = ran(program, runtime(), model, TEXT, *library)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(f"ONNX Runtime {onnxruntime.__version__}\n")
        check(done.stdout, model)


def test_the_kernels_take_part_where_they_are_registered(program: Path, model: Path) -> None:
    """They refuse an instruction set that there is not; the bodies know nothing of it."""
    unknown = {"GRAPHOPT_INSTRUCTION_SET": "none"}
    without = ran(program, runtime(), model, TEXT, **unknown)
    assert without.returncode == 0
    done = ran(program, runtime(), model, TEXT, kernels(), **unknown)
    assert done.returncode == 1
    assert "GRAPHOPT_INSTRUCTION_SET is 'none'" in done.stderr


def test_what_is_wrong_is_said_in_one_line(program: Path, model: Path, tmp_path: Path) -> None:
    cases: list[tuple[tuple[Path | str, ...], str]] = [
        ((), "give LIBONNXRUNTIME MODEL SIZES"),
        ((tmp_path / "no.so", model, TEXT), "no.so: cannot open shared object file"),
        (("libm.so.6", model, TEXT), "libm.so.6 is no ONNX Runtime"),
        ((runtime(), tmp_path / "no.onnx", TEXT), "no.onnx"),
        ((runtime(), model, "1,x,40"), "write sizes as 1,3,224,224"),
        ((runtime(), model, "1,3,41"), "index: 2 Got: 41 Expected: 40"),
        ((runtime(), model, TEXT, tmp_path / "no.so"), "no.so"),
    ]
    for arguments, said in cases:
        done = ran(program, *arguments)
        assert done.returncode == 1
        assert done.stderr.startswith("run_model: ")
        assert said in done.stderr


@pytest.mark.slow
def test_a_program_opens_another_release_and_a_script_runs_the_bodies(
    program: Path, model: Path, tmp_path: Path
) -> None:
    modules = node_with("onnxruntime", NODE) / "node_modules"
    (library,) = modules.glob("onnxruntime-node/bin/napi-v*/linux/x64/libonnxruntime.so.1")
    done = ran(program, library, model, TEXT, kernels())
    assert done.stdout.startswith("ONNX Runtime 1.30.0\n"), done.stderr
    check(done.stdout, model)
    (tmp_path / "node_modules").symlink_to(modules)
    (tmp_path / SCRIPT.name).write_bytes(SCRIPT.read_bytes())
    done = ran("node", SCRIPT.name, model, TEXT, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    check(done.stdout, model)
    assert ran("node", SCRIPT.name, model, "1,x", folder=tmp_path).returncode == 1
