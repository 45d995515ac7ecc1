"""Write attention as one operator."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import onnx_ir as ir

from graphopt.passes.attention import padding
from graphopt.passes.attention.gains import gains_multi_head, gains_multi_head_on_cuda
from graphopt.passes.attention.heads import (
    SPLIT_KEYS,
    Heads,
    joining,
    put,
    split_from,
)
from graphopt.passes.attention.masks import Mask, mask_of
from graphopt.passes.attention.padding import PaddingMasks
from graphopt.passes.choices import PROVIDER
from graphopt.passes.graph import axes, constants
from graphopt.passes.graph.naming import Names, all_nodes
from graphopt.passes.graph.walking import only_reader, orders, produced_by
from graphopt.passes.rewrite import Rewrite
from graphopt.passes.targets import Provider, provider_named

__all__ = ["FuseAttention"]

_MICROSOFT = "com.microsoft"


class FuseAttention(Rewrite):
    """softmax(c Q K^T + mask) V, of x [B, S, N * H], becomes MultiHeadAttention.

    1. Q, K and V are heads split off by Reshape and Transpose; N and H are numbers, and it is
       proved that all have one B, K and V one length, Q and K one H (V may have another). A Reshape
       joins those that were split off anything else than [B, S, N * H].
    2. Nothing is added to the scores, or on the CPU one mask of ``passes/attention/masks.py``,
       finite and for all heads, which the kernel adds as the graph does. What else is added stays:
       release 1.20 of ONNX Runtime reads a bias [B, 1, S, T] wrongly, and one for each head gains
       nothing. On CUDA a mask takes a kernel that makes something else of a row that is masked
       whole. A guard behind Softmax leaves attention as it is.
    3. c is one, or one finite constant that is not 0 behind the product, and a float32 (a divisor,
       too: its reciprocal).
    4. Softmax goes over the last axis. Nobody else reads scores, weights or what becomes of them,
       and none of these is a graph output. What other readers the heads have does not matter.
    5. Behind, Transpose and Reshape join the heads again.
    6. A type that the provider has the kernel for: float32, and on CUDA float16 (which the CPU
       runs, too, between casts to float32).
    7. It is the faster spelling (``passes/attention/gains.py``).

    Scores that overflow give what the kernel makes of them, as in ONNX Runtime's own fusions. Up to
    release 1.27 the kernel ends the process where there are no samples (docs/operators.md).

    Args:
        provider: Execution provider that the result is made for.
    """

    needs_shapes = True

    def __init__(self, provider: str = PROVIDER.default) -> None:
        super().__init__()
        self.target = provider_named(provider)

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Rewrites ``model`` in place."""
        names, opset = Names(model), model.graph.opset_imports.get("", 1)
        masks = PaddingMasks(names, opset)
        fused = sum(_fuse(self.target, names, masks, opset, node) for node in all_nodes(model))
        self.record = {"attentions fused": fused}
        if fused:
            model.opset_imports.setdefault(_MICROSOFT, 1)
        return ir.passes.PassResult(model, modified=fused > 0)


@dataclasses.dataclass(frozen=True)
class _Attention:
    query: Heads
    key: Heads
    value: Heads
    scale: float
    mask: Mask | None

    @property
    def fits(self) -> bool:
        """Rules 1 and 2."""
        if self.mask is not None and not padding.fits(self.mask, self.query, self.key):
            return False
        parts = (self.query, self.key, self.value)
        if any(part.batch is None or part.batch != self.query.batch for part in parts):
            return False
        if self.key.length is None or self.key.length != self.value.length:
            return False
        one_count = len({part.count for part in parts}) == 1
        return one_count and self.query.size == self.key.size

    def gains(self, target: Provider) -> bool:
        """Rule 7."""
        if target.is_device:
            if self.mask is not None:
                return False
            return gains_multi_head_on_cuda(self.query.size, self.value.size)
        return gains_multi_head(self.query.length, self.key.length)


def _fuse(
    target: Provider, names: Names, masks: PaddingMasks, opset: int, softmax: ir.Node
) -> bool:
    if softmax.op_type != "Softmax" or softmax.domain or softmax.graph is None:
        return False
    if softmax.attributes.get_int("axis", -1 if opset >= 13 else 1) not in (-1, 3):
        return False
    mixing = only_reader(softmax.outputs[0], "MatMul")
    if mixing is None or mixing.inputs[0] is not softmax.outputs[0]:
        return False
    found = _read(softmax, mixing)
    mixed = mixing.outputs[0]
    if found is None or not found.fits or not found.gains(target):
        return False
    if mixed.dtype is None or mixed.dtype.name not in target.attention_types:
        return False
    join = joining(mixed, found.value.count, found.value.size)
    if join is None:
        return False
    put(join, _write(names, masks, found, mixing))
    return True


def _read(softmax: ir.Node, mixing: ir.Node) -> _Attention | None:
    """Rules 1 to 4: what Softmax weighs, and by what."""
    scores, mask, reader = _unmasked(softmax)
    scale = 1.0
    scaling = produced_by(scores, "Mul", "Div")
    if scaling is not None:
        number = _scale(scaling)
        if number is None or only_reader(scaling.outputs[0]) is not reader:
            return None
        scores, scale, reader = scaling.inputs[0], number, scaling
    product = produced_by(scores, "MatMul")
    if product is None or scores is None or only_reader(scores) is not reader:
        return None
    query, value = split_from(product.inputs[0]), split_from(mixing.inputs[1])
    key = _keys(product.inputs[1])
    if query is None or key is None or value is None:
        return None
    return _Attention(query, key, value, scale, mask)


def _unmasked(softmax: ir.Node) -> tuple[ir.Value | None, Mask | None, ir.Node]:
    """The scores before a mask is added to them, the mask, and what reads these scores."""
    adding = produced_by(softmax.inputs[0], "Add")
    for scores, added in orders(adding):
        mask = mask_of(added)
        if mask is not None and adding and only_reader(adding.outputs[0]) is softmax:
            return scores, mask, adding
    return softmax.inputs[0], None, softmax


def _scale(node: ir.Node) -> float | None:
    """The constant that the first operand of ``node`` is multiplied by."""
    constant = node.inputs[1]
    tensor = constants.constant_tensor(constant)
    if tensor is None or tensor.size != 1 or (axes.rank(constant) or 0) > 4:
        return None
    number = float(np.asarray(tensor.numpy()).reshape(-1)[0])
    if not math.isfinite(number) or number == 0:
        return None
    factor = 1.0 / number if node.op_type == "Div" else number
    return factor if float(np.float32(factor)) == factor else None


def _keys(value: ir.Value | None) -> Heads | None:
    """The keys, transposed at once or in two steps."""
    turn = produced_by(value, "Transpose")
    if turn is not None and tuple(turn.attributes.get_ints("perm", ())) == (0, 1, 3, 2):
        return split_from(turn.inputs[0])
    return split_from(value, SPLIT_KEYS)


def _write(names: Names, masks: PaddingMasks, found: _Attention, mixing: ir.Node) -> ir.Value:
    """MultiHeadAttention [B, S, N * H], before the multiplication by V."""
    mixed, value = mixing.outputs[0], found.value
    name = names.fresh(f"{mixed.name}.joined")
    operands: list[ir.Value | None] = [
        part.join(names, mixing) for part in (found.query, found.key, value)
    ]
    attributes: dict[str, int | float] = {"num_heads": found.query.count, "scale": found.scale}
    graph = mixing.graph
    assert graph is not None
    if found.mask is not None:
        operands += [None, masks.write(found.mask, graph)]
        attributes["mask_filter_value"] = found.mask.fill
    node = ir.node(
        "MultiHeadAttention",
        operands,
        attributes,
        domain=_MICROSOFT,
        name=name,
    )
    result = node.outputs[0]
    result.name, result.type = name, mixed.type
    result.shape = ir.Shape([*found.query.sizes[:2], value.count * value.size])
    graph.insert_before(mixing, node)
    return result
