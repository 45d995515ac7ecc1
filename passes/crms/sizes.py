"""The sizes that Reshape, Expand and Resize are given, where a feature axis loses an entry.

A value that is compressed from d to d - 1 features is written by ops of which some name the d.
Entry r of the sizes, r the feature axis of the result, is set to d - 1: in a constant where all
sizes are known, in a copy of the Concat that joins a constant with other sizes, and otherwise by a
Where at run time. All other entries belong to other axes and stay. A Shape of a compressed value is
set back to d, so that arithmetic on sizes sees the sizes that it always saw.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from graphopt.passes.crms.size_operands import Sizes, SizesOperand
from graphopt.passes.graph import axes, constants
from graphopt.passes.graph.axes import FeatureAxis
from graphopt.passes.graph.naming import Names, node_words

__all__ = ["obstacle", "resize_result", "restore_shape"]


def obstacle(
    named: Sizes | SizesOperand,
    node: ir.Node,
    source: FeatureAxis | None,
    result: ir.Value,
    axis: int,
) -> str:
    """Why ``result`` of ``node`` cannot be one entry shorter on ``axis``, or ``""``.

    Args:
        named: What names the sizes of the result, from the row of the op.
        node: An op of the algebra.
        source: The feature axis of its first operand, where that carries the features.
        result: An output of ``node``.
        axis: The feature axis of ``result``.
    """
    if named is Sizes.FIXED:
        return f"an operand of {node_words(node)} keeps the size of its features"
    sizes = _sizes(named, node)
    if sizes is None or not isinstance(named, SizesOperand):
        return ""
    entry, count = _entry(named, node, sizes, result, axis), axes.dimension(sizes, 0)
    words = f"the sizes of {node_words(node)}"
    if not isinstance(count, int):
        return f"{words} are of unknown number"
    if not named.copies_zeros or source is None or entry is None:
        return ""
    found = constants.entries(sizes)
    copies = not node.attributes.get_int("allowzero", 0)
    if found is not None and copies and found[entry] == 0 and source.axis != entry:
        return f"{words} copy the features from another axis"
    if source.axis == entry or source.axis >= count:
        return ""
    other = axes.dimension(result, source.axis)
    if found is None:  # sizes that a caller gives may be 0 where no shape is inferred
        given = sizes.producer() is None and not isinstance(other, int)
        copied = copies and (given or other == source.size)
    else:
        copied = copies and found[source.axis] == 0
    return f"{words} may copy the features to another axis" if copied else ""


def resize_result(
    named: Sizes | SizesOperand, names: Names, result: ir.Value, axis: int, size: int
) -> bool:
    """Let the producer of ``result``, an op of the algebra, write ``size`` entries on ``axis``.

    Returns:
        True where an operand changed.
    """
    node = result.producer()
    assert node is not None
    sizes = _sizes(named, node)
    if sizes is None or not isinstance(named, SizesOperand):
        return False
    entry = _entry(named, node, sizes, result, axis)
    if entry is None:
        return False
    known = _known_sizes(named, node, sizes, result)
    changed = _with_entry(names, node, sizes, known, entry, size)
    if changed is sizes:
        return False
    node.replace_input_with(named.position, changed)
    return True


def restore_shape(names: Names, node: ir.Node, axis: int, size: int) -> bool:
    """Let the readers of a Shape node see ``size`` on ``axis``, as before it was compressed.

    Returns:
        True where somebody reads that entry.
    """
    source = node.inputs[0]
    rank = axes.rank(source) or 0
    start, end = (
        max(bound + rank, 0) if bound < 0 else min(bound, rank)
        for bound in (node.attributes.get_int("start", 0), node.attributes.get_int("end", rank))
    )
    shape = node.outputs[0]
    if source is None or not start <= axis < end or not _reads(shape, axis - start):
        return False
    dims = [axes.dimension(source, index) for index in range(start, end)]
    dims[axis - start] = size
    uses = [use for use in shape.uses() if not _write_down(names, use.node, use.idx, dims)]
    if not uses and not shape.is_graph_output():
        return True
    restored = _where(names, node, shape, axis - start, end - start, size)
    for use in uses:
        use.node.replace_input_with(use.idx, restored)
    if shape.is_graph_output():
        assert isinstance(node.graph, ir.Graph)
        outputs = node.graph.outputs
        outputs[:] = [restored if value is shape else value for value in outputs]
        restored.meta.update(shape.meta)
        name = shape.name
        shape.name, restored.name = names.fresh(f"{name}.compressed"), name
    return True


def _write_down(names: Names, node: ir.Node, operand: int, dims: list[axes.Dim | None]) -> bool:
    """Put a constant in the place of sizes that ``node`` picks, where all of them are numbers.

    ONNX Runtime folds a Gather of a Shape, but no Where between them; and what depends on sizes
    that it does not fold runs by kernels that refuse more, as a cubic Resize between Transposes.
    """
    result = node.outputs[0]
    picked = _picked_in_order(node, operand, len(dims))
    if picked is None or result.is_graph_output():
        return False
    found = [dims[index] for index in picked.reshape(-1)]
    if not all(isinstance(dim, int) for dim in found):
        return False
    tensor = ir.tensor(np.array(found, dtype=np.int64).reshape(picked.shape))
    written = names.initializer(f"{result.name}.written", tensor)
    for use in list(result.uses()):
        use.node.replace_input_with(use.idx, written)
    return True


def _sizes(named: Sizes | SizesOperand, node: ir.Node) -> ir.Value | None:
    """The operand that names the sizes of the result, where the node has one."""
    if not isinstance(named, SizesOperand) or len(node.inputs) <= named.position:
        return None
    return node.inputs[named.position]


def _entry(
    named: SizesOperand, node: ir.Node, sizes: ir.Value, result: ir.Value, axis: int
) -> int | None:
    """The entry of the sizes that belongs to ``axis`` of ``result``, or None where none does."""
    count = axes.dimension(sizes, 0)
    static = count if isinstance(count, int) else None
    return named.entry(node, static, axes.rank(result) or 0, axis)


def _known_sizes(
    named: SizesOperand, node: ir.Node, sizes: ir.Value, result: ir.Value
) -> np.ndarray | None:
    """Constant sizes, or those of a result of static shape: the graph need not work them out."""
    found = constants.entries(sizes)
    if found is not None:
        return found
    dims = {
        _entry(named, node, sizes, result, axis): axes.dimension(result, axis)
        for axis in range(axes.rank(result) or 0)
    }
    count = axes.dimension(sizes, 0)
    known = [dims.get(entry) for entry in range(count if isinstance(count, int) else 0)]
    static = [dim for dim in known if isinstance(dim, int)]
    return np.array(static, dtype=np.int64) if static and len(static) == len(known) else None


def _with_entry(
    names: Names, node: ir.Node, sizes: ir.Value, found: np.ndarray | None, entry: int, size: int
) -> ir.Value:
    """``sizes`` with one entry set, as a constant, a Concat with another part, or a Where."""
    if found is not None:
        if found[entry] != size + 1:  # -1, 0 and the 1 of an Expand follow the operand
            return sizes
        found[entry] = size
        return names.initializer(f"{sizes.name}.compressed", ir.tensor(found))
    joined = _with_part(names, node, sizes, entry, size)
    if joined is not None:
        return joined
    count = axes.dimension(sizes, 0)
    assert isinstance(count, int)
    return _where(names, node, sizes, entry, count, size, before=True)


def _with_part(
    names: Names, node: ir.Node, sizes: ir.Value, entry: int, size: int
) -> ir.Value | None:
    """The Concat behind ``sizes`` with the constant part that holds ``entry`` replaced."""
    concat = sizes.producer()
    if concat is None or concat.op_type != "Concat" or concat.domain:
        return None
    first = 0
    for index, part in enumerate(concat.inputs):
        length = None if part is None else axes.dimension(part, 0)
        if part is None or not isinstance(length, int):
            return None
        if first <= entry < first + length:
            found = constants.entries(part)
            if found is None:
                return None
            if found[entry - first] != size + 1:
                return sizes
            found[entry - first] = size
            parts = list(concat.inputs)
            parts[index] = names.initializer(f"{part.name}.compressed", ir.tensor(found))
            copy = ir.node("Concat", parts, attributes={"axis": 0})
            return _insert(names, node, copy, sizes, before=True)
        first += length
    return None


def _where(
    names: Names,
    node: ir.Node,
    sizes: ir.Value,
    entry: int,
    count: int,
    size: int,
    *,
    before: bool = False,
) -> ir.Value:
    """``sizes`` with one entry set at run time, beside ``node``."""
    mask = names.initializer(f"{sizes.name}.mask", ir.tensor(np.arange(count) == entry))
    value = names.initializer(f"{sizes.name}.size", ir.tensor(np.array([size], dtype=np.int64)))
    return _insert(names, node, ir.node("Where", [mask, value, sizes]), sizes, before=before)


def _insert(names: Names, node: ir.Node, new: ir.Node, like: ir.Value, *, before: bool) -> ir.Value:
    """Put ``new`` beside ``node``; its result replaces ``like``."""
    assert node.graph is not None
    new.name = names.fresh(f"{like.name}.resized")
    result = new.outputs[0]
    result.name, result.type, result.shape = new.name, like.type, like.shape
    if before:
        node.graph.insert_before(node, new)
    else:
        node.graph.insert_after(node, new)
    return result


def _reads(shape: ir.Value, entry: int) -> bool:
    """False where every reader of ``shape`` picks other entries by constant indices."""
    if shape.is_graph_output():
        return True
    count = axes.dimension(shape, 0)
    return not isinstance(count, int) or any(
        entry in _picked(use.node, use.idx, count) for use in shape.uses()
    )


def _picked(node: ir.Node, operand: int, count: int) -> set[int]:
    """The entries of a vector of ``count`` that ``node`` looks at; all where that is not known."""
    found = _picked_in_order(node, operand, count)
    return set(range(count)) if found is None else {int(index) for index in found.reshape(-1)}


def _picked_in_order(node: ir.Node, operand: int, count: int) -> np.ndarray | None:
    """Which entries of a vector Gather or Slice takes, in the shape of the result."""
    if node.domain or operand != 0:
        return None
    if node.op_type == "Gather":
        found = constants.entries(node.inputs[1])
        return None if found is None else found % count
    if node.op_type == "Slice":
        bounds = [constants.entries(value) for value in node.inputs[1:3]]
        if len(node.inputs) > 4 or len(bounds) < 2:
            return None
        if any(bound is None or bound.size != 1 for bound in bounds):
            return None
        start, end = (int(bound.item()) for bound in bounds if bound is not None)
        return np.arange(count)[start:end]
    return None
