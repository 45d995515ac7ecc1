"""Let the multiplication add the bias where a Reshape follows."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from graphopt.passes.graph import axes, constants
from graphopt.passes.graph.naming import Names, all_nodes
from graphopt.passes.graph.unread import remove_unread
from graphopt.passes.graph.walking import only_reader, produced_by
from graphopt.passes.rewrite import Rewrite

__all__ = ["FuseBiases"]

_MINIMUM_OPSET = 7
"""Of a Gemm whose bias is broadcast as that of an Add."""
_MINIMUM_OPSET_OF_ZEROS = 14
"""Of a Reshape that takes a size of 0 for a 0."""
_TYPES = (ir.DataType.FLOAT, ir.DataType.DOUBLE)


class FuseBiases(Rewrite):
    """Reshape(Add(MatMul(x, W), b), sizes) becomes Reshape(Gemm(Reshape(x, [-1, k]), W, b), sizes).

    Gemm starts from the bias instead of adding it in a pass of its own over the result. ONNX
    Runtime fuses the two itself only where x is a matrix or, in newer versions, all its sizes are
    known.

    1. x [..., k] has three dimensions or more; W [k, n] and b [n] are constants, all of one type,
       float32 or float64.
    2. Nobody else reads the product or the sum, and neither is a graph output.
    3. The sizes are constant. A 0 stands for the operand's own dimension, which a matrix does not
       have any more: zeros at the front become the dimensions of x, read once for all values whose
       dimensions are proved to be the same. One of them may be -1 where n is what stays behind.
       With other zeros nothing is done, nor below opset 14, where no size can be 0 at run time.
    4. x is made a matrix once, however many such products read it.
    """

    needs_shapes = True

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Rewrites ``model`` in place."""
        self.record = {"biases fused": 0}
        if model.opset_imports.get("", 1) < _MINIMUM_OPSET:
            return ir.passes.PassResult(model, modified=False)
        fusion = _Fusion(Names(model), model.opset_imports.get("", 1) >= _MINIMUM_OPSET_OF_ZEROS)
        for node in all_nodes(model):
            self.record["biases fused"] += fusion.fuse(node)
        return ir.passes.PassResult(model, modified=self.record["biases fused"] > 0)


class _Fusion:
    """What is fused in one model, and what was made for it."""

    def __init__(self, names: Names, zeros: bool) -> None:
        self._names, self._zeros = names, zeros
        self._made: dict[tuple[object, ...], ir.Value] = {}

    def fuse(self, reshape: ir.Node) -> bool:
        """Fuse the product and the bias before ``reshape``, where it is one, and they are there."""
        if reshape.op_type != "Reshape" or reshape.domain:
            return False
        add = _made_for(reshape, 0, "Add")
        products = [_made_for(add, operand, "MatMul") for operand in (0, 1)] if add else []
        product = next(filter(None, products), None)
        graph = reshape.graph
        if add is None or product is None or not isinstance(graph, ir.Graph):
            return False
        x, weight = product.inputs
        bias = add.inputs[1 - products.index(product)]
        if x is None or weight is None or bias is None or not _fit(x, weight, bias):
            return False
        size, width = (axes.dimension(weight, axis) for axis in (0, 1))
        assert isinstance(size, int) and isinstance(width, int)
        wanted = _wanted(reshape, x, width)
        if wanted is None or (0 in wanted and not self._zeros):
            return False
        operands = [self._matrix(x, size, graph), weight, self._vector(bias)]
        name = self._names.fresh(f"{product.name or add.outputs[0].name}.gemm")
        gemm = ir.node("Gemm", operands, name=name)
        result, total = gemm.outputs[0], add.outputs[0]
        result.name, result.type = self._names.fresh(f"{total.name}.matrix"), total.type
        result.shape = ir.Shape([None, width])
        graph.insert_before(product, gemm)
        reshape.replace_input_with(0, result)
        if 0 in wanted:
            reshape.replace_input_with(1, self._sizes(x, wanted, graph))
            reshape.attributes["allowzero"] = ir.AttrInt64("allowzero", 1)
        remove_unread([total])
        return True

    def _matrix(self, x: ir.Value, size: int, graph: ir.Graph) -> ir.Value:
        """x [..., size] as a matrix, made as early as x is there."""
        if (graph, x) not in self._made:
            sizes = self._names.integers(-1, size)
            self._made[graph, x] = self._node("Reshape", [x, sizes], f"{x.name}.matrix", x, graph)
            self._made[graph, x].type = x.type
            self._made[graph, x].shape = ir.Shape([None, size])
        return self._made[graph, x]

    def _sizes(self, x: ir.Value, wanted: tuple[int, ...], graph: ir.Graph) -> ir.Value:
        """``wanted`` with the dimensions of x in place of the zeros at the front."""
        own = wanted.count(0)
        dims = tuple(axes.dimension(x, axis) for axis in range(own))
        key = (graph, x if None in dims else dims, wanted)
        if key not in self._made:
            base = f"{x.name}.sizes"
            front = self._names.integers(*range(own))
            shape = self._node("Shape", [x], f"{base}.all", x, graph)
            kept = self._node("Gather", [shape, front], f"{base}.front", shape, graph)
            parts = [kept, self._names.integers(*wanted[own:])] if wanted[own:] else [kept]
            self._made[key] = self._node("Concat", parts, base, kept, graph, axis=0)
            for value, count in (
                (shape, axes.rank(x)),
                (kept, own),
                (self._made[key], len(wanted)),
            ):
                value.type, value.shape = ir.TensorType(ir.DataType.INT64), ir.Shape([count])
        return self._made[key]

    def _node(
        self,
        op_type: str,
        operands: list[ir.Value],
        base: str,
        after: ir.Value,
        graph: ir.Graph,
        **attributes: int,
    ) -> ir.Value:
        """The result of a new node, in ``graph`` behind what makes ``after``."""
        name = self._names.fresh(base)
        node = ir.node(op_type, operands, attributes, name=name)
        node.outputs[0].name = name
        producer = after.producer()
        if producer is not None and producer.graph is graph:
            graph.insert_after(producer, node)
        else:
            graph.insert_before(graph[0], node)
        return node.outputs[0]

    def _vector(self, bias: ir.Value) -> ir.Value:
        if axes.rank(bias) == 1:
            return bias
        tensor = constants.constant_tensor(bias)
        assert tensor is not None
        flat = ir.tensor(np.array(tensor.numpy().reshape(-1)))
        return self._names.initializer(f"{bias.name}.vector", flat)


def _wanted(reshape: ir.Node, x: ir.Value, width: int) -> tuple[int, ...] | None:
    """The constant sizes of a Reshape of [..., width], with zeros for the first dimensions of x."""
    tensor = constants.constant_tensor(reshape.inputs[1]) if len(reshape.inputs) > 1 else None
    if tensor is None:
        return None
    sizes = tuple(tensor.numpy().reshape(-1).tolist())
    if 0 not in sizes:
        return sizes
    before = (axes.rank(x) or 0) - 1
    front, behind = sizes[:before], sizes[before:]
    if set(front) == {0, -1} and min(behind, default=0) > 0 and np.prod(behind) == width:
        sizes = (0,) * before + behind
    own = sizes.count(0)
    if -1 in sizes or any(sizes[:own]) or own > before:
        return None
    return None if reshape.attributes.get_int("allowzero", 0) else sizes


def _made_for(node: ir.Node, operand: int, op_type: str) -> ir.Node | None:
    """The node of ``op_type`` that makes an operand for ``node`` alone."""
    made = produced_by(node.inputs[operand], op_type)
    return made if made is not None and only_reader(made.outputs[0]) is node else None


def _fit(x: ir.Value, weight: ir.Value, bias: ir.Value) -> bool:
    """Whether x is no matrix, and the others are a constant one and a vector for its rows."""
    tensors = [constants.constant_tensor(value) for value in (weight, bias)]
    if None in tensors or constants.constant_tensor(x) is not None:
        return False
    matrix, vector = (tensor.shape.numpy() for tensor in tensors if tensor is not None)
    if x.dtype not in _TYPES or any(value.dtype != x.dtype for value in (weight, bias)):
        return False
    count = axes.rank(x)
    if count is None or count < 3 or len(matrix) != 2 or len(vector) > count:
        return False
    return bool(vector) and vector[-1] == matrix[1] == np.prod(vector) and matrix[0] > 0
