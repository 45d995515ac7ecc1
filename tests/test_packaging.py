"""What is published: a wheel and an sdist that hold graphopt and nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path, PurePosixPath

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
PUBLISHED = ["LICENSE", "README.md", "graphopt", "models", "passes", "pyproject.toml", "setup.py"]
SOURCES = (".h", ".cpp", ".cu")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def build(source: Path, kind: str, out: Path) -> Path:
    """Builds a ``wheel`` or an ``sdist`` from a source tree, which is written to.

    Without native kernels, which tests/native/test_build.py is about.
    """
    code = f"import setuptools.build_meta as b; b.build_{kind}({str(out)!r})"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=source,
        env={**os.environ, "GRAPHOPT_KERNELS": "none"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return next(out.iterdir())


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what is published, symbolic links kept, so that building leaves the tree clean."""
    copy = tmp_path_factory.mktemp("source")
    for name in PUBLISHED:
        if (ROOT / name).is_dir():
            ignore = shutil.ignore_patterns("__pycache__", "*.so", "*.dylib")
            shutil.copytree(ROOT / name, copy / name, symlinks=True, ignore=ignore)
        else:
            shutil.copy(ROOT / name, copy / name)
    return copy


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(source, "wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def sdist(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(source, "sdist", tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def unpacked(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory that the sdist holds."""
    target = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(sdist) as archive:
        archive.extractall(target, filter="data")
    return next(target.iterdir())


def modules_of_the_tree() -> set[str]:
    """The Python files of the three source folders, where the package has them."""
    folders = {"graphopt": "graphopt", "passes": "graphopt/passes", "models": "graphopt/models"}
    return {
        str(PurePosixPath(package, *file.relative_to(ROOT / folder).parts))
        for folder, package in folders.items()
        for file in (ROOT / folder).rglob("*.py")
        if not any(
            (ROOT / folder / part).is_symlink() for part in file.relative_to(ROOT / folder).parts
        )
    }


def sources_of_the_kernels() -> set[str]:
    native = ROOT / "graphopt" / "native"
    return {f"graphopt/native/{path.name}" for path in native.iterdir() if path.suffix in SOURCES}


def files_of_the_wheel(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def test_the_wheel_holds_exactly_graphopt_with_all_its_modules(wheel: Path) -> None:
    data = {"graphopt/py.typed"} | sources_of_the_kernels()
    assert files_of_the_wheel(wheel) == modules_of_the_tree() | data


def test_the_wheel_carries_its_licence_and_its_command(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        texts = {
            PurePosixPath(name).name: archive.read(name).decode()
            for name in archive.namelist()
            if ".dist-info/" in name
        }
    assert "Apache License" in texts["LICENSE"]
    assert "License-Expression: Apache-2.0" in texts["METADATA"]
    assert "graphopt = graphopt.cli:main" in texts["entry_points.txt"]


def test_the_sdist_builds_the_same_wheel(unpacked: Path, wheel: Path, tmp_path: Path) -> None:
    assert not (unpacked / "passes").exists()
    assert not (unpacked / "models").exists()
    again = build(unpacked, "wheel", tmp_path)
    assert files_of_the_wheel(again) == files_of_the_wheel(wheel)


def test_the_installed_wheel_is_complete_and_alone(wheel: Path, tmp_path: Path) -> None:
    target = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    options = ["--quiet", "--no-deps", "--no-index", "--target", str(target)]
    subprocess.run([*pip, "install", *options, str(wheel)], check=True)
    installed = {path.name for path in target.iterdir() if path.suffix != ".dist-info"}
    assert installed == {"bin", "graphopt"}
    names = sorted(
        file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for file in files_of_the_wheel(wheel)
        if file.startswith("graphopt/passes/")
    )
    code = "\n".join(["import graphopt", *(f"import {name}" for name in names)])
    code += "\nprint(graphopt.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(target)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).is_relative_to(target)


def requirements() -> list[Requirement]:
    extras = PROJECT["optional-dependencies"].values()
    texts = [*PROJECT["dependencies"], *(text for extra in extras for text in extra)]
    return [Requirement(text) for text in texts]


@pytest.mark.parametrize("requirement", requirements(), ids=lambda requirement: requirement.name)
def test_every_dependency_has_a_lower_bound_and_a_pin_above_it(requirement: Requirement) -> None:
    assert [clause.operator for clause in requirement.specifier] == [">="]
    if requirement.name == "onnxruntime-gpu":
        return  # Development happens with the CPU package; the two never share an environment.
    assert requirement.specifier.contains(pins()[requirement.name])


def pins() -> dict[str, str]:
    """The pinned versions; a line that is not a plain pin fails."""
    lines = (ROOT / "constraints-dev.txt").read_text().splitlines()
    entries = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {name: version for name, version in entries}


def test_no_extra_brings_both_packages_of_onnx_runtime() -> None:
    for texts in PROJECT["optional-dependencies"].values():
        names = {Requirement(text).name for text in texts}
        assert not {"onnxruntime", "onnxruntime-gpu"} <= names


def test_make_help_lists_every_task() -> None:
    phony = next(
        line for line in (ROOT / "Makefile").read_text().splitlines() if line.startswith(".PHONY:")
    )
    # A make that runs these tests would have this one speak of directories.
    environment = {name: value for name, value in os.environ.items() if "MAKE" not in name}
    make = ["make", "help"]
    listed = subprocess.run(
        make, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    tasks = [line.split()[1] for line in listed.stdout.splitlines()]
    assert tasks == phony.removeprefix(".PHONY:").split()
