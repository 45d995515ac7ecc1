"""Builds the kernel libraries: ``python -m graphopt.native.build [cpu] [cuda] [--here]``.

``--here`` leaves out the instruction sets that this processor does not use, which takes a third of
the time: a library to try graphopt with, and for no other machine.

Needs g++ or clang++, and for CUDA nvcc; nothing of ONNX Runtime. Installing graphopt runs the same
code, so this file imports the standard library alone.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

__all__ = [
    "BuildFailure",
    "build",
    "find_compiler",
    "find_nvcc",
    "instruction_set_here",
    "library_name",
    "main",
    "nvcc_command",
]

SOURCES = Path(__file__).parent

# No -march: what not every processor of an architecture has is in the files named below.
_FLAGS = [
    *("-std=c++17", "-O2", "-fPIC", "-fvisibility=hidden", "-fno-exceptions", "-fno-rtti"),
    *("-ffp-contract=fast", "-fno-math-errno"),
    *("-Wall", "-Wextra", "-Wno-psabi", "-Wno-ignored-attributes"),
]
_AVX2 = ["-mavx2", "-mfma", "-mf16c"]
_AVX512 = [*_AVX2, "-mavx512f", "-mavx512vl", "-mavx512bw", "-mavx512dq"]
_FILES = ("library.cpp", "operators.cpp", "instruction_sets.cpp")
_X86_64 = {"avx2": _AVX2, "avx512": _AVX512}
# What Linux calls what instruction_sets.cpp asks the processor for.
_NEEDS = {
    "avx512": {"avx2", "fma", "avx512f", "avx512vl", "avx512bw", "avx512dq"},
    "avx2": {"avx2", "fma"},
}
_HOST_FLAGS = "-Xcompiler=-fPIC,-fvisibility=hidden,-Wall,-Wextra"  # of what nvcc compiles
_SUFFIXES = (".h", ".cpp", ".cu", ".py")
# Code for T4 and RTX 20, for A100, for L4 and RTX 40, for H100, and what the driver compiles for
# anything newer.
_GPUS = (
    "-gencode=arch=compute_75,code=sm_75",
    "-gencode=arch=compute_80,code=sm_80",
    "-gencode=arch=compute_89,code=sm_89",
    "-gencode=arch=compute_90,code=[sm_90,compute_90]",
)


class BuildFailure(Exception):
    """A compiler is missing, or failed; the message has what it printed."""


def library_name(provider: str) -> str:
    """File name of the library for ``cpu`` or ``cuda``."""
    return f"libgraphopt_{provider}.{'dylib' if sys.platform == 'darwin' else 'so'}"


def find_compiler() -> str | None:
    """The C++ compiler: that of the environment variable CXX, g++ or clang++; None without one."""
    names = (os.environ.get("CXX"), "g++", "clang++")
    return next((path for name in names if name and (path := shutil.which(name))), None)


def find_nvcc() -> str | None:
    """The CUDA compiler, on the PATH or in CUDA_HOME; None without one."""
    home = os.environ.get("CUDA_HOME", "/usr/local/cuda")
    return shutil.which("nvcc") or shutil.which("nvcc", path=str(Path(home, "bin")))


def build(
    provider: str,
    directory: Path = SOURCES,
    *,
    flags: Sequence[str] = (),
    only_if_changed: bool = False,
    instruction_set: str | None = None,
) -> Path:
    """Builds one library.

    Args:
        provider: ``cpu``, or ``cuda`` for a library that has the kernels of both.
        directory: Where the library appears, complete or not at all.
        flags: Further flags to compile and link C++ with, for example those of a sanitizer.
        only_if_changed: Keep a library that is newer than its sources.
        instruction_set: Build the kernels for the CPU with this one alone: ``avx512``, ``avx2`` or
            ``baseline``; with all of the architecture by default.

    Returns:
        The path of the library.

    Raises:
        BuildFailure: A compiler is missing, or failed.
    """
    target = directory / library_name(provider)
    if only_if_changed and target.exists() and target.stat().st_mtime > _last_change():
        return target
    compiler = _require_compiler()
    with tempfile.TemporaryDirectory() as temporary:
        library = Path(temporary, target.name)
        if provider == "cuda":
            rows = str(Path(temporary, "cuda_rows.o"))
            commands = [
                [*nvcc_command(), _HOST_FLAGS, "-c", str(SOURCES / "cuda_rows.cu"), "-o", rows],
                *_compile(compiler, ["-DGRAPHOPT_CUDA", *flags], Path(temporary), instruction_set),
            ]
            # The CUDA runtime is linked in, and hidden from that of ONNX Runtime.
            link = [*nvcc_command(), "-shared", "-cudart=static"]
            link += ["-Xlinker=--exclude-libs=ALL", *(f"-Xcompiler={flag}" for flag in flags)]
        else:
            commands = _compile(compiler, flags, Path(temporary), instruction_set)
            as_needed = [] if sys.platform == "darwin" else ["-Wl,--as-needed"]
            link = [compiler, "-shared", *as_needed, *flags]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(_run, commands))
        _run([*link, *(command[-1] for command in commands), "-o", str(library)])
        directory.mkdir(parents=True, exist_ok=True)
        partial = directory / f".{target.name}.{os.getpid()}"
        shutil.copy(library, partial)
        partial.replace(target)
    return target


def nvcc_command(gpus: Sequence[str] = _GPUS) -> list[str]:
    """nvcc with the options for CUDA sources; its host compiler is that of the C++ sources.

    Args:
        gpus: The options that name the GPUs to compile for, which it does side by side.

    Raises:
        BuildFailure: There is no nvcc, or no C++ compiler.
    """
    nvcc = find_nvcc()
    if nvcc is None:
        raise BuildFailure("there is no nvcc: install the CUDA toolkit, or set CUDA_HOME")
    return [nvcc, "-std=c++17", "-O3", "--threads=0", f"-ccbin={_require_compiler()}", *gpus]


def _require_compiler() -> str:
    compiler = find_compiler()
    if compiler is None:
        raise BuildFailure("there is no C++ compiler: install g++ or clang++, or name one in CXX")
    return compiler


def _last_change() -> float:
    return max(path.stat().st_mtime for path in SOURCES.iterdir() if path.suffix in _SUFFIXES)


def instruction_set_here(processor: Path = Path("/proc/cpuinfo")) -> str | None:
    """The instruction set that the kernels use on this processor; None where that is not known.

    Args:
        processor: Where Linux says what the processor has.
    """
    if not processor.exists():
        return None
    lines = processor.read_text(errors="replace").splitlines()
    flags = next((set(line.split()) for line in lines if line.startswith("flags")), None)
    if flags is None:
        return None
    return next((name for name, needs in _NEEDS.items() if needs <= flags), "baseline")


def _compile(
    compiler: str, flags: Sequence[str], directory: Path, instruction_set: str | None
) -> list[list[str]]:
    """The commands that compile C++. The last word of a command is its output."""
    sets: dict[str, list[str]] = {"baseline": []}
    if _run([compiler, "-dumpmachine"]).startswith("x86_64"):
        sets |= _X86_64
    only = []
    if instruction_set in sets and len(sets) > 1:
        sets = {instruction_set: sets[instruction_set]}
        only = [f"-DGRAPHOPT_ONLY_{instruction_set.upper()}"]
    files: dict[str, list[str]] = {name: only for name in _FILES}
    files |= {f"rows_{name}.cpp": own for name, own in sets.items()}
    return [
        [
            compiler,
            *_FLAGS,
            *own,
            *flags,
            "-c",
            str(SOURCES / name),
            "-o",
            str(directory / f"{name}.o"),
        ]
        for name, own in files.items()
    ]


def _run(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BuildFailure(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout


def main(arguments: Sequence[str]) -> None:
    """Builds the libraries of these providers beside the sources; of the CPU without any."""
    providers = [argument for argument in arguments if argument != "--here"]
    here = instruction_set_here() if "--here" in arguments else None
    for provider in providers or ["cpu"]:
        if provider not in ("cpu", "cuda"):
            sys.exit(f"unknown provider {provider!r}: choose cpu or cuda")
        try:
            print(build(provider, instruction_set=here))
        except BuildFailure as failure:
            sys.exit(str(failure))


if __name__ == "__main__":
    main(sys.argv[1:])
