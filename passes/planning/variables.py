"""The variables of the cut: states that a stream or norm may be in."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterable

from graphopt.passes.graph.axes import Stream
from graphopt.passes.streams.trace import Norm

__all__ = ["Choice", "NormState", "OfNorm", "OfStream", "StreamState", "Variable"]


@enum.unique
class StreamState(enum.Enum):
    """What may be true of a stream."""

    MADE = "it is computed centred"
    MOVES = "its mean may change: nobody reads it"
    AT_HAND = "a centred copy is available, itself or an explicit recentring"
    COMPRESSED = "it is computed with d - 1 features"
    ENCODED = "a compressed copy is available, itself or behind an encoder"
    UNREAD = "nobody reads it whole"
    COMPRESSED_BY_ONE = "of a constant: one of the streams that carry it is compressed"
    COMPRESSED_BY_ALL = "of a constant: all of the streams that carry it are compressed"

    def of(self, stream: Stream) -> OfStream:
        """The variable that says so of ``stream``."""
        return OfStream(self, stream)


@enum.unique
class NormState(enum.Enum):
    """What may be true of a norm."""

    CONVERTS = "it becomes an RMSNorm"
    COMPRESSES = "it reads and writes d - 1 features"

    def of(self, norm: Norm) -> OfNorm:
        """The variable that says so of ``norm``."""
        return OfNorm(self, norm)


@dataclasses.dataclass(frozen=True)
class OfStream:
    """A variable of a stream."""

    state: StreamState
    stream: Stream


@dataclasses.dataclass(frozen=True)
class OfNorm:
    """A variable of a norm."""

    state: NormState
    norm: Norm


Variable = OfStream | OfNorm


class Choice:
    """The streams and norms that are in each state.

    Args:
        true: The variables that are true.
    """

    def __init__(self, true: Iterable[Variable]) -> None:
        streams: dict[StreamState, set[Stream]] = {state: set() for state in StreamState}
        norms: dict[NormState, set[Norm]] = {state: set() for state in NormState}
        for variable in true:
            if isinstance(variable, OfStream):
                streams[variable.state].add(variable.stream)
            else:
                norms[variable.state].add(variable.norm)
        self._streams = {state: frozenset(found) for state, found in streams.items()}
        self._norms = {state: frozenset(found) for state, found in norms.items()}

    def streams(self, state: StreamState) -> frozenset[Stream]:
        """The streams of which ``state`` is true."""
        return self._streams[state]

    def norms(self, state: NormState) -> frozenset[Norm]:
        """The norms of which ``state`` is true."""
        return self._norms[state]
