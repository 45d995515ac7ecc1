"""Which colour a model has, the same in every plot of a report."""

from __future__ import annotations

__all__ = ["model_colours"]

import itertools

from graphopt.benchmarking.result import Benchmark
from graphopt.html_pages.palette import COLOURS, Colour, colour

_SERIES = tuple(entry for entry in COLOURS if entry.name.startswith("series-"))


def model_colours(benchmark: Benchmark) -> dict[str, Colour]:
    """A colour by the name of each model: shades of grey for the baselines and the floor."""
    baselines = {point.baseline for point in benchmark.points}
    series = itertools.cycle(_SERIES)
    colours = {}
    for model in benchmark.models:
        if model.name in baselines:
            colours[model.name] = colour("baseline")
        elif model.kind == "floor":
            colours[model.name] = colour("floor")
        else:
            colours[model.name] = next(series)
    return colours
