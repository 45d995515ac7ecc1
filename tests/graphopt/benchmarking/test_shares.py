"""What a model saved of the norms' cost is said of graphs that differ in nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from graphopt.benchmarking.candidates import Candidate
from graphopt.benchmarking.result import Kind, ModelInfo
from graphopt.benchmarking.shares import floor_for

MORE = "more than the norms was changed"


def candidate(name: str, kind: Kind, *, fused: bool = False, quantizer: str = "") -> Candidate:
    return Candidate(ModelInfo(name, kind, "", quantizer), Path(name), fused)


ORIGINAL = candidate("original", "original")
ALL = (
    ORIGINAL,
    candidate("rms", "optimized", fused=True),
    candidate("rms no-fuse", "optimized"),
    candidate("crms", "optimized", fused=True),
    candidate("other", "given"),
    candidate("floor", "floor", fused=True),
    candidate("floor no-fuse", "floor"),
    candidate("onnxslim", "peer"),
    candidate("rms dynamic", "optimized", fused=True, quantizer="dynamic"),
)
WITHOUT_ATTENTION = (
    ORIGINAL,
    candidate("rms", "optimized"),
    candidate("crms", "optimized"),
    candidate("other", "given"),
    candidate("floor", "floor"),
)


def shares(*models: Candidate, baseline: str = "original") -> dict[str, str]:
    timed = {each.info.name: each for each in models}
    return {name: " ".join(floor_for(name, timed, baseline)).strip() for name in timed}


def test_the_norms_alone_have_the_share_where_attention_was_cleaned_up() -> None:
    assert shares(*ALL) == {
        "original": "it is one end of the scale",
        "rms": f"{MORE}: rms no-fuse has their share",
        "rms no-fuse": "floor no-fuse",
        "crms": f"{MORE}: rms no-fuse has their share",
        "other": f"{MORE}: rms no-fuse has their share",
        "floor": "it is one end of the scale",
        "floor no-fuse": "it is one end of the scale",
        "onnxslim": "other optimizers change more than the norms",
        "rms dynamic": "quantizing changes more than the norms",
    }


def test_each_variant_has_a_share_where_there_was_nothing_to_clean_up() -> None:
    found = shares(*WITHOUT_ATTENTION)
    assert {name: found[name] for name in ("rms", "crms", "other")} == {
        "rms": "floor",
        "crms": "floor",
        "other": "floor",
    }


@pytest.mark.parametrize(
    ("left_out", "expected"),
    [
        ({"floor", "floor no-fuse"}, "there is no floor"),
        ({"floor no-fuse"}, "there is no floor that differs in the norms alone"),
        ({"floor"}, "floor no-fuse"),
    ],
)
def test_without_a_floor_there_is_no_share(left_out: set[str], expected: str) -> None:
    models = [each for each in ALL if each.info.name not in left_out]
    assert shares(*models)["rms no-fuse"] == expected


@pytest.mark.parametrize("baseline", ["rms", "rms dynamic"])
def test_a_baseline_with_more_changed_has_no_share_to_give(baseline: str) -> None:
    assert shares(*ALL, baseline=baseline)["rms no-fuse"] == f"{MORE} in {baseline}"
