"""Why a norm stays, or stays uncompressed, in words."""

from __future__ import annotations

import dataclasses
from collections import deque

from graphopt.passes.planning.compression import Compression
from graphopt.passes.planning.prices import Prices
from graphopt.passes.report import Cause
from graphopt.passes.streams.trace import Norm, StreamFacts, Trace

__all__ = ["NO_ROOM", "Reason", "why_kept", "why_uncompressed"]

NO_ROOM = "the copies of weights that it needs are more than --max-growth allows"
"""Of a norm that would convert, or be compressed, if files might grow."""


@dataclasses.dataclass(frozen=True)
class Reason:
    """Why a norm stays: the kind of obstacle, and a sentence that names it."""

    cause: Cause
    words: str


def why_kept(found: Trace, prices: Prices, norm: Norm) -> Reason:
    """The nearest raw reader or source that keeps ``norm``, following what it would imply."""
    if prices.gains[norm] <= 0:
        return Reason("price", "converting it would not pay: its beta would cost an Add")
    start = (norm.stream, True)
    seen, queue = {start}, deque([start])
    while queue:
        stream, computed = queue.popleft()
        facts = found.streams.get(stream)
        if facts is None:
            continue
        blocked = _blocked(facts, computed)
        if blocked:
            return blocked
        operands = facts.operands if computed else ()
        following = [(other, True) for other in operands]
        following += [(other, False) for other in (*facts.siblings, *facts.carriers)]
        queue.extend(entry for entry in following if entry not in seen)
        seen.update(following)
    return Reason("price", "taking the mean out of its input would cost more than it gains")


def _blocked(facts: StreamFacts, computed: bool) -> Reason | None:
    """Why the stream cannot be computed centred, or cannot move with what it carries."""
    name = facts.stream.value.name
    if facts.constant and not facts.source:
        return None
    if facts.source and computed:
        node = facts.stream.value.producer()
        is_norm = node is not None and node.op_type == "LayerNormalization"
        words = f"{facts.source}: the mean of {name} cannot be removed in advance"
        return Reason("norm output" if is_norm else "source", words)
    if facts.raw_readers:
        return Reason("reader", f"{facts.raw_readers[0]} needs the mean of {name}")
    return None


def why_uncompressed(found: Trace, squeezed: Compression, norm: Norm) -> str:
    """The nearest obstacle to compressing what ``norm`` reads."""
    if norm in squeezed.norm_obstacles:
        return squeezed.norm_obstacles[norm]
    if squeezed.gains[norm] <= 0:
        return "the copies of its readers' weights would cost more than it gains"
    seen, queue = {norm.stream}, deque([norm.stream])
    while queue:
        stream = queue.popleft()
        facts = found.streams.get(stream)
        if facts is None:
            continue
        if stream in squeezed.stream_obstacles:
            return squeezed.stream_obstacles[stream]
        if facts.constant:
            continue
        if squeezed.whole_readers[stream]:
            return f"{squeezed.whole_readers[stream][0]} reads {stream.value.name} whole"
        following = (*facts.operands, *facts.siblings, *facts.carriers)
        queue.extend(other for other in following if other not in seen)
        seen.update(following)
    return "an encoder, a decoder or a copy would cost more than it gains"
