"""The bodies of the operators of the domain graphopt: what runs where no kernel is loaded."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

import onnx_ir as ir
import onnxscript

from graphopt.passes.graph.constants import HALF
from graphopt.passes.operators.gelus import GELU, GELUS, TANH_GELU

__all__ = ["build_body"]

# The first opset with CastLike.
_CAST_LIKE = 15
# The first opset in which the axes of a reduction are an input.
_AXES_ARE_AN_INPUT = {"ReduceMean": 18, "ReduceSum": 13}


def build_body(
    operator: ir.OperatorIdentifier,
    operands: Sequence[str],
    dtype: ir.DataType,
    opset: int,
    has_sum: bool,
) -> ir.Function:
    """The function of an operator: what it computes follows from the operands that it has.

    A function of ONNX runs at the one opset that it names, and cannot tell whether an optional
    input is there; so both are fixed in it. Its types are not: from opset 15 on, the first with
    CastLike, one body serves float32, float16 and bfloat16, and a converter to float16 that changes
    a model and not its functions leaves a model that runs. It computes in float32 and gives the
    type of X back; ONNX Runtime drops the Casts from float32 to float32 before it fuses. float64,
    which that would round, has a body of its own, and below opset 15 so has each type.

    Args:
        operator: Its domain, name and overload.
        operands: The names of its inputs. A GELU is of the sum of X and the bias if there is one.
            Of norms one with ``beta`` is a LayerNorm, one with ``gamma`` alone an RMSNorm, else it
            is a CRMSNorm; with ``residual`` it normalizes the sum of X, the bias if there is one,
            and the residual.
        dtype: The element type of all its tensors. From opset 15 on it matters only if it is
            float64.
        opset: The version of the ONNX operators, 12 or later.
        has_sum: With a residual, return the sum too.

    Returns:
        A function with the outputs Y and, if asked for, sum; that of a norm with the attribute
        epsilon.
    """
    domain, name, _ = operator

    def trace(op: onnxscript.OpBuilder, *inputs: ir.Value) -> list[ir.Value]:
        body, given = _Body(op, dtype, opset), dict(zip(operands, inputs, strict=True))
        x = given["X"]
        if name in GELUS:
            y = body.gelu(name, x, given.get("bias"))
            y.name = "Y"
            return [y]
        if "residual" in given:
            addends = [given[name] for name in ("bias", "residual") if name in given]
            x = body.sum_at_once(x, addends) if "beta" in given else body.sum_by_add(x, addends)
            x.name = "sum"
        if "beta" in given:
            y = body.layer_norm(x, given["gamma"], given["beta"])
        else:
            y = body.rms_norm(x, given["gamma"]) if "gamma" in given else body.crms_norm(x)
        y.name = "Y"
        return [y, x] if has_sum else [y]

    return onnxscript.build_function(
        trace,
        [ir.Value(name=operand) for operand in operands],
        domain=domain,
        name=name,
        attributes=[] if name in GELUS else [ir.Attr("epsilon", ir.AttributeType.FLOAT, None)],
        opset_imports={"": opset},
    )


@dataclasses.dataclass(frozen=True)
class _Body:
    """Adds the steps of an operator to its body.

    Attributes:
        op: Adds the operator that it is asked for to the body.
        dtype: The element type of all tensors of the operator.
        opset: The version of the ONNX operators.
    """

    op: onnxscript.OpBuilder
    dtype: ir.DataType
    opset: int

    def sum_by_add(self, x: ir.Value, addends: Sequence[ir.Value]) -> ir.Value:
        """x + bias + residual, in this order."""
        for addend in addends:
            x = self.op.Add(x, addend)
        return x

    def sum_at_once(self, x: ir.Value, addends: Sequence[ir.Value]) -> ir.Value:
        """The same by Sum.

        ONNX Runtime fuses an Add and a LayerNormalization behind it to its SkipLayerNormalization,
        which is scalar code on the CPU: 827 us on 128 x 768, where two Adds and a norm take 144 us.
        """
        total: ir.Value = self.op.Sum(x, *addends)
        return total

    def layer_norm(self, x: ir.Value, gamma: ir.Value, beta: ir.Value) -> ir.Value:
        """gamma * (x - mean(x)) / sqrt(mean((x - mean(x))^2) + epsilon) + beta.

        From opset 17 on it is LayerNormalization, which ONNX Runtime computes in float64 where x is
        that. Below, it is the spelling that is fused to it in float32.
        """
        if self.opset >= 17:
            epsilon = ir.RefAttr("epsilon", "epsilon", ir.AttributeType.FLOAT)
            y: ir.Value = self.op.LayerNormalization(x, gamma, beta, axis=-1, epsilon=epsilon)
            return y
        op, wide = self.op, self._widen(x)
        centred = op.Sub(wide, self._reduce("ReduceMean", wide))
        shifted: ir.Value = op.Add(self._scaled(centred, gamma), beta)
        return shifted

    def rms_norm(self, x: ir.Value, gamma: ir.Value) -> ir.Value:
        """gamma * x / sqrt(mean(x^2) + epsilon), in float32 at least.

        ONNX Runtime inlines the function and folds its constants first; it then fuses this one
        spelling to its RMS kernel, and reads epsilon there: a float32 constant and the second input
        of the Add. What it fuses and what it does not is told at
        :class:`~graphopt.passes.lower_norms.LowerNorms`.
        """
        return self._scaled(self._widen(x), gamma)

    def _scaled(self, wide: ir.Value, gamma: ir.Value) -> ir.Value:
        """gamma * wide / sqrt(mean(wide^2) + epsilon), narrowed before gamma."""
        op = self.op
        if self.dtype == ir.DataType.DOUBLE:  # a Mul keeps the fusion away, which loses precision
            square = op.Mul(wide, wide)
        else:
            square = op.Pow(wide, op.Constant(value_float=2.0))
        moment = self._reduce("ReduceMean", square)
        normalized = op.Div(wide, op.Sqrt(op.Add(moment, self._epsilon())))
        scaled: ir.Value = op.Mul(self._narrow(normalized, gamma), gamma)
        return scaled

    def crms_norm(self, x: ir.Value) -> ir.Value:
        """x / sqrt((sum(x^2) + sum(x)^2) / d + epsilon) over d - 1 features, in float32 at least.

        ONNX Runtime has no kernel to fuse it to. This spelling takes less than half the time of the
        obvious one: its ReduceSum is vectorized where its ReduceSumSquare is not, and multiplies a
        row by a number faster than it divides it. The size comes from the shape: nodes of several
        sizes share a body.
        """
        op, wide = self.op, self._widen(x)
        squares = self._reduce("ReduceSum", op.Mul(wide, wide))
        total = self._reduce("ReduceSum", wide)
        energy = op.Add(squares, op.Mul(total, total))
        length = op.Gather(op.Shape(x), op.Constant(value_int=-1))
        one = op.Constant(value=ir.tensor(1.0, self._wide_type))
        d = op.Add(op.Cast(length, to=self._wide_type), one)
        shifted = op.Add(op.Div(energy, d), self._epsilon())
        return self._narrow(op.Mul(wide, op.Reciprocal(op.Sqrt(shifted))), x)

    def gelu(self, name: str, x: ir.Value, bias: ir.Value | None) -> ir.Value:
        """The GELU ``name`` of x + bias, in float32 at least.

        ONNX Runtime inlines the function and fuses these spellings to its own Gelu, BiasGelu,
        FastGelu and QuickGelu.
        """
        op, v = self.op, self._widen(x)
        if bias is not None:
            v = op.Add(v, self._widen(bias))
        if name == GELU:
            gate = op.Erf(op.Div(v, self._number(math.sqrt(2))))
            double = op.Mul(v, op.Add(gate, self._number(1)))
            return self._narrow(op.Mul(double, self._number(0.5)), x)
        if name == TANH_GELU:
            cube = op.Mul(op.Pow(v, self._number(3)), self._number(0.044715))
            gate = op.Tanh(op.Mul(op.Add(v, cube), self._number(math.sqrt(2 / math.pi))))
            half = op.Mul(v, self._number(0.5))
            return self._narrow(op.Mul(half, op.Add(gate, self._number(1))), x)
        return self._narrow(op.Mul(v, op.Sigmoid(op.Mul(v, self._number(1.702)))), x)

    def _number(self, number: float) -> ir.Value:
        constant: ir.Value = self.op.Constant(value=ir.tensor(number, self._wide_type))
        return constant

    @property
    def _wide_type(self) -> ir.DataType:
        return ir.DataType.DOUBLE if self.dtype == ir.DataType.DOUBLE else ir.DataType.FLOAT

    @property
    def _names_no_type(self) -> bool:
        return self.dtype != ir.DataType.DOUBLE and self.opset >= _CAST_LIKE

    def _widen(self, x: ir.Value) -> ir.Value:
        needs_cast = self._names_no_type or self.dtype in HALF
        return self.op.Cast(x, to=self._wide_type) if needs_cast else x

    def _narrow(self, x: ir.Value, like: ir.Value) -> ir.Value:
        if self._names_no_type:
            narrowed: ir.Value = self.op.CastLike(x, like)
            return narrowed
        return self.op.Cast(x, to=self.dtype) if self.dtype in HALF else x

    def _epsilon(self) -> ir.Value:
        """The attribute, which is a float32 whatever the type."""
        attribute = ir.RefAttr("value_float", "epsilon", ir.AttributeType.FLOAT)
        epsilon: ir.Value = self.op.Constant(value_float=attribute)
        is_double = self.dtype == ir.DataType.DOUBLE
        return self.op.Cast(epsilon, to=self.dtype) if is_double else epsilon

    def _reduce(self, op_type: str, x: ir.Value) -> ir.Value:
        """A reduction over the last axis, which an attribute names up to some opset."""
        reduce: Callable[..., ir.Value] = getattr(self.op, op_type)
        if self.opset < _AXES_ARE_AN_INPUT[op_type]:
            return reduce(x, axes=[-1], keepdims=1)
        return reduce(x, self.op.Constant(value_ints=[-1]), keepdims=1)
