"""README knows every option that it names, and shows the API in Python."""

from __future__ import annotations

import re

from graphopt.cli import cli
from tests.pages import ROOT, blocks

README = ROOT / "README.md"


def test_every_option_in_the_table_exists() -> None:
    options = {
        name for p in cli.commands["optimize"].params for name in (*p.opts, *p.secondary_opts)
    }
    text = README.read_text(encoding="utf-8")
    table = text[text.index("| option |") :].partition("\n\n")[0]
    rows = re.sub(r"\|[^|]*\|$", "", table, flags=re.MULTILINE)
    assert set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", rows)) <= options


def test_it_shows_the_api() -> None:
    shown = [block.language for block in blocks(README) if block.mark == "run"]
    assert shown.count("python") == 3
