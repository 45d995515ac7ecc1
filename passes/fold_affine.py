"""Move the affine part of converted norms into the linear maps that read them."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from graphopt.passes.graph import constants
from graphopt.passes.graph.edits import Scale
from graphopt.passes.graph.naming import Names
from graphopt.passes.graph.overflow import scaling_leaves_range
from graphopt.passes.norms.canonical import epsilon_of
from graphopt.passes.planning.plan import Plan
from graphopt.passes.rewrite import PlannedRewrite
from graphopt.passes.streams.affine import BIASED, Affine, contracted_beta
from graphopt.passes.streams.linear_readers import LinearReader
from graphopt.passes.streams.trace import Norm

__all__ = ["FoldAffine"]


class FoldAffine(PlannedRewrite):
    """Fold beta, and gamma where that lets twin norms merge, as the plan says.

    1. beta goes into the bias of every linear reader as W beta, never as beta / gamma: gamma may be
       0. Gemm computes alpha A B + beta' C, so its C becomes beta' C + alpha (W beta), and its
       beta' 1. A reader without a bias gets an Add behind it.
    2. gamma is free where it is: every RMSNorm kernel multiplies by it. It goes into the rows of
       the weights only where norms of one value differ by nothing but gamma, and nobody else reads
       the weights: then the norms become one node.
    3. A bias that others read, too, is copied; it is small.

    Args:
        plan: The plan; recentring has been applied.
    """

    @property
    def after(self) -> tuple[str, ...]:
        """What must have been applied: biases are added to weights that are centred already."""
        return ("Recentre",)

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Fold into ``model``."""
        names = Names(model)
        self.record = {"betas folded": 0, "biases added": 0, "gammas folded": 0}
        for norm in self.plan.converted:
            if self.plan.affine[norm].beta != "stays":
                self._fold_beta(names, norm, self.plan.affine[norm])
        for norm in gammas_to_fold(self.plan):
            self._fold_gamma(names, norm, self.plan.affine[norm])
        return ir.passes.PassResult(model, modified=any(self.record.values()))

    def _fold_beta(self, names: Names, norm: Norm, part: Affine) -> None:
        bias = norm.node.inputs[2] if len(norm.node.inputs) > 2 else None
        if bias is None:
            return
        norm.node.replace_input_with(2, None)
        if part.beta == "none":
            return
        beta = constants.vector(bias, norm.stream.axis.size)
        for reader in part.linear or ():
            if reader.bias_node is None:
                self._add_bias(names, reader, beta)
            else:
                _extend_bias(names, reader, reader.bias_node, beta)
        self.record["betas folded"] += 1

    def _add_bias(self, names: Names, reader: LinearReader, beta: np.ndarray) -> None:
        node, result = reader.node, reader.node.outputs[0]
        assert node.graph is not None
        bias = names.initializer(f"{node.name}.bias", _new_bias(reader, None, beta))
        total = ir.Value(type=result.type, shape=result.shape)
        total.meta.update(result.meta)
        ir.convenience.replace_all_uses_with(result, total, replace_graph_outputs=True)
        result.meta[BIASED] = total
        total.name, result.name = result.name, names.fresh(f"{result.name}.unbiased")
        add = ir.node(
            "Add", [result, bias], outputs=[total], name=names.fresh(f"{node.name}.add_bias")
        )
        node.graph.insert_after(node, add)
        self.record["biases added"] += 1

    def _fold_gamma(self, names: Names, norm: Norm, part: Affine) -> None:
        scale = norm.node.inputs[1]
        assert scale is not None
        gamma = constants.vector(scale, norm.stream.axis.size)
        for reader in part.linear or ():
            weight = reader.node.inputs[1]
            assert weight is not None
            names.edit(weight, [Scale(reader.axis, gamma)])
        tensor = constants.constant_tensor(scale)
        assert tensor is not None
        ones = np.ones([norm.stream.axis.size], dtype=tensor.dtype.numpy())
        norm.node.replace_input_with(
            1, names.initializer(f"{scale.name}.ones", ir.Tensor(ones, dtype=tensor.dtype))
        )
        self.record["gammas folded"] += 1


def gammas_to_fold(plan: Plan) -> list[Norm]:
    """Converted norms that could be one node but for their gammas."""
    twins: dict[tuple[object, ...], list[Norm]] = {}
    for norm in plan.converted:
        epsilon = epsilon_of(norm.node)
        stash = norm.node.attributes.get_int("stash_type", 1)
        twins.setdefault((norm.stream, epsilon, stash), []).append(norm)
    return [
        norm
        for group in twins.values()
        if len(group) > 1 and all(_can_lose_gamma(plan, norm) for norm in group)
        for norm in group
    ]


def _can_lose_gamma(plan: Plan, norm: Norm) -> bool:
    part, scale = plan.affine[norm], norm.node.inputs[1]
    if scale is None or constants.constant_tensor(scale) is None:
        return False
    if part.beta == "stays" or not part.gamma_is_free:
        return False
    gamma = constants.vector(scale, norm.stream.axis.size)
    weights = [constants.constant_tensor(each.node.inputs[1]) for each in part.linear or ()]
    return not any(scaling_leaves_range(weight, gamma) for weight in weights if weight is not None)


def _extend_bias(names: Names, reader: LinearReader, node: ir.Node, beta: np.ndarray) -> None:
    """Give ``node`` a new constant bias: the one that it has, plus W beta."""
    index = reader.bias_index
    old = node.inputs[index] if len(node.inputs) > index else None
    base = f"{reader.node.name}.bias" if old is None else f"{old.name}.with_beta"
    new = names.initializer(base, _new_bias(reader, old, beta))
    if len(node.inputs) <= index:
        node.resize_inputs(index + 1)
    node.replace_input_with(index, new)
    if reader.bias_factor != 1.0:
        node.attributes["beta"] = ir.AttrFloat32("beta", 1.0)


def _new_bias(reader: LinearReader, old: ir.Value | None, beta: np.ndarray) -> ir.TensorProtocol:
    """old + W beta, computed when it is read: in float64, rounded once."""
    weight = constants.constant_tensor(reader.node.inputs[1])
    assert weight is not None
    tensor = constants.constant_tensor(old)
    alpha = reader.node.attributes.get_float("alpha", 1.0)
    shape = [reader.outputs]
    if tensor is not None:
        shape = list(np.broadcast_shapes(tuple(tensor.shape.numpy()), (reader.outputs,)))

    def compute() -> ir.TensorProtocol:
        total = alpha * contracted_beta(weight, reader.axis, beta)
        if tensor is not None:
            total = reader.bias_factor * constants.exact(tensor) + total
        return ir.Tensor(total.astype(weight.dtype.numpy()), dtype=weight.dtype)

    return ir.LazyTensor(compute, weight.dtype, ir.Shape(shape))
