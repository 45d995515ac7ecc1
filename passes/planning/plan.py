"""The plan: which values are centred and which norms converted, and which of them compressed.

The choice is a minimum cut (cut.py); the plan says what it means for the graph, and why a norm
stays.
"""

from __future__ import annotations

import dataclasses

import onnx_ir as ir

from graphopt.passes.graph import constants
from graphopt.passes.graph.axes import Stream
from graphopt.passes.planning.compression import Compression, compression, weight_copies
from graphopt.passes.planning.costs import RowCounts, provider_costs
from graphopt.passes.planning.cut import minimum_cut
from graphopt.passes.planning.prices import Prices, constant_bytes, prices_of
from graphopt.passes.planning.reasons import NO_ROOM, why_kept, why_uncompressed
from graphopt.passes.planning.upstream import Upstream
from graphopt.passes.planning.variables import Choice, NormState, StreamState
from graphopt.passes.report import Cause
from graphopt.passes.streams import affine, trace
from graphopt.passes.streams.affine import Affine
from graphopt.passes.streams.trace import Norm, Trace

__all__ = ["Plan", "make_plan"]


@dataclasses.dataclass(frozen=True)
class Plan:
    """What to do, as references into the graph.

    Attributes:
        trace: What the plan was made from.
        converted: Norms that become RMSNorms, in graph order.
        made: Streams that are computed centred, weights included.
        recentred: Streams of which a centred copy is made: at run time for a value, offline for a
            constant.
        affine: The affine part of each norm.
        kept: Why each other norm stays, in words.
        causes: What kind of obstacle keeps it.
        unlocks: For each recentred value the norms that need it.
        costs_ns: Cost of each recentring at run time, in nanoseconds.
        saving_ns: What the conversions save a run, less what the recentrings, encoders and decoders
            cost: negative where compression is asked for and does not pay.
        basis: Basis of what is compressed, ``"orthonormal"`` or ``"drop"``; None for rms.
        compressed: Streams that are computed with d - 1 features.
        compressed_norms: Converted norms that read and write d - 1 features.
        encoded: Streams of which a compressed copy is made, with its price in nanoseconds.
        decoded: Compressed streams of which a whole copy is made, with its price.
        twofold: Constants that are held compressed for some of their uses, and otherwise too.
        uncompressed: Why each other converted norm is not compressed, in words; for rms empty.
    """

    trace: Trace
    converted: tuple[Norm, ...]
    made: frozenset[Stream]
    recentred: frozenset[Stream]
    affine: dict[Norm, Affine]
    kept: dict[ir.Node, str]
    unlocks: dict[Stream, tuple[Norm, ...]]
    costs_ns: dict[Stream, float]
    causes: dict[ir.Node, Cause] = dataclasses.field(default_factory=dict)
    saving_ns: float = 0.0
    basis: str | None = None
    compressed: frozenset[Stream] = frozenset()
    compressed_norms: frozenset[Norm] = frozenset()
    encoded: dict[Stream, float] = dataclasses.field(default_factory=dict)
    decoded: dict[Stream, float] = dataclasses.field(default_factory=dict)
    twofold: tuple[Stream, ...] = ()
    uncompressed: dict[Norm, str] = dataclasses.field(default_factory=dict)


def make_plan(
    model: ir.Model,
    provider: str = "cpu",
    max_growth: float | None = None,
    fold_affine: bool = True,
    basis: str | None = None,
) -> Plan:
    """The plan with the greatest total gain.

    Args:
        model: A canonicalized model with inferred shapes; not changed.
        provider: ``"cpu"`` or ``"cuda"``: whose costs count.
        max_growth: Upper bound of the bytes of copied constants, as a share of all constants.
        fold_affine: False where every beta stays at its norm.
        basis: Basis to compress streams in; None where none is to be compressed.
    """
    found = trace.trace(model)
    affines = {norm: affine.affine_of(norm, fold=fold_affine) for norm in found.norms}
    costs = provider_costs(provider)
    rows = RowCounts(model)
    rate = costs.nanoseconds_per_byte
    limit = None if max_growth is None else max_growth * _all_constant_bytes(model)
    unbounded: Plan | None = None
    while True:
        prices = prices_of(found, affines, costs, rows, rate)
        squeezed = None
        if basis is not None:
            squeezed = compression(model, found, affines, basis, costs, rows, rate)
        chosen = minimum_cut(found, prices.gains, prices.copies, squeezed, prices.growth)
        plan = _read_off(found, affines, prices, chosen)
        if squeezed is not None:
            plan = _compressed(plan, basis, squeezed, chosen)
        misread = _misread_betas(plan)
        if misread:
            affines.update(misread)
            continue
        copied = sum(constant_bytes(stream) for stream in plan.recentred)
        copied += sum(constant_bytes(stream) for stream in plan.twofold)
        copied += sum(constants.widening(stream.value) for stream in plan.made)
        copied += sum(copy.nbytes for copy in weight_copies(plan.compressed_norms, affines))
        if limit is None or copied <= limit:
            return plan if unbounded is None else _bounded(plan, unbounded)
        unbounded = unbounded or plan
        rate = rate * 8 if rate < 1e6 else float("inf")


def _bounded(plan: Plan, unbounded: Plan) -> Plan:
    """``plan`` with the reason of the norms that more copies would convert or compress."""
    without_room = [norm for norm in unbounded.converted if norm.node in plan.kept]
    whole = [norm for norm in plan.uncompressed if norm in unbounded.compressed_norms]
    return dataclasses.replace(
        plan,
        kept=plan.kept | {norm.node: NO_ROOM for norm in without_room},
        causes=plan.causes | {norm.node: "price" for norm in without_room},
        uncompressed=plan.uncompressed | dict.fromkeys(whole, NO_ROOM),
    )


def _misread_betas(plan: Plan) -> dict[Norm, Affine]:
    """Norms whose beta a linear map would add to a result that is centred over another axis.

    W beta is the same for all tokens; what is centred over the tokens has no room for it.
    """
    made = {stream.value: stream for stream in plan.made}
    found = {}
    for norm in plan.converted:
        if plan.affine[norm].beta != "folds":
            continue
        for reader in plan.affine[norm].linear or ():
            for node in (reader.node, reader.bias_node or reader.node):
                stream = made.get(node.outputs[0])
                if stream is not None and stream.axis.axis != reader.output_axis:
                    obstacle = f"{stream.value.name} is centred over another axis"
                    found[norm] = Affine(None, "stays", 0, obstacle)
    return found


def _all_constant_bytes(model: ir.Model) -> int:
    return sum(
        value.const_value.nbytes
        for value in model.graph.initializers.values()
        if value.const_value is not None
    )


def _is_constant(stream: Stream) -> bool:
    return constants.constant_tensor(stream.value) is not None


def _read_off(found: Trace, affines: dict[Norm, Affine], prices: Prices, chosen: Choice) -> Plan:
    converts = chosen.norms(NormState.CONVERTS)
    converted = tuple(norm for norm in found.norms if norm in converts)
    made = chosen.streams(StreamState.MADE)
    recentred = chosen.streams(StreamState.AT_HAND) - made
    ends = Upstream(found, made)
    inserted = [s for s, facts in found.streams.items() if s in recentred and not facts.constant]
    kept = dict(found.refused)
    causes: dict[ir.Node, Cause] = dict.fromkeys(kept, "form")
    for norm in found.norms:
        if norm not in converts:
            reason = why_kept(found, prices, norm)
            kept[norm.node], causes[norm.node] = reason.words, reason.cause
    return Plan(
        trace=found,
        converted=converted,
        made=made,
        recentred=recentred,
        affine=affines,
        kept=kept,
        unlocks={
            s: tuple(norm for norm in converted if ends.is_above(s, norm.stream)) for s in inserted
        },
        costs_ns={s: prices.copies[s] for s in inserted},
        causes=causes,
        saving_ns=sum(prices.gains[norm] for norm in converted)
        - sum(prices.copies[s] for s in inserted),
    )


def _compressed(plan: Plan, basis: str | None, squeezed: Compression, chosen: Choice) -> Plan:
    """``plan`` with what it compresses."""
    found = plan.trace
    norms = chosen.norms(NormState.COMPRESSES)
    streams = chosen.streams(StreamState.COMPRESSED)
    twofold = chosen.streams(StreamState.COMPRESSED_BY_ONE) - chosen.streams(
        StreamState.COMPRESSED_BY_ALL
    )
    at_hand = chosen.streams(StreamState.ENCODED) - streams
    read_whole = streams - chosen.streams(StreamState.UNREAD)
    ordered = (*found.streams, *sorted(found.centred, key=str))  # a set has no order of its own
    runtime = [stream for stream in ordered if not _is_constant(stream)]
    encoded = {s: squeezed.encoding[s] for s in runtime if s in at_hand}
    decoded = {s: squeezed.decoding[s] for s in found.streams if s in read_whole}
    return dataclasses.replace(
        plan,
        basis=basis,
        compressed=streams,
        compressed_norms=norms,
        saving_ns=plan.saving_ns - sum(encoded.values()) - sum(decoded.values()),
        encoded=encoded,
        decoded=decoded,
        twofold=tuple(stream for stream in found.streams if stream in twofold),
        uncompressed={
            norm: why_uncompressed(found, squeezed, norm)
            for norm in plan.converted
            if norm not in norms
        },
    )
