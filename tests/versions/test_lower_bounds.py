"""The oldest versions that are tested are the oldest that may be installed."""

from __future__ import annotations

import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[2]
# What `make test-lower-bounds` installs, beside what every installation has.
EXTRAS = ("cpu", "export", "bench", "test")


def test_the_constraints_are_the_lower_bounds() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    texts = [*project["dependencies"]]
    texts += [text for extra in EXTRAS for text in project["optional-dependencies"][extra]]
    required = [Requirement(text) for text in texts]
    bounds = {
        requirement.name: Version(clause.version)
        for requirement in required
        for clause in requirement.specifier
    }
    lines = (ROOT / "constraints-lowest.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    assert {name: Version(version) for name, version in pins.items()} == bounds
