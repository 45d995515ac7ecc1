"""What is centred so that a norm's input is: the constants and recentrings above it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from graphopt.passes.graph.axes import Stream
from graphopt.passes.streams.trace import Trace

__all__ = ["Upstream"]


class Upstream:
    """The ends of the walks up from any stream, through what is computed centred.

    An end is a constant that is recentred, or a stream of which a recentred copy is made. Each
    block of a residual stream shares the ends of all blocks before it: they are kept as bits of one
    number for each stream, so that a thousand norms cost little more than a thousand walks of a
    step.

    Args:
        found: The trace.
        made: The streams that are computed centred.
        ends: Other streams whose place above others is asked for, in the place of those.
    """

    def __init__(
        self, found: Trace, made: frozenset[Stream], ends: frozenset[Stream] | None = None
    ) -> None:
        self._found, self._made, self._given = found, made, ends
        self._bits: dict[Stream, int] = {}
        self._ends: dict[Stream, int] = {}  # by the place of its bit
        self._seen: set[Stream] = set()

    def is_above(self, end: Stream, start: Stream) -> bool:
        """True where a walk up from ``start`` ends at ``end``."""
        mask = self._mask(start)
        return end in self._ends and bool(mask >> self._ends[end] & 1)

    def count(self, start: Stream) -> int:
        """The number of ends of the walks up from ``start``."""
        return self._mask(start).bit_count()

    def fresh(self, start: Stream) -> list[Stream]:
        """The ends above ``start`` that no earlier call returned, the nearest first."""
        order: list[Stream] = []
        queue = deque([start])
        while queue:
            stream = queue.popleft()
            if stream in self._seen or stream not in self._found.streams:
                continue
            self._seen.add(stream)
            if self._is_end(stream):
                order.append(stream)
            queue.extend(self._above(stream))
        return order

    def _is_end(self, stream: Stream) -> bool:
        if self._given is not None:
            return stream in self._given
        return stream not in self._made or self._found.streams[stream].constant

    def _above(self, stream: Stream) -> Iterator[Stream]:
        if stream in self._made:
            yield from self._found.streams[stream].operands

    def _mask(self, start: Stream) -> int:
        """The ends above ``start``, a bit for each: those of its operands, and its own."""
        stack = [start]
        while stack:
            stream = stack[-1]
            if stream in self._bits:
                stack.pop()
                continue
            if stream not in self._found.streams:
                self._bits[stream] = 0
                continue
            above = list(self._above(stream))
            missing = [other for other in above if other not in self._bits]
            if missing:
                stack += missing
                continue
            mask = 0
            for other in above:
                mask |= self._bits[other]
            if self._is_end(stream):
                mask |= 1 << self._ends.setdefault(stream, len(self._ends))
            self._bits[stream] = mask
        return self._bits[start]
