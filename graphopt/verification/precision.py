"""How exact an output can be: as exact as the coarsest type that computes it."""

from __future__ import annotations

__all__ = ["MOVES", "computing_types"]

import onnx_ir as ir

from graphopt.verification.ancestry import ancestors

# Operators that move elements: what is stored in a short type and only moved and widened computes
# in the wide type.
MOVES = frozenset(
    {"Concat", "Expand", "Flatten", "Gather", "Identity", "Reshape", "Slice", "Split", "Squeeze",
     "Tile", "Transpose", "Unsqueeze"}
)  # fmt: skip
_BY_COARSENESS = (
    ir.DataType.BFLOAT16,
    ir.DataType.FLOAT16,
    ir.DataType.FLOAT,
    ir.DataType.DOUBLE,
)


def computing_types(model: ir.Model) -> dict[str, ir.DataType]:
    """The coarsest floating-point type that computes each graph output; absent where none does.

    Types that the file does not declare follow from constants, inputs and Casts. A value that is
    stored in a short type, moved and cast to a wider one was computed in the wider one.

    Args:
        model: The model, its functions inlined.
    """
    types = _types(model)
    found = {}
    for output in model.graph.outputs:
        values = (value for node in ancestors([output]) for value in node.outputs)
        coarse = {types[value][0] for value in values if value in types and types[value][1]}
        if output.name is not None and coarse:
            found[output.name] = min(coarse, key=_BY_COARSENESS.index)
    return found


def _types(model: ir.Model) -> dict[ir.Value, tuple[ir.DataType, bool]]:
    """The float type of each value, and whether it was computed rather than stored."""
    found: dict[ir.Value, tuple[ir.DataType, bool]] = {}
    for graph in model.graphs():
        for value in (*graph.inputs, *graph.initializers.values()):
            if value.dtype in _BY_COARSENESS:
                found[value] = (value.dtype, False)
    for node in model.graph.all_nodes():
        own = [found[value] for value in node.inputs if value in found]
        moved = node.op_type in MOVES and all(not computed for _, computed in own)
        is_constant = node.op_type in ("Constant", "ConstantOfShape")
        for value in node.outputs:
            dtype = value.dtype or _given_type(node) or (own[0][0] if own else None)
            if dtype in _BY_COARSENESS:
                found[value] = (dtype, not (moved or is_constant))
    return found


def _given_type(node: ir.Node) -> ir.DataType | None:
    """The type that an attribute of a node states for its result."""
    for name in ("to", "dtype"):
        attribute = node.attributes.get(name)
        if attribute is not None and attribute.type == ir.AttributeType.INT:
            return ir.DataType(attribute.as_int())
    value = node.attributes.get("value")
    if value is not None and value.type == ir.AttributeType.TENSOR:
        return value.as_tensor().dtype
    return None
