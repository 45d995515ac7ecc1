"""The op algebra: which operands must be centred so that an op's result is centred.

C = I - (1/d) 1 1^T removes the mean over the d features. One row for each op says, for the feature
axis of a *result*, what each operand is:

- ``Carries(axis)``: the operand is centred together with the result, op(C x) = C op(x). A constant
  weight is such an operand, too: it is recentred once, offline.
- ``VANISHES``: the operand is broadcast along the features, x + s 1; C(x + s 1) = C x, so that in a
  centred op it becomes zeros.
- ``INERT``: the operand is a factor, condition, index or shape that does not change.

An op without a row, or a row that returns None, reads raw and produces raw: soundness first. All
rows are linear over the features, so they hold for blocks of an axis as for a whole axis, unless
they ask for a whole one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import onnx_ir as ir

from graphopt.passes.graph import axes, constants
from graphopt.passes.graph.axes import FeatureAxis, Stream

__all__ = ["INERT", "ROWS", "VANISHES", "Carries", "Role", "producers_roles", "results"]


@dataclasses.dataclass(frozen=True)
class Carries:
    """The operand is centred on ``axis`` together with the result."""

    axis: FeatureAxis


@dataclasses.dataclass(frozen=True)
class _Plain:
    name: str


VANISHES = _Plain("vanishes")
INERT = _Plain("inert")

Role = Carries | _Plain
Roles = tuple[Role, ...]
Row = Callable[[ir.Node, ir.Value, FeatureAxis], Roles | None]


def producers_roles(node: ir.Node, result: ir.Value, axis: FeatureAxis) -> Roles | None:
    """The role of each operand of ``node`` when ``result`` is centred on ``axis``.

    Returns:
        One role for each operand position, or None where the op does not commute with C.
    """
    row = ROWS.get((node.domain, node.op_type))
    if row is None or result.shape is None or not axis.fits(result):
        return None
    roles = row(node, result, axis)
    if roles is None or not any(isinstance(role, Carries) for role in roles):
        return None
    for operand, role in zip(node.inputs, roles, strict=True):
        if isinstance(role, Carries) and (operand is None or not role.axis.fits(operand)):
            return None
    return roles


def results(node: ir.Node, operand: int, axis: FeatureAxis) -> Iterator[Stream]:
    """The result streams of ``node`` that carry the features of one operand."""
    source = node.inputs[operand]
    for result in node.outputs:
        for candidate in _candidates(node, source, result, axis):
            roles = producers_roles(node, result, candidate)
            if roles is not None and roles[operand] == Carries(axis):
                yield Stream(result, candidate)


def _candidates(
    node: ir.Node, source: ir.Value | None, result: ir.Value, axis: FeatureAxis
) -> Iterator[FeatureAxis]:
    if node.op_type in ("Reshape", "Flatten") and source is not None:
        moved = axes.move_through_reshape(axis, source, result)
        if moved is not None:
            yield moved
        return
    for index in range(axes.rank(result) or 0):
        yield axis.at(index)


# Rows -------------------------------------------------------------------------------------------


def _inert_but(node: ir.Node, **carried: FeatureAxis) -> Roles:
    """Roles where only the named positions (``_0``, ``_1``) carry."""
    places = {int(key[1:]): axis for key, axis in carried.items()}
    return tuple(
        Carries(places[index]) if index in places else INERT for index in range(len(node.inputs))
    )


def _same_axis(node: ir.Node, result: ir.Value, axis: FeatureAxis) -> Roles | None:
    """y = f(x), linear, entry by entry: the axis stays."""
    return _inert_but(node, _0=axis)


def _dropout(node: ir.Node, result: ir.Value, axis: FeatureAxis) -> Roles | None:
    """Inference: y = x. The mask output and a training mode that may be true have no row."""
    training = node.inputs[2] if len(node.inputs) > 2 else None
    if result is not node.outputs[0]:
        return None
    if training is not None and not _is_false(training):
        return None
    return _same_axis(node, result, axis)


def _is_false(value: ir.Value) -> bool:
    flag = constants.entries(value)
    return flag is not None and not flag.any()


def _cast(node: ir.Node, result: ir.Value, axis: FeatureAxis) -> Roles | None:
    """Between float types only: an integer rounds, which is not linear."""
    source = node.inputs[0]
    for value in (source, result):
        if value is None or value.dtype is None or not value.dtype.is_floating_point():
            return None
    return _same_axis(node, result, axis)


def _addend(operand: ir.Value | None, result: ir.Value, axis: FeatureAxis) -> Role | None:
    """An operand of a sum or a Where branch: full over the features, or broadcast on them."""
    if operand is None:
        return None
    own = axes.broadcast_axis(operand, axes.rank(result) or 0, axis.axis)
    if own is None:
        return None
    if own < 0 or axes.dimension(operand, own) == 1:
        return VANISHES if _may_be_finite(operand) else None
    same = axes.dimension(operand, own) == axes.dimension(result, axis.axis)
    return Carries(axis.at(own)) if same else None


def _may_be_finite(operand: ir.Value) -> bool:
    """False for a constant with an infinite or NaN entry: x + inf has no mean to take away."""
    tensor = constants.constant_tensor(operand)
    if tensor is None or not tensor.dtype.is_floating_point():
        return True
    return constants.is_finite(tensor)


def _factor(operand: ir.Value | None, result: ir.Value, axis: FeatureAxis) -> Role | None:
    """A factor or condition may scale tokens but not features: it is broadcast on the axis."""
    return INERT if _addend(operand, result, axis) is VANISHES else None


def _sum(node: ir.Node, result: ir.Value, axis: FeatureAxis) -> Roles | None:
    """C(x + y) = C x + C y; C(x + s 1) = C x. Add, Sub and Sum."""
    roles = [_addend(operand, result, axis) for operand in node.inputs]
    return None if None in roles else tuple(role for role in roles if role is not None)


def _product(node: ir.Node, result: ir.Value, axis: FeatureAxis) -> Roles | None:
    """C(m x) = m C x for m constant over the features: one operand is full, the other a factor."""
    left, right = (_addend(operand, result, axis) for operand in node.inputs)
    if isinstance(left, Carries) and right is VANISHES:
        return (left, INERT)
    if isinstance(right, Carries) and left is VANISHES and node.op_type == "Mul":
        return (INERT, right)
    return None


def _where(node: ir.Node, result: ir.Value, axis: FeatureAxis) -> Roles | None:
    """C where(c, x, y) = where(c, C x, C y) for c constant over the features."""
    condition = _factor(node.inputs[0], result, axis)
    branches = [_addend(operand, result, axis) for operand in node.inputs[1:]]
    if condition is None or None in branches:
        return None
    return (condition, *(branch for branch in branches if branch is not None))


def _transpose(node: ir.Node, result: ir.Value, axis: FeatureAxis) -> Roles | None:
    """y[i, j] = x[j, i]: the axis moves with the permutation."""
    count = axes.rank(result) or 0
    permutation = node.attributes.get_ints("perm", tuple(reversed(range(count))))
    return _inert_but(node, _0=axis.at(permutation[axis.axis]))


def _reshape(node: ir.Node, result: ir.Value, axis: FeatureAxis) -> Roles | None:
    """The same entries in row-major order: the axis moves where its block is kept whole."""
    source = node.inputs[0]
    moved = None if source is None else axes.move_through_reshape(axis, result, source)
    return None if moved is None else _inert_but(node, _0=moved)


def _unit_axes(node: ir.Node, result: ir.Value, axis: FeatureAxis) -> Roles | None:
    """Squeeze and Unsqueeze move axes of size 1 alone: the other axes keep their order."""
    swapped = node.op_type == "Unsqueeze"
    longer, shorter = (result, node.inputs[0]) if swapped else (node.inputs[0], result)
    moved = _constant_axes(node, axes.rank(longer))
    if longer is None or shorter is None or axes.rank(shorter) is None:
        return None
    if moved is None and len(node.inputs) < 2 and "axes" not in node.attributes:
        dims = [axes.dimension(longer, i) for i in range(axes.rank(longer) or 0)]
        static = all(isinstance(dim, int) for dim in dims)
        moved = {i for i, dim in enumerate(dims) if dim == 1} if static else None
    if moved is None:
        return None
    kept = [i for i in range(axes.rank(longer) or 0) if i not in moved]
    if len(kept) != axes.rank(shorter):
        return None
    if node.op_type == "Unsqueeze":
        return _inert_but(node, _0=axis.at(kept.index(axis.axis))) if axis.axis in kept else None
    return _inert_but(node, _0=axis.at(kept[axis.axis]))


def _expand(node: ir.Node, result: ir.Value, axis: FeatureAxis) -> Roles | None:
    """Repeats other axes; an operand of feature size 1 has no row."""
    role = _addend(node.inputs[0], result, axis)
    return (role, INERT) if isinstance(role, Carries) else None


def _constant_axes(node: ir.Node, count: int | None, position: int = 1) -> set[int] | None:
    """The axes that an op names by attribute or constant operand, non-negative, or None."""
    named: list[int] | None = None
    if "axes" in node.attributes:
        named = list(node.attributes.get_ints("axes", ()))
    elif len(node.inputs) > position and node.inputs[position] is not None:
        found = constants.entries(node.inputs[position])
        named = None if found is None else [int(entry) for entry in found.reshape(-1)]
    if named is None or count is None:
        return None
    return {entry % count for entry in named}


def _slice(node: ir.Node, result: ir.Value, axis: FeatureAxis) -> Roles | None:
    """Keeps or drops entries of other axes."""
    position = 3
    sliced = _constant_axes(node, axes.rank(result), position)
    if sliced is None and "axes" not in node.attributes:
        if len(node.inputs) > position and node.inputs[position] is not None:
            return None
        starts = (
            node.attributes.get_ints("starts")
            if "starts" in node.attributes
            else constants.entries(node.inputs[1])
        )
        sliced = None if starts is None else set(range(len(starts)))
    if sliced is None or axis.axis in sliced:
        return None
    return _inert_but(node, _0=axis)


def _gather(node: ir.Node, result: ir.Value, axis: FeatureAxis) -> Roles | None:
    """Picks entries of another axis; an embedding table [vocabulary, d] is such an operand."""
    data, indices = node.inputs[0], node.inputs[1]
    data_rank, index_rank = axes.rank(data), axes.rank(indices)
    if data_rank is None or index_rank is None:
        return None
    gathered = node.attributes.get_int("axis", 0) % data_rank
    if axis.axis < gathered:
        return _inert_but(node, _0=axis)
    if axis.axis < gathered + index_rank:
        return None
    return _inert_but(node, _0=axis.at(axis.axis - index_rank + 1))


def _gather_nd(node: ir.Node, result: ir.Value, axis: FeatureAxis) -> Roles | None:
    """Picks whole slices: the features lie behind the indexed axes."""
    data, indices = node.inputs[0], node.inputs[1]
    data_rank, index_rank = axes.rank(data), axes.rank(indices)
    if data_rank is None or indices is None or not index_rank:
        return None
    depth = axes.dimension(indices, index_rank - 1)
    if not isinstance(depth, int):
        return None
    indexed = node.attributes.get_int("batch_dims", 0) + depth
    own = axis.axis - (index_rank - 1 - node.attributes.get_int("batch_dims", 0)) + depth
    first = index_rank - 1
    if axis.axis < first or not indexed <= own < data_rank:
        return None
    return _inert_but(node, _0=axis.at(own))


def _split(node: ir.Node, result: ir.Value, axis: FeatureAxis) -> Roles | None:
    """Parts of another axis; all parts share one state."""
    count = axes.rank(result) or 0
    if node.attributes.get_int("axis", 0) % count == axis.axis:
        return None
    return _inert_but(node, _0=axis)


def _concat(node: ir.Node, result: ir.Value, axis: FeatureAxis) -> Roles | None:
    """Joins on another axis: every operand is full over the features."""
    count = axes.rank(result) or 0
    joined = node.attributes.get_int("axis", 0) % count
    return None if joined == axis.axis else tuple(Carries(axis) for _ in node.inputs)


def _pad(node: ir.Node, result: ir.Value, axis: FeatureAxis) -> Roles | None:
    """Zeros, or entries of the operand itself, on other axes: C 0 = 0."""
    count = axes.rank(result) or 0
    mode = node.attributes.get_string("mode", "constant")
    pads = _pads(node, count)
    if pads is None or pads.get(axis.axis, (0, 0)) != (0, 0):
        return None
    if mode == "constant":
        fill = node.inputs[2] if len(node.inputs) > 2 else None
        if fill is not None and constants.uniform_value(fill) != 0.0:
            return None
        if node.attributes.get_float("value", 0.0) != 0.0:
            return None
    return _inert_but(node, _0=axis)


def _pads(node: ir.Node, count: int) -> dict[int, tuple[int, int]] | None:
    """Entries before and behind each padded axis, or None where they are not constant."""
    if "pads" in node.attributes:
        amounts = list(node.attributes.get_ints("pads", ()))
    else:
        found = constants.entries(node.inputs[1]) if len(node.inputs) > 1 else None
        if found is None:
            return None
        amounts = [int(entry) for entry in found]
    order = list(range(count))
    if len(node.inputs) > 3 and node.inputs[3] is not None:
        named = constants.entries(node.inputs[3])
        if named is None:
            return None
        order = [int(entry) % count for entry in named]
    half = len(amounts) // 2
    return dict(zip(order, zip(amounts[:half], amounts[half:], strict=True), strict=True))


def _tile(node: ir.Node, result: ir.Value, axis: FeatureAxis) -> Roles | None:
    """Repeats of other axes."""
    repeats = constants.entries(node.inputs[1])
    if repeats is None or repeats.shape != (axes.rank(result),) or int(repeats[axis.axis]) != 1:
        return None
    return _inert_but(node, _0=axis)


def _reduce(node: ir.Node, result: ir.Value, axis: FeatureAxis) -> Roles | None:
    """Mean or sum over other axes."""
    source = node.inputs[0]
    count = axes.rank(source)
    if source is None or count is None:
        return None
    reduced = _constant_axes(node, count)
    if not reduced:
        return None
    if node.attributes.get_int("keepdims", 1):
        return None if axis.axis in reduced else _inert_but(node, _0=axis)
    kept = [i for i in range(count) if i not in reduced]
    return _inert_but(node, _0=axis.at(kept[axis.axis]))


def _resize(node: ir.Node, result: ir.Value, axis: FeatureAxis) -> Roles | None:
    """Interpolates other axes: the scale of the feature axis is exactly 1.

    An equal size does not prove it: floor(1.1 * 8) is 8, too.
    """
    mode = node.attributes.get_string("coordinate_transformation_mode", "half_pixel")
    policy = node.attributes.get_string("keep_aspect_ratio_policy", "stretch")
    source = node.inputs[0]
    if source is None or mode == "tf_crop_and_resize" or policy != "stretch":
        return None
    if axes.dimension(source, axis.axis) != axes.dimension(result, axis.axis):
        return None
    resized = [i % (axes.rank(result) or 1) for i in node.attributes.get_ints("axes", ())]
    if resized and axis.axis not in resized:
        return _inert_but(node, _0=axis)
    scales = node.inputs[2 if len(node.inputs) > 2 else 1]
    if scales is not None and axes.dimension(scales, 0) != 0:
        found = constants.entries(scales)
        own = resized.index(axis.axis) if resized else axis.axis
        if found is None or float(found[own]) != 1.0:
            return None
    return _inert_but(node, _0=axis)


def _channel_pool(node: ir.Node, result: ir.Value, axis: FeatureAxis) -> Roles | None:
    """A mean over places, the same for each channel: features on axis 1."""
    return _inert_but(node, _0=axis) if axis.axis == 1 else None


def _matmul(node: ir.Node, result: ir.Value, axis: FeatureAxis) -> Roles | None:
    """A (x C) = (A x) C on the right, features last; (C x) A = C (x A) on the left."""
    left, right = node.inputs
    left_rank, right_rank = axes.rank(left), axes.rank(right)
    if left_rank is None or right_rank is None:
        return None
    if right_rank >= 2 and axis.axis == (axes.rank(result) or 0) - 1:
        return _inert_but(node, _1=axis.at(right_rank - 1))
    last_row = (axes.rank(result) or 0) - (2 if right_rank >= 2 else 1)
    if left_rank >= 2 and axis.axis == last_row:
        return _inert_but(node, _0=axis.at(left_rank - 2))
    return None


def _fused_matmul(node: ir.Node, result: ir.Value, axis: FeatureAxis) -> Roles | None:
    """alpha A' B' with optional transposes of the last two axes."""
    if node.attributes.get_int("transBatchA", 0) or node.attributes.get_int("transBatchB", 0):
        return None
    left_rank, right_rank = axes.rank(node.inputs[0]), axes.rank(node.inputs[1])
    if left_rank is None or right_rank is None or min(left_rank, right_rank) < 2:
        return None
    count = axes.rank(result) or 0
    if axis.axis == count - 1:
        back = 2 if node.attributes.get_int("transB", 0) else 1
        return _inert_but(node, _1=axis.at(right_rank - back))
    if axis.axis == count - 2:
        back = 1 if node.attributes.get_int("transA", 0) else 2
        return _inert_but(node, _0=axis.at(left_rank - back))
    return None


def _gemm(node: ir.Node, result: ir.Value, axis: FeatureAxis) -> Roles | None:
    """alpha A' B' + beta C: the columns come from B, the rows from A, and C is an addend."""
    if node.op_type == "FusedGemm" and "activation" in node.attributes:
        return None
    if axis.axis == 1:
        source, own = 1, 0 if node.attributes.get_int("transB", 0) else 1
    else:
        source, own = 0, 1 if node.attributes.get_int("transA", 0) else 0
    roles: list[Role] = [INERT] * len(node.inputs)
    roles[source] = Carries(axis.at(own))
    if len(node.inputs) > 2 and node.inputs[2] is not None:
        addend = _addend(node.inputs[2], result, axis)
        if addend is None:
            return None
        roles[2] = addend
    return tuple(roles)


def _conv(node: ir.Node, result: ir.Value, axis: FeatureAxis) -> Roles | None:
    """y[o] = sum w[o, i] * x[i] + b[o], group 1: the output channels come from w and b."""
    if axis.axis != 1 or node.attributes.get_int("group", 1) != 1:
        return None
    if node.op_type == "FusedConv":
        return None
    own = 1 if node.op_type == "ConvTranspose" else 0
    carried = {"_1": axis.at(own)}
    if len(node.inputs) > 2 and node.inputs[2] is not None:
        carried["_2"] = axis.at(0)
    return _inert_but(node, **carried)


def _einsum(node: ir.Node, result: ir.Value, axis: FeatureAxis) -> Roles | None:
    """A sum of products is linear in each operand: the feature letter is in one operand alone."""
    equation = node.attributes.get_string("equation", "").replace(" ", "")
    if "->" not in equation or "." in equation:
        return None
    terms, output = equation.split("->")
    operands = terms.split(",")
    letter = output[axis.axis]
    holders = [index for index, term in enumerate(operands) if letter in term]
    if len(holders) != 1 or operands[holders[0]].count(letter) != 1 or output.count(letter) != 1:
        return None
    own = operands[holders[0]].index(letter)
    return _inert_but(node, **{f"_{holders[0]}": axis.at(own)})


ROWS: dict[tuple[str, str], Row] = {
    ("", "Add"): _sum,  # C(x + y) = C x + C y
    ("", "Sub"): _sum,  # C(x - y) = C x - C y
    ("", "Sum"): _sum,  # C(x + y + z) = C x + C y + C z
    ("", "Mul"): _product,  # C(m x) = m C x
    ("", "Div"): _product,  # C(x / m) = C x / m
    ("", "Where"): _where,  # C where(c, x, y) = where(c, C x, C y)
    ("", "Identity"): _same_axis,  # y = x
    ("", "Neg"): _same_axis,  # y = -x
    ("", "Dropout"): _dropout,  # y = x
    ("", "Cast"): _cast,  # y = x
    ("", "Transpose"): _transpose,
    ("", "Reshape"): _reshape,
    ("", "Flatten"): _reshape,
    ("", "Squeeze"): _unit_axes,
    ("", "Unsqueeze"): _unit_axes,
    ("", "Expand"): _expand,
    ("", "Slice"): _slice,
    ("", "Gather"): _gather,
    ("", "GatherND"): _gather_nd,
    ("", "Split"): _split,
    ("", "Concat"): _concat,
    ("", "Pad"): _pad,
    ("", "Tile"): _tile,
    ("", "ReduceMean"): _reduce,
    ("", "ReduceSum"): _reduce,
    ("", "Resize"): _resize,
    ("", "AveragePool"): _channel_pool,
    ("", "GlobalAveragePool"): _channel_pool,
    ("", "MatMul"): _matmul,  # A (x C) = (A x) C
    ("com.microsoft", "FusedMatMul"): _fused_matmul,
    ("", "Gemm"): _gemm,
    ("com.microsoft", "FusedGemm"): _gemm,
    ("", "Conv"): _conv,
    ("", "ConvTranspose"): _conv,
    ("", "Einsum"): _einsum,
    ("com.microsoft", "BiasAdd"): _sum,
}
