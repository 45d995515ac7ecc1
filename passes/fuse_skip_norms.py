"""Fuse a residual Add and the norm behind it to one of ONNX Runtime's skip-norms."""

from __future__ import annotations

import onnx_ir as ir

from graphopt.passes.norms.skip_norms import fuse_skip_norm, fused_type
from graphopt.passes.rewrite import Rewrite

__all__ = ["FuseSkipNorms"]


class FuseSkipNorms(Rewrite):
    """Add and the norm behind it become SkipLayerNormalization or SkipSimplifiedLayerNormalization.

    For the CUDA execution provider of ONNX Runtime only: its CPU kernels are scalar code. The
    session itself fuses Add and LayerNormalization only where the Add has one reader, and RMSNorms
    never.

    1. The sum becomes the fourth output where it has other readers (the residual stream).
    2. A second Add of a constant bias [d] before or after the residual Add is taken in; it must
       have one reader.
    3. Rank 2 or 3; operands of the same, proved shape (the second may be [S, d] or [1, S, d] beside
       [B, S, d]); constant gamma [d] and beta [d]; all of one type, float32, float16 or bfloat16.
    4. Epsilon is always written: the defaults differ from those of the unfused norms. The kernels
       refuse a negative one.
    """

    needs_shapes = True

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Fuse in place; ``record`` counts the fused nodes by operator."""
        self.record = {"SkipLayerNormalization": 0, "SkipSimplifiedLayerNormalization": 0}
        for graph in model.graphs():
            for node in list(graph):
                if fuse_skip_norm(model, node):
                    self.record[fused_type(node)] += 1
        return ir.passes.PassResult(model, modified=any(self.record.values()))
