"""What README and the pages under docs/ say is so: commands, output, links, targets."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import pytest

import graphopt
from tests.conftest import ZooModel
from tests.pages import PAGES, ROOT, exports, held, unmarked, with_exports

over_pages = pytest.mark.parametrize(
    "page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES]
)


@over_pages
def test_every_block_runs_and_prints_what_is_shown(
    page: Path, tmp_path: Path, zoo_model: ZooModel
) -> None:
    """Pages begin with the same few exports: those are copied, as the command would leave them.

    That it leaves the same file is held by tests/graphopt/cli/test_application.py, and by the slow
    tests for the page that says how to export.
    """
    ready = {command: zoo_model(name) for name, command in exports(page).items()}
    (tmp_path / "page").mkdir()
    held(page, tmp_path / "page", programs=with_exports(tmp_path, ready))


@pytest.mark.slow
def test_the_page_that_says_how_to_export_runs_with_its_own_export(tmp_path: Path) -> None:
    held(ROOT / "docs" / "use.md", tmp_path)


def test_an_export_that_is_ready_is_copied_as_the_command_would_leave_it(tmp_path: Path) -> None:
    page, ready = tmp_path / "page.md", tmp_path / "ready.onnx"
    ready.write_text("ready\n")
    block = "graphopt export vit-tiny -o v.onnx  # or another\ncat v.onnx\ngraphopt --version\n"
    shown = f"v.onnx\nready\ngraphopt {graphopt.__version__}\n"
    page.write_text(f"<!-- run -->\n```sh\n{block}```\n\n<!-- output -->\n```text\n{shown}```\n")
    assert exports(page) == {"vit-tiny": "export vit-tiny -o v.onnx"}
    programs = with_exports(tmp_path, {"export vit-tiny -o v.onnx": ready})
    held(page, tmp_path, programs=programs)


@over_pages
def test_commands_that_are_shown_are_run(page: Path) -> None:
    assert all("graphopt" not in text for text in unmarked(page))


@pytest.mark.parametrize(
    ("mark", "text", "holds"),
    [
        ("output", "took 1.5 s", True),
        ("output", "took 2.5 s", False),
        ("output like", "took 2.5e-06\n  s", True),
        ("output like", "took 1.5 ms", False),
    ],
)
def test_an_output_that_is_not_printed_is_found(
    mark: str, text: str, holds: bool, tmp_path: Path
) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        f"<!-- run -->\n```sh\necho took 1.5 s\n```\n\n<!-- {mark} -->\n```text\n{text}\n```\n"
    )
    with contextlib.nullcontext() if holds else pytest.raises(AssertionError):
        held(page, tmp_path)


@over_pages
def test_links_to_files_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    targets = re.findall(r"\]\((?!https?://)([^)#]+)(?:#[^)]*)?\)", text)
    assert [target for target in targets if not (page.parent / target).exists()] == []


@over_pages
def test_make_targets_exist(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"\bmake ([a-z-]+)", page.read_text(encoding="utf-8")):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
