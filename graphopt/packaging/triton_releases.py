"""Which release of Triton reads a model."""

from __future__ import annotations

__all__ = ["Release", "least_release"]

from typing import NamedTuple


class Release(NamedTuple):
    """A release of Triton, the first one with its ONNX Runtime.

    Attributes:
        triton: Its number.
        runtime: The version of ONNX Runtime in it.
        opset: The newest opset that this ONNX Runtime reads.
        ir: The newest version of the ONNX format that it reads.
    """

    triton: str
    runtime: str
    opset: int
    ir: int


# Versions: docs/introduction/compatibility.md of triton-inference-server/server (of 26.07). Opsets
# and formats: models of one node, tried in each release of ONNX Runtime. The list begins with the
# oldest one that graphopt is tested with, and leaves out what reads no more than the one before.
_RELEASES = (
    Release("24.12", "1.20.1", 21, 10),
    Release("25.03", "1.21.0", 22, 10),
    Release("25.09", "1.23.0", 23, 11),
    Release("26.02", "1.24.1", 25, 13),
    Release("26.07", "1.27.0", 26, 13),
)


def least_release(opset: int, ir: int) -> Release | None:
    """The oldest known release that reads a model; None where none does.

    Args:
        opset: The model's opset of the domain of ONNX.
        ir: Its version of the ONNX format.
    """
    return next((each for each in _RELEASES if opset <= each.opset and ir <= each.ir), None)
