"""Which floor says what share of the norms' cost a model saved.

The share is the norms' own: of what attention gained, nothing may count as captured. So both ends
of the scale, and the model on it, are graphs in which nothing but norms was changed.
"""

from __future__ import annotations

__all__ = ["floor_for"]

from collections.abc import Mapping

from graphopt.benchmarking.candidates import FLOOR, FLOOR_NO_FUSE, RMS_NO_FUSE, Candidate


def floor_for(name: str, timed: Mapping[str, Candidate], baseline: str) -> tuple[str, str]:
    """The floor that the share of a model is measured with, or "" and why there is none.

    Args:
        name: The model.
        timed: The models of the point, by name.
        baseline: The one that the others are divided by.
    """
    model = timed[name]
    if name == baseline or model.info.kind == "floor":
        return "", "it is one end of the scale"
    if model.info.quantizer:
        return "", "quantizing changes more than the norms"
    if model.info.kind == "peer":
        return "", "other optimizers change more than the norms"
    floors = [timed[each] for each in (FLOOR, FLOOR_NO_FUSE) if each in timed]
    if not floors:
        return "", "there is no floor"
    base = timed[baseline]
    if base.fused or base.info.quantizer:
        return "", f"more than the norms was changed in {baseline}"
    fusible = any(floor.fused for floor in floors)
    if model.fused or (fusible and model.info.kind == "given"):
        advice = f": {RMS_NO_FUSE} has their share" if RMS_NO_FUSE in timed else ""
        return "", f"more than the norms was changed{advice}"
    plain = [floor.info.name for floor in floors if not floor.fused]
    return (plain[0], "") if plain else ("", "there is no floor that differs in the norms alone")
