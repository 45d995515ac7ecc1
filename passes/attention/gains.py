"""Which spelling of attention is the faster on the CPU: a rule of what was measured."""

from __future__ import annotations

from graphopt.passes.graph.axes import Dim

__all__ = ["gains_joined", "gains_multi_head"]

_FEWEST_QUERIES = 32
_MOST_KEYS = 512


def gains_multi_head(queries: Dim | None, keys: Dim | None) -> bool:
    """True where MultiHeadAttention without a mask was faster than the multiplications.

    Its kernel goes through the scores in pieces that fit the second cache. Measured (ONNX Runtime
    1.32, one thread, float32, heads of 64 features, the attention alone with its transposes; the
    time of MultiHeadAttention to that of FusedMatMul, Softmax and MatMul):

    ======================  =====  ==========================  =====
    itself                  ratio  others                      ratio
    ======================  =====  ==========================  =====
    8 tokens, 12 heads      0.846  1 query, 1500 keys          1.210
    50 tokens, 12 heads     0.961  4 queries, 1500 keys        1.098
    197 tokens, 3 heads     0.925  16 queries, 64 keys         0.918
    197 tokens, 12 heads    0.871  32 queries, 1500 keys       0.954
    1500 tokens, 6 heads    0.934  128 queries, 1500 keys      0.933
    ======================  =====  ==========================  =====

    So it is taken where a sequence attends to itself, and for 32 queries and more. With a mask the
    kernel is another: 0.972 (within the noise) at 128 tokens, and 1.057 for one.

    Args:
        queries: Length of the queries.
        keys: Length of the keys.
    """
    if isinstance(queries, int) and queries >= _FEWEST_QUERIES:
        return True
    return queries is not None and queries == keys


def gains_joined(keys: Dim | None) -> bool:
    """True where ONNX's Attention is faster if it takes the heads as they lie in x [B, S, N * H].

    It then reads rows that are N * H entries apart, and nothing is transposed. Measured likewise,
    the time with heads joined to that with heads split off by Transpose:

    ===========================  =====  =========================  =====
    1 query, 129 keys, mask      0.41   197 tokens, 3 heads        0.90
    50 tokens, 12 heads          0.73   512 tokens, 12 heads       0.98
    128 tokens, 12 heads, mask   0.84   1024 tokens, 12 heads      1.04
    197 tokens, 12 heads         0.87   1500 tokens, 6 heads       1.05
    ===========================  =====  =========================  =====

    So it is taken up to 512 keys. A length that is not known is taken for short, as the plan takes
    it.

    Args:
        keys: Length of the keys.
    """
    return not isinstance(keys, int) or keys <= _MOST_KEYS
