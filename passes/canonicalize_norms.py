"""Rewrite every spelling of LayerNorm to one canonical node."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from graphopt.passes.graph.constants import constant_tensor
from graphopt.passes.graph.naming import Names
from graphopt.passes.norms import decomposed_norms, original_spelling
from graphopt.passes.norms.canonical import canonical_node, epsilon_of
from graphopt.passes.norms.original_spelling import NAME, ORIGINAL, SPELLING
from graphopt.passes.norms.recognition import feature_count, unsupported_reason
from graphopt.passes.rewrite import Rewrite

__all__ = ["CanonicalizeNorms"]

"""What the operator's float attribute holds where it is left out, to the last digit."""


class CanonicalizeNorms(Rewrite):
    """Rewrite every LayerNorm over the last axis to ``LayerNormalization(x, scale[d], bias[d]?)``.

    The attributes axis (non-negative where the rank is known), epsilon and stash_type are explicit;
    the one output keeps its name. ``meta`` holds how the norm was written, so that RestoreNorms can
    write it that way again, its spelling and the name it is reported under (see original_spelling).

    Rules:

    1. LayerNormalization in any form: attributes omitted or explicit, bias present, absent or
       empty, further outputs that nobody reads. One whose Mean or InvStdDev is read is left as it
       is, but for ``meta``; float16 values with float32 gamma are widened first, as ONNX Runtime
       does it; one that `recognition.unsupported_reason` names is left entirely.
    2. Primitive operators (decomposed_norms.spelled_norms): ReduceMean (or ReduceSum / d), Sub, Pow
       or Mul, ReduceMean, Add, then Sqrt and Div, or Reciprocal, 1 / Sqrt or Pow(-0.5) and Mul;
       with a second mean for the variance (torch.var with correction 0), with Casts around, with
       the affine part before, inside or after, or folded to x * f + (beta - mean * f).
    3. Intermediate values that are read elsewhere stay alive with what computes them; the norm is
       rewritten nonetheless. Several affine parts of one normalization become one norm each.
    4. A constant gamma or beta that is not of shape [d] becomes a new [d] initializer, one that
       repeats a row for each token too; an absent gamma becomes ones.
    5. The main graph and every nested graph. Shapes must have been inferred: the last axis is told
       by the rank, and d must be static.
    """

    needs_shapes = True

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Rewrite in place; ``record`` counts the norms by spelling."""
        self.record = {"LayerNormalization": 0, "decomposed": 0}
        names = Names(model)
        for graph in model.graphs():
            order = {node: position for position, node in enumerate(graph)}
            for node in order:
                if node.graph is not graph or SPELLING in node.meta:
                    continue
                if node.op_type == "LayerNormalization" and not node.domain:
                    self.record["LayerNormalization"] += _canonicalize(node, names)
                    continue
                # Anew for each: what one affine part gives may be the gamma of the next.
                while spelled := decomposed_norms.spelled_norms(node):
                    norm = spelled[0]
                    _replace(norm, sorted(norm.nodes, key=order.__getitem__), names)
                    self.record["decomposed"] += 1
        return ir.passes.PassResult(model, modified=any(self.record.values()))


def _canonicalize(node: ir.Node, names: Names) -> bool:
    """Make a LayerNormalization canonical; False where it stays as it is."""
    if unsupported_reason(node) is not None:
        return False
    output = node.outputs[0]
    if any(extra.uses() or extra.is_graph_output() for extra in node.outputs[1:]):
        node.meta[SPELLING], node.meta[NAME] = "LayerNormalization", node.name or output.name
        return False
    x, scale = node.inputs[0], node.inputs[1]
    assert x is not None and scale is not None
    size = feature_count(x, scale)
    assert size is not None
    originals = (x, scale, node.inputs[2] if len(node.inputs) > 2 else None)
    if x.dtype is not None and scale.dtype not in (None, x.dtype):
        node.outputs[0].type = ir.TensorType(scale.dtype)
    epsilon = epsilon_of(node)
    stash_type = node.attributes.get_int("stash_type", 1)
    _write(node, [node], originals, size, epsilon, stash_type, "LayerNormalization", names)
    return True


def _replace(norm: decomposed_norms.SpelledNorm, nodes: list[ir.Node], names: Names) -> None:
    node = norm.output.producer()
    assert node is not None
    originals = (norm.x, norm.scale, norm.bias)
    _write(node, nodes, originals, norm.size, norm.epsilon, 1, "decomposed", names)


def _write(
    last: ir.Node,
    nodes: list[ir.Node],
    originals: tuple[ir.Value, ir.Value | None, ir.Value | None],
    size: int,
    epsilon: float,
    stash_type: int,
    spelling: str,
    names: Names,
) -> None:
    """Put the canonical node in the place of ``last`` and remove what is read no more."""
    x, gamma, beta = originals
    graph, old = last.graph, last.outputs[0]
    assert graph is not None
    if gamma is not None and gamma.dtype is not None and x.dtype not in (None, gamma.dtype):
        x = _widened(x, gamma.dtype, last, names)
    scale = _ones(f"{old.name}_scale", x, size, names) if gamma is None else gamma
    scale = _per_feature(scale, size, names)
    bias = None if beta is None else _per_feature(beta, size, names)
    node = canonical_node(x, scale, bias, epsilon, stash_type)
    node.name, new = last.name, node.outputs[0]
    node.meta[SPELLING], node.meta[NAME] = spelling, last.name or old.name
    node.meta[ORIGINAL] = original_spelling.record(nodes, originals, (x, scale, bias))
    # below opset 17 nothing infers what ONNX Runtime's optimizer writes as LayerNormalization
    new.name, new.type, new.shape = old.name, old.type or x.type, old.shape or x.shape
    new.meta.update(old.meta)
    graph.insert_before(last, node)
    old.replace_all_uses_with(new, replace_graph_outputs=True)
    for dead in reversed(nodes):
        if not any(value.uses() or value.is_graph_output() for value in dead.outputs):
            graph.remove(dead, safe=True)


def _widened(x: ir.Value, dtype: ir.DataType, norm: ir.Node, names: Names) -> ir.Value:
    """``x`` in the type of gamma, in which ONNX Runtime computes such a norm."""
    cast = ir.node("Cast", [x], {"to": dtype.value}, name=names.fresh(f"{norm.outputs[0].name}.x"))
    assert norm.graph is not None
    norm.graph.insert_before(norm, cast)
    wide = cast.outputs[0]
    wide.name, wide.type, wide.shape = cast.name, ir.TensorType(dtype), x.shape
    return wide


def _ones(name: str, x: ir.Value, size: int, names: Names) -> ir.Value:
    dtype = x.dtype
    assert dtype is not None
    return names.initializer(name, ir.tensor(np.ones(size, dtype.numpy()), dtype=dtype))


def _per_feature(value: ir.Value, size: int, names: Names) -> ir.Value:
    """``value`` itself where its shape is [d], else a new constant of that shape."""
    tensor = constant_tensor(value)
    if tensor is None or list(tensor.shape) == [size]:
        return value
    spread = np.broadcast_to(tensor.numpy().reshape(-1)[:size], (size,)).copy()
    return names.initializer(f"{value.name}_per_feature", ir.tensor(spread, dtype=tensor.dtype))
