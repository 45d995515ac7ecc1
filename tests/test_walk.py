"""The walk of a model through `optimize`, as CONTRIBUTING tells it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks import walk


def test_a_model_walks_through_few_rooms(capsys: pytest.CaptureFixture[str]) -> None:
    walk.main()
    counts, stays = capsys.readouterr().out.splitlines()
    found = re.fullmatch(r"(\d+) rooms, (\d+) moves, (\d+) of them back up", counts)
    assert found is not None
    rooms, moves, climbs = map(int, found.groups())
    names = stays.split(" -> ")
    assert names[:2] == ["cli", "optimization"]
    assert {"files", "inputs", "passes", "runtime", "verification"} < set(names)
    assert (rooms, moves) == (len(set(names)), len(names) - 1)
    assert rooms <= 12
    assert 0 < climbs < moves / 2


def test_the_rooms_are_those_of_the_package() -> None:
    package = walk.PACKAGE
    assert walk.room_of(str(package / "optimization.py")) == "optimization"
    assert walk.room_of(str(package / "files" / "loading.py")) == "files"
    assert walk.room_of(str(package / "passes" / "graph" / "axes.py")) == "passes"
    assert walk.room_of(str((package / "passes").resolve() / "pipeline.py")) == "passes"
    assert walk.room_of(str(Path(re.__file__))) is None


def test_imports_are_followed_through_others() -> None:
    below = walk.imports()
    assert {"optimization", "files", "passes", "errors"} <= below["cli"]
    assert all("cli" not in rooms for rooms in below.values())
    assert "reporting" not in below["files"]
