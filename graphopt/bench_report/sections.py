"""The sections of a report, each as HTML; a section without content is empty text."""

from __future__ import annotations

__all__ = ["Sections"]

from collections.abc import Callable, Sequence
from html import escape

from matplotlib.figure import Figure

from graphopt.bench_report import sentences
from graphopt.bench_report.distribution_plot import distribution_plot, undrawn
from graphopt.bench_report.html_tables import (
    definitions,
    failure_list,
    operator_table,
    result_table,
)
from graphopt.bench_report.interval_groups import (
    described,
    plotfuls,
    ratio_limits,
    share_limits,
    span,
)
from graphopt.bench_report.interval_plot import Interval, captured_plot, ratio_plot
from graphopt.bench_report.model_colours import model_colours
from graphopt.bench_report.operator_plot import changeable_plot, operator_plot, slices
from graphopt.benchmarking.figures import captured_text, milliseconds, ratio_text
from graphopt.benchmarking.result import Benchmark
from graphopt.html_pages.palette import Colour
from graphopt.html_pages.svg import inline_svg
from graphopt.measuring.intervals import Estimate


class Sections:
    """The sections of the report of one benchmark."""

    def __init__(self, benchmark: Benchmark) -> None:
        self._benchmark = benchmark
        self._colours = model_colours(benchmark)
        self._points = tuple(zip(sentences.point_labels(benchmark), benchmark.points, strict=True))
        self._floors = frozenset(model.name for model in benchmark.models if model.kind == "floor")
        self._drawings = 0

    def headline(self) -> str:
        """What was compared, on what, and what came out."""
        benchmark = self._benchmark
        items = "".join(
            f'<li style="--shade: {self._colours[outcome.model].css}">{escape(outcome.model)} '
            f"<strong>{outcome.figure}</strong>"
            f'<span class="muted">{escape(outcome.sentence)}</span></li>'
            for outcome in sentences.outcomes(benchmark)
        )
        warning = sentences.warning(benchmark)
        said = f'<p class="bad">{escape(warning)}</p>\n' if warning else ""
        return (
            f"<h1>{escape(benchmark.title)}: latency</h1>\n"
            f'<p class="muted">{escape(sentences.constant_setting(benchmark))}<br>'
            f"{escape(str(benchmark.environment))}</p>\n{said}"
            + (f'<ul class="outcomes">{items}</ul>' if items else "")
        )

    def gains(self) -> str:
        """The plots of the ratios and of the captured shares."""
        captured = self._captured()
        figures = [*self._ratios(alone=not captured), *captured]
        notes = "".join(
            f'<p class="muted">{escape(text)}</p>'
            for text in sentences.uncaptured(self._points, self._floors)
        )
        return _section("What it gains", "", _grid(figures) + notes) if figures else ""

    def _ratios(self, *, alone: bool) -> list[str]:
        intervals = [
            Interval(label, row.model, row.ratio, row.verdict == "no difference")
            for label, point in self._points
            for row in point.rows
            if row.model != point.baseline
        ]
        return self._plots(
            intervals,
            ratio_plot,
            ratio_limits([interval.estimate for interval in intervals]),
            ratio_text,
            heading="Time relative to the baseline",
            caption=f"Left of 1 is faster. Bars are {self._benchmark.method.confidence:.0%} "
            "intervals; a hollow mark says that one contains 1: no difference.",
            alone=alone,
        )

    def _captured(self) -> list[str]:
        intervals = [
            Interval(label, row.model, row.captured, row.captured.contains(0.0))
            for label, point in self._points
            for row in point.rows
            if row.captured is not None and row.model not in (point.baseline, *self._floors)
        ]
        return self._plots(
            intervals,
            captured_plot,
            share_limits([interval.estimate for interval in intervals]),
            captured_text,
            heading="Captured share",
            title="Captured share of the cost of normalization",
            caption="Of the cost of normalization: at 0% a model costs what the baseline costs, "
            "at 100% what the same graph costs without its norms.",
        )

    def _plots(
        self,
        intervals: Sequence[Interval],
        plot: Callable[..., Figure],
        limits: tuple[float, float],
        text: Callable[[Estimate], str],
        *,
        heading: str,
        caption: str,
        title: str = "",
        alone: bool = False,
    ) -> list[str]:
        """The intervals in as many plots as it takes; the first has the caption."""
        return [
            self._figure(
                plot(part, self._colours, limits),
                f"{title or heading}, {span(part)}",
                described(part, text),
                heading=heading,
                caption="" if number else caption,
            )
            for number, part in enumerate(plotfuls(intervals, alone=alone))
        ]

    def latencies(self) -> str:
        """The plot of the distribution of each point."""
        figures = []
        for label, point in self._points:
            if not point.rows:
                continue
            left_out = undrawn(point)
            calls = sum(len(opening) for row in point.rows for opening in row.samples)
            caption = f"{left_out} of {calls} calls were slower than the axis is long."
            figures.append(
                self._figure(
                    distribution_plot(point, self._colours),
                    f"Latency of a call, {label}",
                    "; ".join(
                        f"{row.model}: p50 {milliseconds(row.p50)} ms, "
                        f"p90 {milliseconds(row.p90)} ms, "
                        f"p99 {milliseconds(row.p99)} ms"
                        for row in point.rows
                    ),
                    heading=label,
                    caption=caption if left_out else "",
                )
            )
        return _section(
            "Latency",
            "Histograms of all timed calls. The numbers are p50 / p90 / p99 in milliseconds, the "
            "lines are where they lie, that of p50 through the full height.",
            _grid(figures),
        )

    def operators(self) -> str:
        """The plots of where time goes, for the points that were profiled."""
        blocks = []
        for label, point in self._points:
            profiles = {row.model: row.profile for row in point.rows if row.profile is not None}
            if not profiles:
                continue
            models = slices(profiles)
            described = "; ".join(
                f"{model}: "
                + ", ".join(
                    f"{piece.part.label} {milliseconds(piece.seconds)} ms" for piece in pieces
                )
                for model, pieces in models.items()
            )
            parts = [piece.part for piece in next(iter(models.values()))]
            plots = (
                ("The whole call", operator_plot(models), parts),
                (
                    "Normalization and additions alone",
                    changeable_plot(models),
                    [part for part in parts if part.changeable],
                ),
            )
            figures = [
                self._figure(
                    figure,
                    f"{heading} by operator, {label}",
                    described,
                    heading=f"{heading}, {label}",
                    legend=[(part.label, part.shade) for part in shown],
                )
                for heading, figure, shown in plots
            ]
            table = operator_table(profiles)
            blocks.append(
                f"{_grid(figures)}<details><summary>All operators, {escape(label)}</summary>"
                f"{table}</details>"
            )
        if not blocks:
            return ""
        return _section("Time by operator", "From ONNX Runtime's profiler.", "".join(blocks))

    def tables(self) -> str:
        """All figures, and what was not timed."""
        tables = "".join(
            f"<h3>{escape(label)}</h3>{result_table(point, self._floors)}"
            for label, point in self._points
            if point.rows
        )
        failures = [(label, failure) for label, point in self._points for failure in point.failures]
        missing = _section("Not timed", "", failure_list(failures)) if failures else ""
        return _section("All figures", "", tables) + missing

    def method(self) -> str:
        """The models, the environment and the method."""
        benchmark = self._benchmark
        environment = benchmark.environment
        cores = "1 core" if environment.cores == 1 else f"{environment.cores} cores"
        models = definitions(
            [(f"{model.name} ({model.kind})", model.source) for model in benchmark.models]
        )
        machine = definitions(
            [
                ("Processor", f"{environment.processor}, {cores}"),
                ("GPU", environment.gpu),
                ("System", environment.system),
                ("ONNX Runtime", environment.onnxruntime),
                ("Kernel library", environment.library or "none"),
                ("graphopt", environment.graphopt),
                ("Python", environment.python),
                ("Measured", benchmark.created),
            ]
        )
        said = (*sentences.method_sentences(benchmark), *benchmark.notes)
        method = "".join(f"<p>{escape(sentence)}</p>" for sentence in said)
        return (
            _section("Models", "", models)
            + _section("Environment", "", machine)
            + _section("Method", "", method)
        )

    def _figure(
        self,
        figure: Figure,
        title: str,
        description: str,
        *,
        heading: str = "",
        caption: str = "",
        legend: Sequence[tuple[str, Colour]] = (),
    ) -> str:
        self._drawings += 1
        drawing = inline_svg(figure, f"plot-{self._drawings}", title=title, description=description)
        head = f"<h3>{escape(heading)}</h3>" if heading else ""
        entries = "".join(
            f'<li><span style="--shade: {shade.css}"></span>{escape(label)}</li>'
            for label, shade in legend
        )
        keys = f'<ul class="legend">{entries}</ul>' if legend else ""
        foot = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
        return f"<figure>{head}{drawing}{keys}{foot}</figure>"


def _section(heading: str, introduction: str, content: str) -> str:
    said = f'<p class="muted">{escape(introduction)}</p>' if introduction else ""
    return f"<section><h2>{escape(heading)}</h2>{said}{content}</section>"


def _grid(figures: Sequence[str]) -> str:
    return f'<div class="plots">{"".join(figures)}</div>' if figures else ""
