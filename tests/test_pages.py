"""What README and the pages under docs/ say is so: commands, output, links, targets."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.pages import PAGES, ROOT, held, unmarked

over_pages = pytest.mark.parametrize(
    "page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES]
)


@over_pages
def test_every_block_runs_and_prints_what_is_shown(page: Path, tmp_path: Path) -> None:
    held(page, tmp_path)


@over_pages
def test_commands_that_are_shown_are_run(page: Path) -> None:
    assert all("graphopt" not in text for text in unmarked(page))


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
