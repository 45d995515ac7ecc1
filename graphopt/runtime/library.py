"""The native kernels for ONNX Runtime: where the library is, and what it runs on this machine."""

from __future__ import annotations

__all__ = ["find_library", "instruction_set", "library_path"]

import ctypes
import os
from pathlib import Path

from graphopt.errors import EnvironmentFailure
from graphopt.native import build
from graphopt.passes.choices import PROVIDER
from graphopt.passes.targets import provider_named


def library_path(provider: str = PROVIDER.default) -> Path:
    """The library that ``SessionOptions.register_custom_ops_library`` takes.

    A session takes one of them: that for ``cuda`` has the kernels for the CPU too.

    Args:
        provider: ``cpu`` or ``cuda``.

    Raises:
        UsageError: The provider is neither of them.
        EnvironmentFailure: No library was built for it.
    """
    row = provider_named(provider)
    path = build.SOURCES / build.library_name(provider)
    if path.is_file():
        return path
    missing = [] if build.find_compiler() else ["g++ or clang++"]
    if row.is_device and not build.find_nvcc():
        missing.append("the CUDA toolkit")
    advice = f"install {' and '.join(missing)}, then run" if missing else "run"
    raise EnvironmentFailure(
        f"the kernels for {provider} were not built: {advice} "
        f'"python -m graphopt.native.build {provider}"'
    )


def find_library(provider: str) -> Path | None:
    """What :func:`library_path` gives, or None where no library was built."""
    try:
        return library_path(provider)
    except EnvironmentFailure:
        return None


def instruction_set(path: Path) -> str:
    """The instruction set that the CPU kernels of a library use on this machine.

    Returns:
        ``avx512``, ``avx2`` or ``baseline``.

    Raises:
        EnvironmentFailure: The library cannot be loaded or was built for another processor alone,
            or the environment variable GRAPHOPT_INSTRUCTION_SET names an instruction set that this
            processor or this library does not have.
    """
    try:
        function = ctypes.CDLL(str(path)).GraphoptInstructionSet
    except (OSError, AttributeError) as error:
        raise EnvironmentFailure(
            f'{path}: is no library of kernels ({error}): build it, "python -m '
            'graphopt.native.build"'
        ) from error
    function.restype = ctypes.c_char_p
    name = function()
    if name is None and "GRAPHOPT_INSTRUCTION_SET" in os.environ:
        raise EnvironmentFailure(
            "GRAPHOPT_INSTRUCTION_SET names an instruction set that this processor or this library "
            "does not have: unset it"
        )
    if name is None:
        raise EnvironmentFailure(
            f"{path}: the library was built for another processor alone: build it again here, "
            '"python -m graphopt.native.build"'
        )
    return str(name.decode())
