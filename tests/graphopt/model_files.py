"""A small Pre-LN model and the ways to put it on disk."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

WIDTH = 40
"""Features of the residual stream: a square weight is larger than what is kept in memory."""

PRE_NORM_BLOCK = """
<ir_version: 8, opset_import: ["" : 17], producer_name: "exporter">
block (float[batch, rows, 40] x) => (float[batch, rows, 40] y) {
    embedded = MatMul (x, embedding)
    stream = Add (embedded, position)
    normed = LayerNormalization <axis = -1> (stream, gamma_1, beta_1)
    hidden = MatMul (normed, weight_1)
    biased = Add (hidden, bias_1)
    active = Relu (biased)
    written = MatMul (active, weight_2)
    residual = Add (stream, written)
    final = LayerNormalization <axis = -1> (residual, gamma_2, beta_2)
    y = MatMul (final, head)
}
"""

_SHAPES = {
    "embedding": (WIDTH, WIDTH),
    "position": (WIDTH,),
    "gamma_1": (WIDTH,),
    "beta_1": (WIDTH,),
    "weight_1": (WIDTH, WIDTH),
    "bias_1": (WIDTH,),
    "weight_2": (WIDTH, WIDTH),
    "gamma_2": (WIDTH,),
    "beta_2": (WIDTH,),
    "head": (WIDTH, WIDTH),
}


def block(text: str = PRE_NORM_BLOCK) -> onnx.ModelProto:
    """The model of ``text`` with random weights for those of its names that nothing produces."""
    model = onnx.parser.parse_model(text)
    model.doc_string = "a block"
    for node in model.graph.node:
        node.ClearField("domain")  # the parser writes "" where exporters write nothing
    rng = np.random.default_rng(0)
    for name, shape in _SHAPES.items():
        values = rng.normal(size=shape) + (1.0 if name.startswith("gamma") else 0.1)
        array = (values * WIDTH**-0.5 if len(shape) == 2 else values).astype(np.float32)
        model.graph.initializer.append(numpy_helper.from_array(array, name))
    return model


def save_inline(model: onnx.ModelProto, path: Path) -> Path:
    path.write_bytes(model.SerializeToString())
    return path


def save_external(model: onnx.ModelProto, path: Path) -> Path:
    """Save with every weight of 100 bytes or more in ``path``.data."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    onnx.save(
        copy,
        path,
        save_as_external_data=True,
        location=path.name + ".data",
        size_threshold=100,
        convert_attribute=True,
    )
    return path


def weights(path: Path) -> dict[str, np.ndarray]:
    """Every initializer of the main graph, read by the onnx package."""
    return {t.name: numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer}


def snapshot(directory: Path) -> dict[str, str]:
    """Digest of every file under ``directory``."""
    return {
        str(file.relative_to(directory)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(directory.rglob("*"))
        if file.is_file()
    }


def initializer(model: onnx.ModelProto, name: str) -> TensorProto:
    return next(tensor for tensor in model.graph.initializer if tensor.name == name)


def point_to(tensor: TensorProto, location: str, **entries: object) -> None:
    """Make ``tensor`` external at ``location``."""
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    del tensor.external_data[:]
    for key, value in {"location": location, **entries}.items():
        tensor.external_data.add(key=key, value=str(value))


def conditional(model: onnx.ModelProto) -> onnx.ModelProto:
    """Put ``model``'s graph behind a condition, its weights inside the branch."""
    inner = model.graph
    branch = helper.make_graph(
        list(inner.node), "then", [], list(inner.output), list(inner.initializer)
    )
    other = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["z"])],
        "else",
        [],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, None)],
    )
    node = helper.make_node("If", ["flag"], ["y_out"], then_branch=branch, else_branch=other)
    outer = helper.make_graph(
        [node],
        "outer",
        [*inner.input, helper.make_tensor_value_info("flag", TensorProto.BOOL, [])],
        [helper.make_tensor_value_info("y_out", TensorProto.FLOAT, ["batch", "rows", WIDTH])],
    )
    return helper.make_model(outer, opset_imports=list(model.opset_import), ir_version=8)
