"""The rows of a picture: a mark and the words beside it, without coordinates and colours."""

from __future__ import annotations

__all__ = ["LEGEND", "Kind", "Row"]

import dataclasses
import enum

from graphopt.passes.report import StreamState


@enum.unique
class Kind(enum.Enum):
    """What a mark stands for."""

    ABSORBS = "weights that write to it and absorb the mean"
    WRITES = "weights that write to it and stay as they are"
    JOINS = "an earlier place, from which it goes on"
    SOURCE = "another writer, whose mean cannot be removed in advance"
    CONVERTED = "a LayerNorm that becomes an RMSNorm"
    COPIED = "a LayerNorm that becomes an RMSNorm of a copy whose mean is subtracted explicitly"
    KEPT = "a LayerNorm that stays"
    READER = "needs the mean, so that it cannot be removed"
    RECENTRED = "the mean is subtracted explicitly"
    CHANGED = "from d features to d - 1, or back"


@dataclasses.dataclass(frozen=True)
class Row:
    """One mark with what stands beside it.

    Attributes:
        kind: What it is.
        label: Its name, or names.
        detail: What becomes of it.
        tip: All names in full, for a pointer that rests on it; "" where the kind says enough.
        link: Id of the place in the page that says more, or "".
        state: How the stream is computed behind this mark.
        on_line: True where the stream goes on behind the mark.
        writes: True where the mark adds to the stream, False where it reads it.
        begins: True where no line leads here from the row above.
    """

    kind: Kind
    label: str
    detail: str = ""
    tip: str = ""
    link: str = ""
    state: StreamState = "raw"
    on_line: bool = False
    writes: bool = False
    begins: bool = False


LEGEND = (
    Row(Kind.ABSORBS, "weights that absorb the mean", state="centred", writes=True),
    Row(Kind.CONVERTED, "LayerNorm that becomes an RMSNorm", state="centred"),
    Row(Kind.RECENTRED, "where the mean is subtracted explicitly"),
    Row(Kind.COPIED, "LayerNorm that becomes an RMSNorm then"),
    Row(Kind.KEPT, "LayerNorm that stays"),
    Row(Kind.KEPT, "LayerNorm behind which the stream goes on", on_line=True),
    Row(Kind.WRITES, "weights that stay as they are", writes=True),
    Row(Kind.SOURCE, "another writer, whose mean stays", writes=True),
    Row(Kind.READER, "another reader, which needs the mean"),
    Row(Kind.CHANGED, "from d features to d - 1, or back", state="compressed"),
)
"""A row of every kind that needs an explanation."""
