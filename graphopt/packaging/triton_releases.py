"""Which release of Triton reads a model."""

from __future__ import annotations

__all__ = ["Release", "least_release"]

from typing import NamedTuple

from graphopt.runtime.releases import limits_of


class Release(NamedTuple):
    """A release of Triton, the first one with its ONNX Runtime.

    Attributes:
        triton: Its number.
        runtime: The version of ONNX Runtime in it.
    """

    triton: str
    runtime: str


# From docs/introduction/compatibility.md of triton-inference-server/server (of 26.07). The list
# leaves out what reads no more than the one before.
_RELEASES = (
    Release("24.12", "1.20.1"),
    Release("25.03", "1.21.0"),
    Release("25.09", "1.23.0"),
    Release("26.02", "1.24.1"),
    Release("26.07", "1.27.0"),
)


def least_release(opset: int, ir: int) -> Release | None:
    """The oldest known release that reads a model; None where none does.

    Args:
        opset: The model's opset of the domain of ONNX.
        ir: Its version of the ONNX format.
    """
    return next((each for each in _RELEASES if limits_of(each.runtime).reads(opset, ir)), None)
