"""What memory and time allow: asked before a model is exported or a point of the study is timed."""

from __future__ import annotations

__all__ = ["TimeLimit", "free_memory", "gibibytes"]

from pathlib import Path

from graphopt.runtime import gpu

# What graphopt.measuring.rounds cannot do without where calls are slow: 6 openings, each with two
# rounds of warm-up and one that is timed.
_FEWEST_CALLS = 6 * 3


class TimeLimit:
    """Foretells how long a point takes, from the points timed before it.

    Time is taken to grow with weights times tokens. The first point of an execution provider and
    type is always allowed.

    Args:
        seconds: The longest that timing one point may take.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._rates: dict[tuple[str, str], float] = {}

    def learn(self, kind: tuple[str, str], work: int, seconds: float) -> None:
        """A call of ``work`` weights x tokens, of this provider and type, took ``seconds``."""
        self._rates[kind] = seconds / work

    def reason(self, kind: tuple[str, str], work: int, models: int) -> str:
        """Why a point is not timed, or "" where it is."""
        call = self._rates.get(kind, 0.0) * work
        needed = _FEWEST_CALLS * models * call
        if needed <= self.seconds:
            return ""
        return (
            f"a call would take about {call:.1f} s, a measurement {needed:.0f} s, more than "
            f"{self.seconds:.0f} s (--limit)"
        )


def free_memory(provider: str) -> int | None:
    """Bytes that are free for sessions of a provider, or None where nobody says."""
    if provider == "cuda":
        return gpu.free_memory()
    known = Path("/proc/meminfo")
    if not known.exists():
        return None
    lines = dict(line.split(":") for line in known.read_text().splitlines())
    return 1024 * int(lines["MemAvailable"].split()[0])


def gibibytes(count: float) -> str:
    """``count`` bytes as text, for example ``2.4 GiB``."""
    return f"{count / 2**30:.1f} GiB"
