"""The minimum cut behind a plan.

For each stream v three binary variables: ``made`` (v itself is computed centred), ``moves`` (the
mean of v may change: nobody reads it) and ``at_hand`` (a centred copy of v is available, v itself
or an explicit recentring of it); for each norm one, ``converts``. With gains for norms and costs
for recentrings and copies, and with implications alone

    converts(n) => at_hand(input of n)
    made(p)     => at_hand(v)     p carries v
    made(v)     => at_hand(v), moves(v)
    moves(v)    => moves(p)       p carries v: the mean of p moves with that of v
    not made(v)                   the producer of v does not commute with centring
    not moves(v)                  v is read raw

the best choice is a minimum cut (implications.py); the cost of a recentring or a copy is that of
at_hand without made.

Where streams may be compressed, each has three more: ``compressed`` (v itself is computed with
d - 1 features), ``encoded`` (a compressed copy of v is available) and ``unread`` (nobody reads v
whole); and each norm one more, ``compresses``:

    compresses(n) => converts(n), encoded(input of n)
    compressed(p) => made(p), encoded(v)     p carries v
    encoded(v)    => at_hand(v)
    unread(v)     => compresses(n)           n reads v
    unread(v)     => compressed(p)           p carries v
    not unread(v)                            something else reads v, or its size

An encoder costs where v is encoded and not compressed, a decoder where it is compressed and not
unread. A constant w has two more, ``compressed_by_one`` and ``compressed_by_all`` of the streams
that carry it, and costs a copy where the first holds and not the second: that is one copy for each
step from its lowest form to its highest, an upper bound where a raw and a compressed use meet,
because the exact number is not submodular.

    compressed(p) => compressed_by_one(w)    p carries w
    compressed_by_all(w) => compressed(p)    p carries w
"""

from __future__ import annotations

from collections.abc import Mapping

from graphopt.passes.graph.axes import Stream
from graphopt.passes.planning.compression import Compression
from graphopt.passes.planning.implications import Implications
from graphopt.passes.planning.variables import Choice, NormState, StreamState
from graphopt.passes.streams.trace import Norm, Trace

__all__ = ["minimum_cut"]


def minimum_cut(
    found: Trace,
    gains: dict[Norm, float],
    copies: dict[Stream, float],
    compression: Compression | None,
    growth: Mapping[Stream, float] | None = None,
) -> Choice:
    """What is true in the best plan.

    Args:
        found: The trace.
        gains: What converting each norm is worth, in nanoseconds.
        copies: What a centred copy of each stream costs.
        compression: What could be compressed; None where nothing is to be.
        growth: What the wide form of a constant costs that is stored in a shorter type.
    """
    cut = Implications()
    for norm, gain in gains.items():
        if gain <= 0:
            continue
        cut.gain(NormState.CONVERTS.of(norm), gain)
        if norm.stream not in found.centred:
            cut.imply(NormState.CONVERTS.of(norm), StreamState.AT_HAND.of(norm.stream))
    for stream, facts in found.streams.items():
        made, at_hand, moves = (
            StreamState.MADE.of(stream),
            StreamState.AT_HAND.of(stream),
            StreamState.MOVES.of(stream),
        )
        cut.imply(made, at_hand)
        cut.imply(made, moves)
        cut.charge(at_hand, copies[stream], unless=made)
        if growth and growth.get(stream):
            cut.charge(at_hand, growth[stream])
        if facts.source:
            cut.forbid(made)
        if facts.constant and facts.source:
            cut.forbid(at_hand)
        if facts.raw_readers:
            cut.forbid(moves)
        for operand in facts.operands:
            if operand not in found.centred:
                cut.imply(made, StreamState.AT_HAND.of(operand))
        for other in (*facts.carriers, *facts.siblings):
            if other not in found.centred:
                cut.imply(moves, StreamState.MOVES.of(other))
    if compression is not None:
        _compress(cut, found, gains, copies, compression)
    return cut.best()


def _compress(
    cut: Implications,
    found: Trace,
    gains: dict[Norm, float],
    copies: dict[Stream, float],
    compression: Compression,
) -> None:
    """Add the variables of compression."""
    compressing = {norm for norm, gain in compression.gains.items() if gain > 0 and gains[norm] > 0}
    for norm in compressing:
        cut.gain(NormState.COMPRESSES.of(norm), compression.gains[norm])
        cut.imply(NormState.COMPRESSES.of(norm), NormState.CONVERTS.of(norm))
        cut.imply(NormState.COMPRESSES.of(norm), StreamState.ENCODED.of(norm.stream))
    for stream in found.centred:
        cut.charge(StreamState.ENCODED.of(stream), compression.encoding[stream])
    for stream, facts in found.streams.items():
        if facts.constant:
            _compress_constant(cut, found, stream, copies[stream])
            if stream in compression.stream_obstacles:
                cut.forbid(StreamState.ENCODED.of(stream))
                cut.forbid(StreamState.COMPRESSED_BY_ONE.of(stream))
            continue
        compressed, encoded = (
            StreamState.COMPRESSED.of(stream),
            StreamState.ENCODED.of(stream),
        )
        unread = StreamState.UNREAD.of(stream)
        cut.imply(encoded, StreamState.AT_HAND.of(stream))
        cut.imply(compressed, StreamState.MADE.of(stream))
        cut.imply(compressed, encoded)
        cut.charge(encoded, compression.encoding[stream], unless=compressed)
        cut.charge(compressed, compression.decoding[stream], unless=unread)
        if stream in compression.stream_obstacles:
            cut.forbid(compressed)
        for operand in facts.operands:
            if operand not in found.streams or not found.streams[operand].constant:
                cut.imply(compressed, StreamState.ENCODED.of(operand))
        for other in facts.siblings:
            cut.imply(compressed, StreamState.COMPRESSED.of(other))
        for other in facts.carriers:
            if other in found.streams:
                cut.imply(unread, StreamState.COMPRESSED.of(other))
            else:
                cut.forbid(unread)
        if compression.whole_readers[stream]:
            cut.forbid(unread)
    for norm in found.norms:
        if norm in compressing:
            cut.imply(StreamState.UNREAD.of(norm.stream), NormState.COMPRESSES.of(norm))
        else:
            cut.forbid(StreamState.UNREAD.of(norm.stream))


def _compress_constant(cut: Implications, found: Trace, stream: Stream, copy: float) -> None:
    by_one, by_all = (
        StreamState.COMPRESSED_BY_ONE.of(stream),
        StreamState.COMPRESSED_BY_ALL.of(stream),
    )
    cut.imply(StreamState.ENCODED.of(stream), StreamState.AT_HAND.of(stream))
    cut.charge(by_one, copy, unless=by_all)
    for other in found.streams[stream].carriers:
        if other in found.streams:
            cut.imply(StreamState.COMPRESSED.of(other), by_one)
            cut.imply(by_all, StreamState.COMPRESSED.of(other))
        else:
            cut.forbid(by_all)
