"""Directories as clients have them, with small models that stand for an encoder and decoders."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import helper

from tests.graphopt.model_files import WIDTH, block, save_external, save_inline

_BODY = """
    embedded = MatMul (x, embedding)
    stream = Add (embedded, position)
    normed = LayerNormalization <axis = -1> (stream, gamma_1, beta_1)
    hidden = MatMul (normed, weight_1)
    biased = Add (hidden, bias_1)
"""
ENCODER = f"""
<ir_version: 8, opset_import: ["" : 17]>
encoder (float[batch, source, 40] x, float[batch, source, 1] attention_mask)
    => (float[batch, source, 40] last_hidden_state) {{
    {_BODY}
    last_hidden_state = Mul (biased, attention_mask)
}}
"""
DECODER = f"""
<ir_version: 8, opset_import: ["" : 17]>
decoder (float[batch, target, 40] x, float[batch, source, 40] encoder_hidden_states)
    => (float[batch, target, 40] logits, float[batch, target, 40] present_0) {{
    {_BODY}
    seen = ReduceMean <axes = [1], keepdims = 1> (encoder_hidden_states)
    present_0 = Add (biased, seen)
    logits = MatMul (present_0, head)
}}
"""
WITH_PAST = f"""
<ir_version: 8, opset_import: ["" : 17]>
with_past (float[batch, 1, 40] x, float[batch, past, 40] past_0)
    => (float[batch, 1, 40] logits, float[batch, total, 40] present_0) {{
    {_BODY}
    present_0 = Concat <axis = 1> (past_0, biased)
    seen = ReduceMean <axes = [1], keepdims = 1> (present_0)
    logits = MatMul (seen, head)
}}
"""
NO_NORM = """
<ir_version: 8, opset_import: ["" : 17]>
plain (float[batch, rows, 40] x) => (float[batch, rows, 40] y) { y = MatMul (x, head) }
"""


def encoder_decoder(directory: Path) -> Path:
    """The three files of a model with an encoder, as optimum names them."""
    directory.mkdir()
    for name, text in (
        ("encoder_model.onnx", ENCODER),
        ("decoder_model.onnx", DECODER),
        ("decoder_with_past_model.onnx", WITH_PAST),
    ):
        save_inline(block(text), directory / name)
    configure(directory, hidden_size=WIDTH)
    return directory


def configure(directory: Path, name: str = "config.json", **entries: object) -> Path:
    path = directory / name
    path.write_text(json.dumps(entries, indent=4))
    return path


def quantized(path: Path) -> Path:
    """A model with a quantized weight, and the norm of the others."""
    model = block(NO_NORM)
    scale = helper.make_tensor("scale", onnx.TensorProto.FLOAT, [], [0.1])
    weight = np.ones((WIDTH, WIDTH), dtype=np.int8)
    model.graph.initializer.extend([scale, onnx.numpy_helper.from_array(weight, "weight_q")])
    model.graph.node.insert(
        0, helper.make_node("DequantizeLinear", ["weight_q", "scale"], ["head_q"])
    )
    model.graph.node[1].input[1] = "head_q"
    return save_inline(model, path)


def sharing(directory: Path, *texts: str) -> Path:
    """Models ``0.onnx``, ``1.onnx``, ... whose weights lie in one file, ``shared.bin``."""
    directory.mkdir()
    for number, text in enumerate(texts):
        path = save_external(block(text), directory / f"{number}.onnx")
        data = directory / f"{path.name}.data"
        data.replace(directory / "shared.bin")  # the weights of all are the same
        model = onnx.load(path, load_external_data=False)
        for tensor in model.graph.initializer:
            for entry in tensor.external_data:
                if entry.key == "location":
                    entry.value = "shared.bin"
        path.write_bytes(model.SerializeToString())
    return directory
