"""What tests need of the installed versions, each condition with its reason.

The releases of ONNX Runtime were found by running the same models in one release of each minor
version from 1.20 to 1.31. Tests that open no session need none of this.
"""

from __future__ import annotations

from importlib.metadata import version

import onnxruntime
import pytest
from packaging.version import Version

__all__ = [
    "FLOAT16_FUSION",
    "FUSED_TYPES",
    "fuses_float16",
    "needs_onnxruntime",
    "needs_opset",
    "needs_transformers",
    "opsets",
]

INSTALLED = Version(onnxruntime.__version__)
FLOAT16_FUSION = Version("1.23")
"""The first release that fuses RMS norms of float16 to its own kernel."""

_OPSETS = {22: "1.21", 23: "1.23"}
"""The first release for each opset; the oldest supported release has opset 21."""


def needs_onnxruntime(release: str, what: str) -> pytest.MarkDecorator:
    """Skip where the installed ONNX Runtime is older than the first that has ``what``."""
    return pytest.mark.skipif(
        Version(release) > INSTALLED,
        reason=f"{what} came with ONNX Runtime {release}; this is {INSTALLED}",
    )


def needs_transformers(release: str, what: str) -> pytest.MarkDecorator:
    """Skip where the installed transformers is older than the first that has ``what``."""
    installed = version("transformers")
    return pytest.mark.skipif(
        Version(release) > Version(installed),
        reason=f"{what} came with transformers {release}; this is {installed}",
    )


def needs_opset(opset: int) -> list[pytest.MarkDecorator]:
    """Skip where the installed ONNX Runtime is older than the opset."""
    return [needs_onnxruntime(_OPSETS[opset], f"opset {opset}")] if opset in _OPSETS else []


def opsets(*versions: int) -> list[object]:
    """Parameters of a test that runs models of these opsets."""
    return [pytest.param(opset, marks=needs_opset(opset)) for opset in versions]


fuses_float16 = needs_onnxruntime(str(FLOAT16_FUSION), "the fusion of RMS norms of float16")
FUSED_TYPES = ["float", pytest.param("float16", marks=fuses_float16)]
"""Parameters of a test that looks for the RMS kernel of ONNX Runtime."""
