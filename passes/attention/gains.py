"""Which spelling of attention is the faster: a rule of what was measured, and one of sources.

On the CPU it was measured. On CUDA nothing was: that rule rests on what ONNX Runtime's sources say.
"""

from __future__ import annotations

from graphopt.passes.graph.axes import Dim

__all__ = ["gains_joined", "gains_multi_head", "gains_multi_head_on_cuda"]

_FEWEST_QUERIES = 32
_MOST_KEYS = 512
_ALIGNED_FEATURES = 8
_MOST_FEATURES = 256


def gains_multi_head(queries: Dim | None, keys: Dim | None) -> bool:
    """True where MultiHeadAttention was faster than the multiplications, on the CPU.

    Its kernel goes through the scores in pieces that fit the second cache. Measured (ONNX Runtime
    1.32, one thread, float32, the attention alone with its transposes; the time of
    MultiHeadAttention to that of FusedMatMul, Softmax and MatMul), without a mask, heads of 64
    features:

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
    kernel is another, which adds it while it multiplies; to that of an Add beside (12 heads):

    ==========================  =====  ==========================  =====
    32 features                 ratio  64 features                 ratio
    ==========================  =====  ==========================  =====
    64 tokens, 16 samples       1.030  16 tokens                   0.964
    128 tokens                  0.980  32 tokens                   1.005
    384 tokens                  0.903  128 tokens                  0.995
    512 tokens                  0.911  128 tokens, 8 samples       0.946
                                       512 tokens                  0.928
    ==========================  =====  ==========================  =====

    A bias of every head gains nothing: 1.03 at 128 tokens, 1.00 at 512, 1.03 in windows of 49.

    Args:
        queries: Length of the queries.
        keys: Length of the keys.
    """
    if isinstance(queries, int) and queries >= _FEWEST_QUERIES:
        return True
    return queries is not None and queries == keys


def gains_multi_head_on_cuda(size: int, value_size: int) -> bool:
    """True where MultiHeadAttention without a mask has a fused kernel on CUDA.

    Not measured: it is what multihead_attention.cc (ONNX Runtime, contrib_ops/cuda/bert) chooses.
    Without a mask float16 goes to flash attention on GPUs from Ampere on, where queries, keys and
    values have heads of one size, a multiple of 8 and 256 at the most; else, and in float32 from a
    length on, to the memory-efficient kernel of CUTLASS, which needs aligned heads likewise. Both
    read [B, S, N * H] as it lies and write no scores. In shorter float32 the operator is unfused:
    two multiplications and a Softmax, as the graph has them, so that nothing much is expected
    there. The length is asked at run time, so it is no part of the rule.

    With a mask flash attention is not taken at all, and the memory-efficient kernel multiplies
    scores by log2(e) behind the mask: a fill of -3.4e38 becomes -inf there, and a row that is
    masked whole has no mean of the values any more, as it has in the graph. So none is fused.

    Args:
        size: Features of a head of the queries and keys.
        value_size: Features of a head of the values.
    """
    return size == value_size and size % _ALIGNED_FEATURES == 0 and size <= _MOST_FEATURES


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
