"""What the analysis found and what the rewrites did, as immutable values to print and save."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import Literal

__all__ = [
    "BasisChange",
    "Cause",
    "Copy",
    "Forecast",
    "NormDecision",
    "OtherNorm",
    "PassRecord",
    "Place",
    "PlanSummary",
    "Progress",
    "Recentring",
    "ResidualStream",
    "StreamState",
    "undone",
]

Progress = Callable[[str, float], None]
"""Called with what is going on and with the share of it that is done, 0 to 1."""

Cause = Literal["", "norm output", "source", "reader", "price", "form"]
"""What keeps a norm: the output of another LayerNorm in its input, another writer of its input, a
reader that needs the mean, what conversion would cost, or the norm's own form. "" for none."""

StreamState = Literal["raw", "centred", "compressed"]
"""How a value of a residual stream is computed: as it was, without its mean, or with d - 1 features
and without its mean."""


@dataclasses.dataclass(frozen=True)
class NormDecision:
    """One LayerNorm of the graph, and what the plan does with it.

    Attributes:
        name: Name of the norm's node (of the last node of a decomposed norm).
        spelling: How the input graph writes it: ``LayerNormalization``, ``SkipLayerNormalization``
            or ``decomposed``.
        value: Name of the value that it normalizes.
        axis: Normalized axis, non-negative, or -1 where the rank is unknown.
        size: Number of features d on that axis, or None where it is not static.
        converted: True where the norm becomes an RMSNorm.
        reason: For a kept norm what keeps it, by node name: who needs the mean of its input, or
            writes a mean that cannot be removed; else "".
        absorbed_by: Names of the constants that absorb the norm's mean, and that no norm before it
            names already.
        absorbed_above: Number of the constants that absorb its mean and were named before.
        recentrings: Names of the values that are recentred explicitly for this norm.
        affine: What becomes of gamma and beta, in words.
        compressed: True where the norm reads and writes d - 1 features.
        uncompressed: For a converted norm that was to be compressed and is not, the reason.
        merges: Names of the results of Ifs, on the way to this norm, that are computed centred in
            both branches.
        gamma: Name of the constant gamma, or "" where there is none.
        cause: For a kept norm what kind of obstacle keeps it; else "".
    """

    name: str
    spelling: str
    value: str
    axis: int
    size: int | None
    converted: bool
    reason: str = ""
    absorbed_by: tuple[str, ...] = ()
    absorbed_above: int = 0
    recentrings: tuple[str, ...] = ()
    affine: str = ""
    compressed: bool = False
    uncompressed: str = ""
    merges: tuple[str, ...] = ()
    gamma: str = ""
    cause: Cause = ""


@dataclasses.dataclass(frozen=True)
class OtherNorm:
    """A normalization that is not a LayerNorm over one last axis: named and left alone."""

    name: str
    kind: str
    reason: str


@dataclasses.dataclass(frozen=True)
class Recentring:
    """An explicit x - ReduceMean(x) that the plan inserts.

    Attributes:
        value: Name of the recentred value.
        axis: Feature axis, non-negative.
        size: Number of features d.
        unlocks: Names of the norms that could not be converted without it.
        cost_us: Estimated cost in microseconds at the reference row count.
    """

    value: str
    axis: int
    size: int
    unlocks: tuple[str, ...]
    cost_us: float


@dataclasses.dataclass(frozen=True)
class BasisChange:
    """An encoder, from d centred features to d - 1, or a decoder, back, that the plan inserts.

    Attributes:
        kind: ``encoder`` or ``decoder``.
        value: Name of the value that it stands behind.
        axis: Feature axis, non-negative.
        size: Number of features d.
        cost_us: Estimated cost in microseconds at the reference row count.
    """

    kind: str
    value: str
    axis: int
    size: int
    cost_us: float


@dataclasses.dataclass(frozen=True)
class Copy:
    """A constant that is held twice, because it is read both centred (or scaled) and as it was."""

    tensor: str
    bytes: int
    reason: str


@dataclasses.dataclass(frozen=True)
class Place:
    """A value of a residual stream that norms or others read, and what was added up to it.

    Attributes:
        value: Name of the value.
        state: How the plan computes it.
        after: The places of the same stream that it adds to, by their index.
        absorbing: Names of the constants that write to it and absorb the mean.
        others: Names of the constants that write to it and stay as they are.
        sources: Who else writes to it, in words: with a mean that cannot be removed in advance.
        norm_outputs: Names of the norms whose outputs it adds up.
        norms: Names of the norms that read it.
        readers: Who else reads it, in words, and needs its mean.
        recentrings: Names of the values among what it adds up, itself included, that are recentred
            explicitly.
        basis_changes: Likewise of those that an encoder or a decoder stands behind.
    """

    value: str
    state: StreamState
    after: tuple[int, ...] = ()
    absorbing: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    norm_outputs: tuple[str, ...] = ()
    norms: tuple[str, ...] = ()
    readers: tuple[str, ...] = ()
    recentrings: tuple[str, ...] = ()
    basis_changes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class ResidualStream:
    """Values that sums, and operations that leave a mean alone, hand on from one to the next.

    Where a norm's output is added up (as in a Post-LN network) the stream goes on behind the norm.

    Attributes:
        axis: Feature axis of its first place, non-negative.
        size: Number of features d there.
        places: The values that are read, each behind those that it adds to.
    """

    axis: int
    size: int
    places: tuple[Place, ...]


@dataclasses.dataclass(frozen=True)
class Forecast:
    """What converting the norms is worth, by the costs that the plan weighs.

    A batch counts as 1 and other symbolic dimensions together as 128.

    Attributes:
        rows: The least and the most rows that a converted norm has in one call.
        saved_us: Microseconds that a call takes less, on the machine of the costs; negative where
            what the compression of streams costs is more.
        share: That over the time of a call, 1 at the most, or None where nothing is known of the
            time of the other nodes.
    """

    rows: tuple[int, int]
    saved_us: float
    share: float | None


@dataclasses.dataclass(frozen=True)
class PlanSummary:
    """The plan, in names: enough to print, to save and to test, with no graph behind it.

    ``basis`` is that of the compressed streams, or None where the variant compresses none;
    ``forecast`` is None where no norm converts; ``streams`` has every norm that a plan could
    convert, in the order of the graph; ``titles`` says what those values are whose names an
    exporter counted (``val_12``), for people to read.
    """

    variant: str
    provider: str
    norms: tuple[NormDecision, ...]
    other_norms: tuple[OtherNorm, ...] = ()
    recentrings: tuple[Recentring, ...] = ()
    copies: tuple[Copy, ...] = ()
    basis: str | None = None
    basis_changes: tuple[BasisChange, ...] = ()
    forecast: Forecast | None = None
    streams: tuple[ResidualStream, ...] = ()
    titles: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def converted(self) -> int:
        """Number of norms that the plan converts."""
        return sum(norm.converted for norm in self.norms)

    @property
    def compressed(self) -> int:
        """Number of norms that the plan compresses."""
        return sum(norm.compressed for norm in self.norms)

    def title(self, name: str) -> str:
        """What a value is called where people read it: its name, or what it is."""
        return self.titles.get(name, name)


@dataclasses.dataclass(frozen=True)
class PassRecord:
    """What one pass of the pipeline did.

    Attributes:
        name: The pass.
        changed: How many places it changed.
        seconds: Wall time.
        detail: Exact counts, for example ``{"norms converted": 25}``.
    """

    name: str
    changed: int
    seconds: float
    detail: dict[str, int] = dataclasses.field(default_factory=dict)


def undone(records: Iterable[PassRecord]) -> tuple[PassRecord, ...]:
    """What passes count for whose changes are taken back; the last record says so."""
    before = [
        record
        if record.name == "plan"
        else dataclasses.replace(record, changed=0, detail=dict.fromkeys(record.detail, 0))
        for record in records
    ]
    left = PassRecord("leave-as-it-was", 0, 0.0, {"no norm converts, passes undone": len(before)})
    return (*before, left)
