"""Builds the native kernels into the package. All else is in pyproject.toml.

The environment variable GRAPHOPT_KERNELS names what is built: ``none``, ``cpu`` or ``cpu,cuda``.
Left out, the kernels for the CPU are, and those for CUDA where nvcc is installed. What cannot be
built is left out with a warning: the operators then run as ONNX functions.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import ClassVar

from setuptools import Command, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build import build

ROOT = Path(__file__).parent
sys.path.insert(0, str(ROOT))

from graphopt.native import build as kernels  # noqa: E402


class BuildKernels(Command):
    """Builds the libraries of kernels; in place for an editable installation."""

    description = "build the native kernels"
    user_options: ClassVar[list[tuple[str, str, str]]] = []
    editable_mode = False

    def initialize_options(self) -> None:
        self.build_lib: str | None = None
        self.libraries: list[str] = []

    def finalize_options(self) -> None:
        self.set_undefined_options("build_py", ("build_lib", "build_lib"))

    def run(self) -> None:
        if self.editable_mode:
            directory = kernels.SOURCES
        else:
            directory = Path(str(self.build_lib), "graphopt", "native")
        for provider in self.providers():
            try:
                path = kernels.build(provider, directory, only_if_changed=self.editable_mode)
            except kernels.BuildFailure as failure:
                self.warn(f"installing without native kernels for {provider}: {failure}")
            else:
                self.libraries.append(str(path))

    @staticmethod
    def providers() -> list[str]:
        wanted = os.environ.get("GRAPHOPT_KERNELS")
        if wanted is None:
            return ["cpu", "cuda"] if kernels.find_nvcc() else ["cpu"]
        return [] if wanted == "none" else wanted.split(",")

    def get_outputs(self) -> list[str]:
        return self.libraries

    def get_output_mapping(self) -> dict[str, str]:
        return {}

    def get_source_files(self) -> list[str]:
        return []  # they are package data


class Build(build):
    """Builds the Python modules, then the kernels."""

    sub_commands: ClassVar = [*build.sub_commands, ("build_kernels", None)]


class Wheel(bdist_wheel):
    """A wheel with a library is for one platform, and for every Python there."""

    def run(self) -> None:
        self.run_command("build")
        if self.get_finalized_command("build_kernels").libraries:
            self.root_is_pure = False
            # What setuptools asks to learn whether files go to the place for one platform.
            self.distribution.has_ext_modules = lambda: True
        super().run()

    def get_tag(self) -> tuple[str, str, str]:
        return ("py3", "none", super().get_tag()[2])


setup(cmdclass={"build": Build, "build_kernels": BuildKernels, "bdist_wheel": Wheel})
