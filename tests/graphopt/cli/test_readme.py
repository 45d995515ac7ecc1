"""docs/use.md knows every option that it names, and README fits on its screens."""

from __future__ import annotations

import re
from pathlib import Path

from graphopt.cli import cli
from tests.pages import ROOT, blocks

README = ROOT / "README.md"
DOCS = ROOT / "docs"


def test_every_option_in_the_table_exists() -> None:
    options = {
        name for p in cli.commands["optimize"].params for name in (*p.opts, *p.secondary_opts)
    }
    text = (DOCS / "use.md").read_text(encoding="utf-8")
    table = text[text.index("| option |") :].partition("\n\n")[0]
    rows = re.sub(r"\|[^|]*\|$", "", table, flags=re.MULTILINE)
    assert set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", rows)) <= options


def test_the_readme_is_short_and_shows_a_result_before_it_explains() -> None:
    text = README.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 150
    places = [text.index(part) for part in (".svg)", "graphopt optimize", "PASSED", "| model |")]
    assert [*places, text.index("## Install")] == sorted([*places, text.index("## Install")])


def test_the_readme_shows_what_the_results_say() -> None:
    def rows(page: Path) -> list[list[str]]:
        lines = page.read_text(encoding="utf-8").splitlines()
        return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if "|" in line]

    results = rows(DOCS / "results.md")
    column = results[0].index
    shown = rows(README)
    shown = shown[shown.index(["model", "original ms", "graphopt", "onnxruntime.transformers"]) :]
    measured = [
        [row[column(name)] for name in ("model", "original ms", "rms", "ort-transformers")]
        for row in results
        if row[column("batch") : column("threads") + 1] == ["1", "1"]
    ]
    assert len(shown[2:6]) == 4
    assert all(row in measured for row in shown[2:6])


def test_the_pages_show_the_api() -> None:
    shown = [*blocks(README), *blocks(DOCS / "python.md"), *blocks(DOCS / "operators.md")]
    assert [block.language for block in shown if block.mark == "run"].count("python") == 4
