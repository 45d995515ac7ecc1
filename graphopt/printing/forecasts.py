"""What a conversion is worth, in a line: before it is measured, and after."""

from __future__ import annotations

__all__ = ["forecast_line", "measured_line"]

from typing import TYPE_CHECKING

from graphopt.benchmarking.figures import ratio_text

if TYPE_CHECKING:
    from graphopt.passes.report import PlanSummary
    from graphopt.reporting import Speedup

_NOTICEABLE = 0.005
"""The share of a call below which no measurement of 20 seconds shows a difference."""


def forecast_line(plan: PlanSummary) -> str:
    """How much of a call the conversion of the norms saves, about; "" where none converts."""
    found = plan.forecast
    if found is None:
        return ""
    least, most = found.rows
    rows = f"{least}" if least == most else f"{least} to {most}"
    norms = f"{plan.converted} norm{'s' * (plan.converted != 1)} of {rows} row{'s' * (most != 1)}"
    head = "forecast for the norms alone:"
    if found.share is not None and found.share <= -_NOTICEABLE:
        return f"{head} a call takes about {_percent(-found.share)} MORE ({norms})"
    if most == 1:
        return (
            f"{head} nothing that can be measured ({norms}: a norm of one row costs little more "
            "than its call; larger batches gain more)"
        )
    if found.share is None:
        return f"{head} unknown on {plan.provider}, measure it ({norms})"
    if found.share < _NOTICEABLE:
        return f"{head} nothing that can be measured ({norms}, a small share of a call)"
    return f"{head} a call takes about {_percent(found.share)} less ({norms})"


def measured_line(speedup: Speedup, variant: str) -> tuple[str, str]:
    """What was measured of the output beside the input, and the verdict."""
    row = next(row for row in speedup.rows if row.name == variant)
    interval = f"{ratio_text(row.ratio)} times the time of the input"
    if row.verdict == "no difference":
        return f"measured: no difference ({interval})", row.verdict
    change = _percent(abs(1 - row.ratio.value))
    if row.verdict == "slower":
        advice = "keep the input, or try --tune"
        return f"measured: {change} SLOWER than the input ({interval}): {advice}", row.verdict
    return f"measured: {change} faster ({interval})", row.verdict


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.1 else f"{share:.1%}"
