"""Pre-LN transformers of any size with random weights, made without an exporter.

The graphs are those that exporters write, norm by norm and weight by weight; nothing is traced, so
torch is not needed. A weight is drawn when it is written, so that a model of any number of bytes
takes the memory of its largest weight.
"""

from __future__ import annotations

__all__ = ["KINDS", "SIZES", "Size", "build"]

import onnx_ir as ir

from graphopt.errors import UsageError
from graphopt.models.synthetic.gpt import gpt
from graphopt.models.synthetic.graph_builder import GraphBuilder
from graphopt.models.synthetic.size import KINDS, SIZES, Size
from graphopt.models.synthetic.vit import vit

_MAKERS = {"gpt": gpt, "vit": vit}
_TYPES = {"float32": ir.DataType.FLOAT, "float16": ir.DataType.FLOAT16}


def build(kind: str, size: Size, *, dtype: str = "float32", seed: int = 0) -> ir.Model:
    """A model whose weights are drawn when they are read, the same for the same seed.

    Args:
        kind: "gpt": tokens [batch, sequence] to logits [batch, sequence, vocab], with a causal
            mask. "vit": pictures [batch, 3, image, image] to logits [batch, vocab].
        size: how large it is; `SIZES` has one for each kind.
        dtype: "float32" or "float16", of weights and values.
        seed: 0 or more.

    Raises:
        UsageError: the kind or dtype is unknown, the size is none that a transformer can have, or
            the seed is negative.
    """
    size.check(kind)
    if dtype not in _TYPES:
        raise UsageError(f"unknown dtype {dtype!r}: choose {' or '.join(_TYPES)}")
    return _MAKERS[kind](GraphBuilder(_TYPES[dtype], seed), size)
