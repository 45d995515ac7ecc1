"""The release of Triton that a model needs."""

from __future__ import annotations

import pytest

from graphopt.packaging.triton_releases import least_release


@pytest.mark.parametrize(
    ("opset", "ir", "triton"),
    [
        (17, 8, "24.12"),
        (21, 10, "24.12"),
        (22, 10, "25.03"),
        (21, 11, "25.09"),
        (23, 10, "25.09"),
        (24, 10, "26.02"),
        (25, 13, "26.02"),
        (26, 10, "26.07"),
        (27, 10, None),
        (17, 14, None),
    ],
)
def test_the_least_release_is_the_first_that_reads_opset_and_format(
    opset: int, ir: int, triton: str | None
) -> None:
    release = least_release(opset, ir)
    assert (release.triton if release else None) == triton
