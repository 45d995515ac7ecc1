"""Names what a measurement was taken on, without which its figures say nothing."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import platform
from pathlib import Path

from graphopt.runtime.sessions import ort_version

__all__ = ["Environment", "describe_environment", "processor"]


@dataclasses.dataclass(frozen=True)
class Environment:
    """Machine and software of a measurement. ``str`` gives it on one line.

    Attributes:
        processor: Model of the CPU.
        threads: Intra-op threads of each session.
        provider: Execution provider that the session really runs on first.
        onnxruntime: Version of ONNX Runtime.
        graphopt: Version of graphopt.
    """

    processor: str
    threads: int
    provider: str
    onnxruntime: str
    graphopt: str

    def __str__(self) -> str:
        threads = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        return (
            f"{self.processor}, {threads}, ONNX Runtime {self.onnxruntime} ({self.provider}), "
            f"graphopt {self.graphopt}"
        )


def describe_environment(provider: str, *, threads: int) -> Environment:
    """Returns the environment of sessions with this provider and this many intra-op threads."""
    return Environment(
        processor=processor(),
        threads=threads,
        provider=provider,
        onnxruntime=ort_version(),
        graphopt=importlib.metadata.version("graphopt"),
    )


def processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Model of the CPU."""
    # platform.processor() is empty or only the architecture on Linux.
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()
