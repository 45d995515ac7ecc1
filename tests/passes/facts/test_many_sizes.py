"""What a file declares of how many sizes there are costs neither time nor memory."""

from __future__ import annotations

import onnx_ir as ir
import pytest

from graphopt.passes.infer_shapes import InferShapes


@pytest.mark.parametrize(
    "made", ["Expand(a, n)", "Reshape(a, n)", "ConstantOfShape(n)", "Slice(a, n, n, n)"]
)
def test_as_many_sizes_as_no_tensor_has_are_none(made: str) -> None:
    """A declared length costs nothing: no symbol is made for each of 2^50 sizes."""
    model = ir.from_onnx_text(
        f"""<ir_version: 10, opset_import: ["" : 18]>
        g (float[P, 4] a, int64[{1 << 50}] n) => (float[] y) {{ r = {made} y = Neg(r) }}"""
    )
    InferShapes()(model)
    shape = model.graph.outputs[0].shape
    assert shape is None or all(str(size) not in ("P", "4") for size in shape)
