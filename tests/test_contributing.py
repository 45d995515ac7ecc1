"""The worked example of CONTRIBUTING.md: its pass and its tests, executed as they stand there."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent
PASS = "graphopt.passes.drop_unit_factors"


def blocks() -> list[str]:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    return re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def load(name: str, file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """The files of the example, the pass imported as if it stood among the others."""
    source, test, _ = blocks()
    (tmp_path / "drop_unit_factors.py").write_text(source)
    (tmp_path / "test_drop_unit_factors.py").write_text(test)
    load(PASS, tmp_path / "drop_unit_factors.py")
    yield tmp_path
    del sys.modules[PASS]


def test_the_example_passes_its_own_tests(example: Path) -> None:
    assert pytest.main(["-q", "-p", "no:cacheprovider", f"--rootdir={example}", str(example)]) == 0


def test_the_example_is_clean(example: Path) -> None:
    pytest.importorskip("ruff", reason="ruff comes with the extra dev")
    ruff = [sys.executable, "-m", "ruff"]
    config = ["--config", str(ROOT / "pyproject.toml"), str(example / "drop_unit_factors.py")]
    for command in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [*ruff, *command, *config], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout


def test_the_step_has_the_form_of_the_pipelines_steps(example: Path) -> None:
    from graphopt.passes.pipeline import Options, Step

    step = eval(blocks()[2], {"Step": Step, "DropUnitFactors": sys.modules[PASS].DropUnitFactors})
    assert step.optional
    assert type(step.build(Options())).__name__ == "DropUnitFactors"


def test_the_op_that_is_taught_is_taught_so() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    parts = re.findall(r"<!-- in (\S+) -->\n\n((?:       .*\n)+)", text)
    assert len(parts) == 4
    for name, lines in parts:
        found = [line.strip() for line in (ROOT / name).read_text().splitlines()]
        taught = [line.strip() for line in lines.splitlines()]
        places = range(len(found) - len(taught) + 1)
        assert any(found[i : i + len(taught)] == taught for i in places), name


def test_the_folders_and_files_that_are_named_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    named = set(re.findall(r"`((?:passes|graphopt|models|tests|benchmarks|\.ci)/[\w./]*)`", text))
    named -= {"passes/drop_unit_factors.py", "tests/passes/test_drop_unit_factors.py"}
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("contract", ["application", "compiler core"])
def test_the_rooms_are_those_of_the_contract(contract: str) -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    layers = next(c["layers"] for c in config["contracts"] if f"the {contract} run" in c["name"])
    expected = [re.findall(r"[\w.]+", layer) for layer in layers]
    prefix = "graphopt." if contract == "application" else "graphopt.passes."
    text = (ROOT / "CONTRIBUTING.md").read_text().split(f"<!-- contract: {contract} -->")[1]
    rows = re.findall(r"^\| (?!-|room)([^|]+) \|", text.strip().split("\n\n")[0], re.MULTILINE)
    files = sorted(path.stem for path in (ROOT / "passes").glob("*.py"))
    named = [re.findall(r"`(\w+)`", row) for row in rows]
    others = {"__init__", *(name for row in named for name in row)}
    named = [row or [name for name in files if name not in others] for row in named]
    assert named == [[name.removeprefix(prefix) for name in layer] for layer in expected]
