"""The models that a benchmark sets side by side: what they are called, and what they compute."""

from __future__ import annotations

__all__ = [
    "FLOOR",
    "FLOOR_NO_FUSE",
    "RMS_NO_FUSE",
    "Candidate",
    "difference_to",
    "given_candidates",
    "names_made_here",
    "quantized_name",
]

import dataclasses
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from graphopt.benchmarking.peers import PEERS
from graphopt.benchmarking.result import ModelInfo
from graphopt.passes.choices import VARIANT
from graphopt.verification import Original, verify

RMS_NO_FUSE = "rms no-fuse"
"""What ``graphopt optimize --no-fuse`` makes: nothing but the norms differs from the original."""

FLOOR = "floor"
FLOOR_NO_FUSE = "floor no-fuse"


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A model to time.

    Attributes:
        info: Its name, kind and origin.
        path: Its file.
        fused: True where something beside the norms was cleaned up or fused too.
        file_bytes: Size of its file and its external data, or None where nobody asked for it.
        error: How far its outputs are from the original's, relative to their root mean square; or
            None where that was not measured.
    """

    info: ModelInfo
    path: Path
    fused: bool = False
    file_bytes: int | None = None
    error: float | None = None


def given_candidates(paths: Sequence[Path], source: Path) -> list[Candidate]:
    """The models at ``paths``, the original first, which ``source`` stands for.

    They are called by their stems, and by their paths where those are not unique; a file that is
    given again is numbered.
    """
    if len(paths) == 1:
        return [Candidate(ModelInfo("original", "original", str(paths[0])), source)]
    stems = [path.stem for path in paths]
    taken = {*names_made_here(), *(stem for stem in stems if stems.count(stem) > 1)}
    found: list[Candidate] = []
    times: Counter[str] = Counter()
    for path in paths:
        name = str(path) if path.stem in taken else path.stem
        times[name] += 1
        if times[name] > 1:
            name = f"{name} ({times[name]})"
        info = ModelInfo(name, "given" if found else "original", str(path))
        found.append(Candidate(info, path))
    return found


def names_made_here(
    *, optimized: bool = True, no_fuse: bool = True, floor: bool = True, peers: bool = True
) -> list[str]:
    """What the models that a benchmark can make are called, in their order."""
    names: list[str] = []
    for name in VARIANT.values if optimized else ():
        names += [name, RMS_NO_FUSE] if no_fuse and name == VARIANT.default else [name]
    if floor:
        names += [FLOOR, FLOOR_NO_FUSE] if no_fuse else [FLOOR]
    return names + [peer.name for peer in PEERS if peers]


def quantized_name(name: str, quantizer: str) -> str:
    """What the quantized form of a model is called."""
    return f"{name} {quantizer}"


def difference_to(original: Original, candidate: Path, provider: str) -> str:
    """Why ``candidate`` is not, or not known to be, the same function; "" where it is."""
    checked = verify(original, candidate, provider=provider, norms=())
    if checked.status == "passed":
        return ""
    wrong = [output for output in checked.outputs if not output.passed]
    errors = ", ".join(f"{output.name} by {output.max_abs:.2g}" for output in wrong)
    return checked.reason or f"it differs in {errors}"
