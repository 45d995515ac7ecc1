"""The plots of where the time of a call goes, before and after."""

from __future__ import annotations

__all__ = ["Part", "Slice", "changeable_plot", "operator_plot", "slices"]

import dataclasses
from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from graphopt.bench_report.canvas import Canvas, Slot
from graphopt.benchmarking.figures import milliseconds
from graphopt.html_pages.palette import Colour, colour
from graphopt.html_pages.svg import TIP
from graphopt.profiling.purposes import NORMALIZATIONS
from graphopt.profiling.result import Profile, longest_first

_NAMED_OPERATORS = 4
# What the other parts may be made of, so that none of it is named a second time.
_IN_OTHER_PARTS = NORMALIZATIONS | {
    *("Add", "BiasAdd", "Cast", "Div", "Mul", "Neg", "Pow", "Reciprocal", "ReduceL2"),
    *("ReduceMean", "ReduceSum", "ReduceSumSquare", "Sqrt", "Sub"),
}


@dataclasses.dataclass(frozen=True)
class Part:
    """A part of a call.

    Attributes:
        label: What it is.
        shade: Its colour in every plot of the report.
        changeable: True for what a norm's conversion can change.
    """

    label: str
    shade: Colour
    changeable: bool = False


@dataclasses.dataclass(frozen=True)
class Slice:
    """The seconds of a part in one call of one model."""

    part: Part
    seconds: float


_CHANGEABLE = (
    Part("normalization", colour("series-5"), changeable=True),
    Part("residual adds", colour("series-2"), changeable=True),
    Part("bias adds", colour("series-7"), changeable=True),
)
_SHADES = ("series-1", "series-6", "series-3", "series-4")


def slices(profiles: Mapping[str, Profile]) -> dict[str, tuple[Slice, ...]]:
    """The parts of a call for each model: the same parts in the same order.

    The operators named are those that take longest in any of the models; the rest is one part.
    """
    named = longest_first(map(_others, profiles.values()))[:_NAMED_OPERATORS]
    parts = [Part(name, colour(shade)) for name, shade in zip(named, _SHADES, strict=False)]
    rest = Part("all else", colour("baseline"))
    found = {}
    for model, profile in profiles.items():
        others = _others(profile)
        times = [profile.normalization, profile.residual, profile.bias]
        times += [others.get(name, 0.0) for name in named]
        times.append(max(0.0, profile.seconds - sum(times)))
        whole = zip((*_CHANGEABLE, *parts, rest), times, strict=True)
        found[model] = tuple(Slice(part, time) for part, time in whole)
    return found


def _others(profile: Profile) -> dict[str, float]:
    """Seconds by operator type, whatever its domain and provider, of those that are named."""
    seconds: dict[str, float] = {}
    for time in profile.operators:
        operator = time.operator.rpartition(".")[2]
        if operator not in _IN_OTHER_PARTS:
            seconds[operator] = seconds.get(operator, 0.0) + time.seconds
    return seconds


def operator_plot(models: Mapping[str, Sequence[Slice]]) -> Figure:
    """The whole call of each model."""
    return _stacked(models, "milliseconds of a profiled call")


def changeable_plot(models: Mapping[str, Sequence[Slice]]) -> Figure:
    """Normalization and additions alone, at a scale of their own."""
    shown = {
        model: [piece for piece in pieces if piece.part.changeable]
        for model, pieces in models.items()
    }
    return _stacked(shown, "milliseconds in normalization and additions")


def _stacked(models: Mapping[str, Sequence[Slice]], axis_label: str) -> Figure:
    totals = {model: sum(piece.seconds for piece in pieces) for model, pieces in models.items()}
    entries = [Slot(model, f"{milliseconds(total)} ms") for model, total in totals.items()]
    limit = 1e3 * max(totals.values()) or 1.0
    canvas = Canvas(entries, limits=(0, 1.01 * limit), axis_label=axis_label, mark=18)
    for (model, pieces), y in zip(models.items(), canvas.centres, strict=True):
        left = 0.0
        for piece in pieces:
            share = piece.seconds / totals[model] if totals[model] else 0.0
            canvas.axes.barh(
                y,
                1e3 * piece.seconds,
                left=1e3 * left,
                height=canvas.mark,
                color=piece.part.shade.stand_in,
                edgecolor=colour("panel").stand_in,
                linewidth=0.8,
                gid=f"{TIP}{model}: {piece.part.label} {milliseconds(piece.seconds)} ms, "
                f"{share:.1%}",
            )
            left += piece.seconds
    return canvas.figure
