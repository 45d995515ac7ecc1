"""`graphopt inspect` from the command line: the plan on the screen, as JSON and as a page."""

from __future__ import annotations

import html
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.graphopt.cli.command_line import run


def test_each_norm_has_one_row(capsys: pytest.CaptureFixture[str], model: Path) -> None:
    _, out, _ = run(capsys, "inspect", "-v", model)
    rows = [line.split() for line in out.splitlines() if "  40  " in line]
    assert [row[1:4] for row in rows] == [["2", "40", "RMSNorm"]] * 2
    assert "mean taken out of position, embedding" in out
    assert "taken out of weight_2 and 2 weights of the rows above" in out


def test_inspect_json_is_the_plan(capsys: pytest.CaptureFixture[str], model: Path) -> None:
    code, out, _ = run(capsys, "inspect", model, "--json")
    found = json.loads(out)
    assert (code, found["schema"]) == (0, "graphopt.plan/1")
    assert [norm["value"] for norm in found["plan"]["norms"]] == ["stream", "residual"]
    assert set(found["plan"]["norms"][0]["absorbed_by"]) == {"embedding", "position"}


def test_inspect_html_draws_what_json_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], model: Path
) -> None:
    page = tmp_path / "plan.html"
    code, out, _ = run(capsys, "inspect", model, "--json", "--html", page)
    text = page.read_text()
    assert (code, html.escape(out) in text) == (0, True)
    assert "2 of 2 LayerNorms become RMSNorms" in text
    code, _, error = run(capsys, "inspect", model, "--html", page)
    assert (code, "exists: choose another file" in error) == (2, True)
    code, out, _ = run(capsys, "inspect", model, "--html", page, "--force")
    assert (code, "2 of 2 LayerNorms" in out) == (0, True)
    before = model.read_bytes()
    code, _, error = run(capsys, "inspect", model, "--html", model, "--force")
    assert (code, "is a model of this run" in error) == (2, True)
    assert model.read_bytes() == before


def test_a_reader_that_leaves_is_no_error(model: Path) -> None:
    command = f"{sys.executable} -m graphopt inspect {model} | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert done.stdout.strip() in ("0", "141")
