"""Building the library: with an installation, without a compiler, and what it depends on."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from graphopt.errors import EnvironmentFailure
from graphopt.native import build
from graphopt.runtime.library import instruction_set
from tests.native.operator_models import RMS, model, open_session

ROOT = Path(__file__).parents[2]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A copy of what is installed, without libraries that were built in place."""
    copy = tmp_path / "source"
    copy.mkdir()
    ignore = shutil.ignore_patterns("__pycache__", "*.so", "*.dylib")
    for name in ("graphopt", "passes", "models"):
        shutil.copytree(ROOT / name, copy / name, symlinks=True, ignore=ignore)
    for name in ("LICENSE", "README.md", "pyproject.toml", "setup.py"):
        shutil.copy(ROOT / name, copy / name)
    return copy


def wheel(source: Path, environment: dict[str, str]) -> Path:
    """Builds a wheel and returns its path."""
    target = source.parent / "wheel"
    code = f"import setuptools.build_meta as b; b.build_wheel({str(target)!r})"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=source,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return next(target.iterdir())


def install(wheel: Path) -> Path:
    """Installs a wheel into a directory of its own."""
    target = wheel.parents[1] / "site"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    subprocess.run([*pip, "--no-deps", "--no-index", "--target", target, wheel], check=True)
    return target


def library_path_in(site: Path) -> subprocess.CompletedProcess[str]:
    code = (
        "from graphopt.runtime.library import *; p = library_path(); print(p, instruction_set(p))"
    )
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=site,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_a_wheel_carries_the_library_for_one_platform_and_every_python(source: Path) -> None:
    built = wheel(source, {"GRAPHOPT_KERNELS": "cpu"})
    platform = re.sub(r"[-.]", "_", sysconfig.get_platform())
    assert built.name.endswith(f"-py3-none-{platform}.whl")
    with zipfile.ZipFile(built) as archive:
        names = archive.namelist()
        metadata = archive.read(next(name for name in names if name.endswith("/WHEEL"))).decode()
    assert f"graphopt/native/{build.library_name('cpu')}" in names
    assert "Root-Is-Purelib: false" in metadata
    site = install(built)
    printed = library_path_in(site).stdout.split()
    assert printed[0] == str(site / "graphopt" / "native" / build.library_name("cpu"))
    assert printed[1] in ("avx512", "avx2", "baseline")


@pytest.mark.parametrize("kind", ["none", "broken"])
def test_without_a_compiler_that_works_the_package_is_installed_without_kernels(
    kind: str, source: Path, tmp_path: Path
) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    if kind == "broken":
        (tools / "g++").write_text("#!/bin/sh\necho no licence >&2\nexit 1\n")
        (tools / "g++").chmod(0o755)
    environment = {"PATH": str(tools), "CXX": "", "CUDA_HOME": str(tools)}
    built = wheel(source, environment)
    assert built.name.endswith("-py3-none-any.whl")
    done = library_path_in(install(built))
    assert "the kernels for cpu were not built" in done.stderr


def test_nothing_is_built_that_was_not_asked_for(source: Path) -> None:
    assert wheel(source, {"GRAPHOPT_KERNELS": "none"}).name.endswith("-py3-none-any.whl")


def test_a_library_that_is_newer_than_its_sources_is_kept(tmp_path: Path) -> None:
    library = tmp_path / build.library_name("cpu")
    library.write_bytes(b"built before")
    assert build.build("cpu", tmp_path, only_if_changed=True) == library
    assert library.read_bytes() == b"built before"


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("sse2 avx avx2 fma f16c avx512f avx512vl avx512bw avx512dq", "avx512"),
        ("sse2 avx avx2 fma f16c avx512f", "avx2"),
        ("sse2 avx avx2 f16c", "baseline"),
    ],
)
def test_the_instruction_set_of_a_processor(tmp_path: Path, flags: str, expected: str) -> None:
    described = tmp_path / "cpuinfo"
    described.write_text(
        f"processor\t: 0\nflags\t\t: {flags}\nbogomips\t: 4890\n\nprocessor\t: 1\n"
    )
    assert build.instruction_set_here(described) == expected
    described.write_text("processor\t: 0\nFeatures\t: fp asimd\n")
    assert build.instruction_set_here(described) is None
    assert build.instruction_set_here(tmp_path / "missing") is None


@pytest.mark.slow
@pytest.mark.skipif(build.instruction_set_here() is None, reason="does not say what it has")
def test_a_library_for_this_processor_alone_has_its_kernels_and_no_others(
    tmp_path: Path, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GRAPHOPT_INSTRUCTION_SET", raising=False)
    here = build.instruction_set_here()
    assert here == instruction_set(library)
    built = build.build("cpu", tmp_path, instruction_set=here)
    assert instruction_set(built) == here
    assert built.stat().st_size < library.stat().st_size / 1.5
    others = {"avx512", "avx2", "baseline"} - {here}
    for other in sorted(others):
        monkeypatch.setenv("GRAPHOPT_INSTRUCTION_SET", other)
        with pytest.raises(
            EnvironmentFailure, match="this processor or this library does not have"
        ):
            instruction_set(built)


@pytest.mark.slow
@pytest.mark.skipif(
    build.instruction_set_here() not in ("avx2", "baseline"),
    reason="needs a processor that lacks one",
)
def test_a_library_for_another_processor_says_to_build_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GRAPHOPT_INSTRUCTION_SET", raising=False)
    built = build.build("cpu", tmp_path, instruction_set="avx512")
    with pytest.raises(
        EnvironmentFailure, match="for another processor alone: build it again here"
    ):
        instruction_set(built)
    with pytest.raises(Exception, match="for another processor alone; build it here"):
        open_session(model(RMS, "float32"), built)


def test_a_build_that_fails_says_what_the_compiler_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(build.BuildFailure, match="no-such-flag"):
        build.build("cpu", tmp_path, flags=["-no-such-flag"])
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(build, "find_nvcc", lambda: None)
    with pytest.raises(build.BuildFailure, match="there is no nvcc: install the CUDA toolkit"):
        build.build("cuda", tmp_path)


def test_cuda_is_compiled_with_the_compiler_of_the_other_sources(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(build, "find_nvcc", lambda: "/cuda/nvcc")
    monkeypatch.setattr(build, "find_compiler", lambda: "/bin/g++-13")
    command = build.nvcc_command()
    assert command[0] == "/cuda/nvcc"
    assert "-ccbin=/bin/g++-13" in command
    monkeypatch.setattr(build, "find_compiler", lambda: None)
    with pytest.raises(build.BuildFailure, match=r"there is no C\+\+ compiler"):
        build.nvcc_command()


@pytest.mark.skipif(sys.platform != "linux", reason="reads ELF files")
def test_the_library_needs_the_c_library_alone_and_exports_two_functions(library: Path) -> None:
    listed = subprocess.run(["objdump", "-pT", library], capture_output=True, text=True, check=True)
    assert re.findall(r"NEEDED\s+(\S+)", listed.stdout) == ["libc.so.6"]
    exported = re.findall(r"g\s+DF .text\S*\s+\S+\s+Base\s+(\S+)", listed.stdout)
    assert sorted(exported) == ["GraphoptInstructionSet", "RegisterCustomOps"]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="preloads the runtime of the sanitizer")
def test_the_kernels_touch_only_memory_that_is_theirs(tmp_path: Path) -> None:
    """The tests of this directory once more, with AddressSanitizer and UBSan."""
    compiler = build.find_compiler()
    assert compiler is not None
    sanitizers = "-fsanitize=address,undefined -fno-sanitize=vptr -fno-sanitize-recover=all"
    library = build.build("cpu", tmp_path, flags=[*sanitizers.split(), "-O1", "-g"])
    preloaded = [
        subprocess.run(
            [compiler, f"-print-file-name={name}"], capture_output=True, text=True, check=True
        ).stdout.strip()
        for name in ("libasan.so", "libubsan.so", "libstdc++.so.6")
    ]
    environment = {
        **os.environ,
        "GRAPHOPT_TEST_LIBRARY": str(library),
        "LD_PRELOAD": ":".join(preloaded),
        # Python keeps memory until it exits; ONNX Runtime throws through functions of its own.
        "ASAN_OPTIONS": "detect_leaks=0",
        "PYTHONMALLOC": "malloc",
    }
    tests = [f"tests/native/test_{name}.py" for name in ("operators", "graphs", "refusals")]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
