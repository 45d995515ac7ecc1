"""What each release of ONNX Runtime reads, by the opset and the IR version of a file."""

from __future__ import annotations

__all__ = ["RELEASES", "Release", "least_release", "limits_of"]

from typing import NamedTuple


class Release(NamedTuple):
    """A release that reads more than the one before it.

    Attributes:
        version: Its number, such as ``1.20``.
        opset: The newest opset that it reads.
        ir: The newest version of the ONNX format that it reads.
    """

    version: str
    opset: int
    ir: int

    def reads(self, opset: int, ir: int) -> bool:
        """Whether it reads a file of this opset and this version of the format."""
        return opset <= self.opset and ir <= self.ir


# Models of one node were tried in each release, from the oldest that graphopt is tested with on.
RELEASES = (
    Release("1.20", 21, 10),
    Release("1.21", 22, 10),
    Release("1.23", 23, 11),
    Release("1.24", 25, 13),
    Release("1.25", 26, 13),
    Release("1.32", 28, 14),
)


def least_release(opset: int, ir: int) -> Release | None:
    """The oldest release that reads a file; None where none is known to."""
    return next((release for release in RELEASES if release.reads(opset, ir)), None)


def limits_of(version: str) -> Release:
    """The last release of the list that is no newer than ``version``, such as ``1.27.0``."""
    return [each for each in RELEASES if _numbers(each.version) <= _numbers(version)][-1]


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]
