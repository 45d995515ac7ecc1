"""What an input means, read off the operators that its values reach unchanged."""

from __future__ import annotations

__all__ = ["Meaning", "trace_meaning"]

import dataclasses
import math

import numpy as np
import onnx_ir as ir

from graphopt.evaluation.tensors import read_tensor

# Operators that pass elements on as they are: operator to the positions that are passed on.
_PASSES_ON = {
    "Cast": (0,), "Clip": (0,), "Concat": None, "Expand": (0,), "Flatten": (0,), "Gather": (0,),
    "GatherElements": (0,), "GatherND": (0,), "Identity": (0,), "Max": None, "Min": None,
    "Pad": (0,), "Reshape": (0,), "ScatterElements": (0, 2), "ScatterND": (0, 2), "Slice": (0,),
    "Split": (0,), "Squeeze": (0,), "Tile": (0,), "Transpose": (0,), "Unsqueeze": (0,),
    "Where": (1, 2),
}  # fmt: skip
# (domain, operator, position of an index): position of the table whose axis 0 it indexes.
_TABLES = {
    ("", "RotaryEmbedding", 3): 1,
    ("com.microsoft", "EmbedLayerNormalization", 0): 2,
    ("com.microsoft", "EmbedLayerNormalization", 1): 4,
    ("com.microsoft", "EmbedLayerNormalization", 8): 3,
    ("com.microsoft", "RotaryEmbedding", 1): 2,
}
# Uses that only a mask of zeros and ones has: (domain, operator, position).
_MASKS = {
    ("", "CumSum", 0), ("", "Equal", 0), ("", "Equal", 1), ("", "Greater", 0), ("", "Less", 1),
    ("", "ReduceSum", 0), ("com.microsoft", "Attention", 3),
    ("com.microsoft", "EmbedLayerNormalization", 7), ("com.microsoft", "MultiHeadAttention", 4),
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Meaning:
    """What the values of an input may be.

    Attributes:
        low: Smallest valid index.
        high: One more than the largest valid index, or None where no table is indexed.
        mask: True where the input is used as a mask of zeros and ones.
        unbounded: True where it indexes a table whose size is not known.
        computed: True where it is used as a number too, which no mask explains.
        number: True where that is all it is used as, cast to floats: no value of it is invalid.
    """

    low: int = 0
    high: int | None = None
    mask: bool = False
    unbounded: bool = False
    computed: bool = False
    number: bool = False


def trace_meaning(value: ir.Value) -> Meaning:
    """Follow the values of a graph input to the tables they index and the masks they form.

    Constants added on the way (a position offset) shift the bounds. An input that indexes a table
    is an index, even where it is also compared, as token ids are with the end token.
    """
    meaning = Meaning()
    is_float = value.dtype is not None and value.dtype.is_floating_point()
    pending, seen = [(value, 0, is_float)], {value}
    is_whole = False  # some use needs whole numbers, which may have bounds
    while pending:
        current, offset, is_cast = pending.pop()
        for node, position in current.uses():
            size = _table_size(node, position)
            if size == math.inf:
                meaning = dataclasses.replace(meaning, unbounded=True)
            elif size is not None:
                highs = [size - offset] if meaning.high is None else [meaning.high, size - offset]
                meaning = dataclasses.replace(
                    meaning, low=max(meaning.low, -offset), high=int(min(highs))
                )
            elif is_float and node.op_type == "ReduceSum":
                continue  # a mask is counted so, and a stream is averaged
            elif _is_mask_use(node, position):
                meaning = dataclasses.replace(meaning, mask=True)
            elif _shift(node, position) is None:
                meaning = dataclasses.replace(meaning, computed=True)
                is_whole = is_whole or not is_cast
            shift = _shift(node, position)
            if shift is None:
                continue
            is_cast_here = _casts_to_float(node) if node.op_type == "Cast" else is_cast
            for output in node.outputs:
                if output not in seen:
                    seen.add(output)
                    pending.append((output, offset + shift, is_cast_here))
    is_number = meaning.computed and not (is_whole or meaning.mask or meaning.unbounded)
    return dataclasses.replace(meaning, number=is_number and meaning.high is None)


def _casts_to_float(cast: ir.Node) -> bool:
    return ir.DataType(cast.attributes["to"].value).is_floating_point()


def _table_size(node: ir.Node, position: int) -> float | None:
    """The number of entries that an index chooses from, infinite where it is not known.

    None where the input at this position is no index.
    """
    if node.domain == "" and node.op_type in ("Gather", "GatherElements") and position == 1:
        axis = node.attributes["axis"].as_int() if "axis" in node.attributes else 0
        return _size(node.inputs[0], axis)
    if node.domain == "" and node.op_type == "OneHot" and position == 0:
        depth = _constant(node.inputs[1])
        return math.inf if depth is None else depth
    table = _TABLES.get((node.domain, node.op_type, position))
    return None if table is None else _size(node.inputs[table], 0)


def _size(value: ir.Value | None, axis: int) -> float:
    if value is None:
        return math.inf
    shape = value.shape if value.const_value is None else value.const_value.shape
    if shape is None or not -len(shape) <= axis < len(shape):
        return math.inf
    dim = shape[axis]
    return dim if isinstance(dim, int) else math.inf


def _is_mask_use(node: ir.Node, position: int) -> bool:
    if node.domain == "" and node.op_type == "Cast":
        return bool(node.attributes["to"].value == ir.DataType.BOOL)
    if node.domain == "" and node.op_type == "Sub" and position == 1:
        return _constant(node.inputs[0]) is not None  # (1 - mask) * -large
    return (node.domain, node.op_type, position) in _MASKS


def _shift(node: ir.Node, position: int) -> int | None:
    """What a node adds to the values it passes on; None where it does not pass them on."""
    if node.domain != "":
        return None
    if node.op_type in ("Add", "Sub"):
        constant = _constant(node.inputs[1 - position])
        if constant is None or (node.op_type == "Sub" and position == 1):
            return None
        return int(constant) if node.op_type == "Add" else -int(constant)
    if node.op_type not in _PASSES_ON:
        return None
    positions = _PASSES_ON[node.op_type]
    return 0 if positions is None or position in positions else None


def _constant(value: ir.Value | None) -> float | None:
    """The value of a finite constant with one element."""
    if value is None:
        return None
    tensor = value.const_value
    producer = value.producer()
    if tensor is None and producer is not None and producer.op_type == "Constant":
        attribute = next(iter(producer.attributes.values()))
        if attribute.type in (ir.AttributeType.FLOAT, ir.AttributeType.INT):
            return float(attribute.value)
        tensor = attribute.value if attribute.type == ir.AttributeType.TENSOR else None
    if tensor is None or tensor.size != 1 or value.is_graph_input():
        return None
    number = float(np.asarray(read_tensor(tensor)).reshape(()))
    return number if math.isfinite(number) else None
