"""What releases of ONNX Runtime read: one table, and the installed release does as it says."""

from __future__ import annotations

import re

import onnx
import onnxruntime
import pytest

from graphopt.runtime.releases import RELEASES, least_release, limits_of
from tests.pages import ROOT


@pytest.mark.parametrize(
    ("opset", "ir", "version"),
    [
        (1, 3, "1.20"),
        (21, 10, "1.20"),
        (22, 10, "1.21"),
        (21, 11, "1.23"),
        (24, 10, "1.24"),
        (25, 13, "1.24"),
        (26, 10, "1.25"),
        (27, 10, "1.32"),
        (17, 14, "1.32"),
        (29, 10, None),
        (17, 15, None),
    ],
)
def test_the_least_release_is_the_first_that_reads_opset_and_format(
    opset: int, ir: int, version: str | None
) -> None:
    release = least_release(opset, ir)
    assert (release.version if release else None) == version


@pytest.mark.parametrize(
    ("version", "last"),
    [
        ("1.20.1", "1.20"),
        ("1.22.1", "1.21"),
        ("1.23", "1.23"),
        ("1.31.1", "1.25"),
        ("1.40.0", "1.32"),
    ],
)
def test_a_version_reads_what_the_last_release_before_it_reads(version: str, last: str) -> None:
    assert limits_of(version).version == last


def opens(opset: int, ir: int) -> bool:
    model = onnx.parser.parse_model(
        f'<ir_version: {ir}, opset_import: ["" : {opset}]> g (float[2] x) => (float[2] y) '
        "{ y = Neg (x) }"
    )
    try:
        onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    except onnxruntime.capi.onnxruntime_pybind11_state.Fail:
        return False
    return True


def test_the_installed_release_reads_up_to_its_limits() -> None:
    limits = limits_of(onnxruntime.__version__)
    assert opens(limits.opset, limits.ir)
    assert not opens(limits.opset + 1, limits.ir)
    assert not opens(limits.opset, limits.ir + 1)


def test_the_page_has_the_table() -> None:
    page = (ROOT / "docs" / "runtimes.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (1\.\d+).* \| (\d+) \| (\d+) \|$", page, re.MULTILINE)
    assert rows == [(each.version, str(each.opset), str(each.ir)) for each in RELEASES]
