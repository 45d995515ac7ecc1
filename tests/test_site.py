"""The site of the pages: complete, and built where nothing in it is broken."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import graphopt
from tests.pages import ROOT
from tests.versions.environments import python_with

DOCS = ROOT / "docs"
STRICT = ("--fail-on-warning", "--keep-going", "--quiet")
SOURCES = ("docs", "examples", "README.md", "CONTRIBUTING.md", "CHANGELOG.md")


def test_the_api_page_has_every_public_name() -> None:
    text = (DOCS / "api.md").read_text(encoding="utf-8")
    named = re.findall(r"^\.\. auto\w+:: (\w+)$", text, re.MULTILINE)
    assert sorted(named) == sorted(graphopt.__all__)


def test_the_picture_is_what_its_script_draws() -> None:
    script = DOCS / "stream_picture.py"
    spec = importlib.util.spec_from_file_location("stream_picture", script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (DOCS / "stream.svg").read_text(encoding="utf-8") == module.picture()


def test_make_docs_is_strict() -> None:
    recipe = (ROOT / "Makefile").read_text(encoding="utf-8").split("\ndocs:")[1].split("\n\n")[0]
    assert all(option in recipe for option in STRICT)


def site_builder() -> Path:
    """Python with all that the pages are built with, in the versions of the constraints."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    texts = [*project["dependencies"], *extras["cpu"], *extras["docs"]]
    pins = dict(
        line.split("==")
        for line in (ROOT / "constraints-dev.txt").read_text().splitlines()
        if "==" in line
    )
    names = [Requirement(text).name for text in texts]
    return python_with("docs", *(f"{name}=={pins[name]}" for name in names), graphopt=True)


def build(docs: Path, out: Path) -> subprocess.CompletedProcess[str]:
    command = [site_builder(), "-m", "sphinx", *STRICT, docs, out]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


@pytest.mark.slow
def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    done = build(DOCS, tmp_path / "site")
    assert (done.returncode, done.stderr) == (0, "")
    pages = {path.stem for path in (tmp_path / "site").glob("*.html")}
    assert {path.stem for path in DOCS.glob("*.md")} < pages
    api = (tmp_path / "site" / "api.html").read_text(encoding="utf-8")
    assert all(f'id="graphopt.{name}"' in api for name in graphopt.__all__)
    commands = (tmp_path / "site" / "commands.html").read_text(encoding="utf-8")
    assert "--only-if-faster" in commands


@pytest.mark.slow
def test_what_is_broken_is_named(tmp_path: Path) -> None:
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    docs = tmp_path / "docs"
    with (docs / "use.md").open("a", encoding="utf-8") as page:
        page.write("\n[no page](nowhere.md) and [no heading](results.md#nowhere)\n")
    (docs / "orphan.md").write_text("# A page that nothing leads to\n", encoding="utf-8")
    done = build(docs, tmp_path / "site")
    assert done.returncode != 0
    for broken in ("'nowhere.md'", "'nowhere'", "orphan.md"):
        assert broken in done.stderr
