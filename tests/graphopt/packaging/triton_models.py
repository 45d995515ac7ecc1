"""A model for Triton, and the folder that is written of one."""

from __future__ import annotations

from pathlib import Path

import onnx

from graphopt.options import Sample
from graphopt.packaging.job import PackageOptions, write_package
from graphopt.packaging.triton_options import TritonOptions
from tests.graphopt.model_files import save_inline

SMALL = Sample(dims={"batch": 2, "rows": 3})
TWO = Sample(dims={"batch": 2})
EVERYTHING = TritonOptions(4, True, 2, True, 7, "extended", "/srv/models/")
ROWS = """
<ir_version: 8, opset_import: ["" : 17]>
g (float[batch, 3] x, int64[batch] ids) => (float[batch, 3] y, float[batch] z) {
    row = Constant <value = float[3] {1, 2, 3}> ()
    scaled = Mul (x, row)
    shape = Constant <value = int64[2] {-1, 1}> ()
    column = Reshape (ids, shape)
    numbers = Cast <to = 1> (column)
    y = Add (scaled, numbers)
    z = Cast <to = 1> (ids)
}
"""
NEEDS = "Triton 24.12 or newer (ONNX Runtime 1.20.1) reads opset 17 and IR version 8"


def saved(text: str, path: Path) -> Path:
    return save_inline(onnx.parser.parse_model(text), path)


def packed(
    model: Path, output: Path, options: TritonOptions, sample: Sample = SMALL, **others: object
) -> Path:
    """The folder of the model in the repository that is written."""
    made = write_package(
        model,
        "triton",
        output,
        PackageOptions(triton=options, **others),  # type: ignore[arg-type]
        sample,
    )
    return output / made.name
