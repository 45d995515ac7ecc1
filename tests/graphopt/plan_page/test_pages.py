"""The HTML page of a plan."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from graphopt import inspect
from graphopt.errors import EnvironmentFailure
from graphopt.passes.report import PlanSummary
from graphopt.plan_page import render_html, write_html
from tests.graphopt.html_pages.strict_page import Page
from tests.graphopt.plan_page.plans import as_json, deep_plan, forked_plan, post_ln_plan

PLANS = {
    "deep": deep_plan(),
    "kept": deep_plan(12, kept=5),
    "post-ln": post_ln_plan(),
    "forked": forked_plan(),
    "none": PlanSummary("rms", "cpu", ()),
}


def page_of(plan: PlanSummary) -> Page:
    return Page(render_html(plan, "a <model> & more.onnx", as_json=as_json(plan)))


@pytest.fixture(params=PLANS.values(), ids=PLANS.keys())
def plan(request: pytest.FixtureRequest) -> PlanSummary:
    return request.param


def test_the_page_stands_alone_and_is_well_formed(plan: PlanSummary) -> None:
    page = page_of(plan)
    page.stands_alone()
    page.references_resolve()
    page.has_no_stand_in()
    assert page.texts["h1"] == ["a <model> & more.onnx: plan"]


def test_every_norm_and_place_is_there_with_all_its_names(plan: PlanSummary) -> None:
    page = page_of(plan)
    names = [text for text in page.texts.get("strong", [])]
    assert sorted(names) == sorted(norm.name for norm in plan.norms)
    rows = [attributes.get("id") for attributes in page.all("tr") if "id" in attributes]
    assert rows == [
        f"place-{number}-{index}"
        for number, stream in enumerate(plan.streams)
        for index in range(len(stream.places))
    ]
    told = " ".join(page.texts.get("td", []))
    for stream in plan.streams:
        for place in stream.places:
            for name in (*place.sources, *place.readers, *place.recentrings):
                assert name in told
    said = " ".join(page.texts.get("p", []))
    for norm in plan.norms:
        assert norm.reason in said


def test_what_it_shows_is_the_json(plan: PlanSummary) -> None:
    (shown,) = page_of(plan).texts["pre"]
    assert shown == as_json(plan)
    assert len(json.loads(shown)["plan"]["norms"]) == len(plan.norms)


def drawn(plan: PlanSummary) -> list[str]:
    """What is written beside the marks of each stream, without the legend."""
    page = page_of(plan)
    return [text for text in page.texts["desc"] if not text.startswith("absorbs: ")]


def test_a_hundred_equal_blocks_are_drawn_once() -> None:
    (said,) = drawn(PLANS["deep"])
    assert said.count("converted") == 3
    assert (
        "100 times: blocks 0 to 99: 2 each converted h.*.ln_1 RMSNorm over 64, beta folded" in said
    )
    assert "absorbs h.*.attn.c_proj.{weight,bias}" in said
    assert said.endswith("converted ln_f RMSNorm over 64, beta folded")
    assert len(render_html(PLANS["deep"], "deep", as_json="")) < 150_000


def test_a_block_that_differs_stands_by_itself() -> None:
    (said,) = drawn(PLANS["kept"])
    assert "4 times: blocks 0 to 3: 2 each" in said  # what block 4 writes has its mean
    assert "kept h.5.ln_1 stays: graph output hidden <3> needs the mean of x" in said
    assert "reader graph output hidden <3> needs the mean" in said
    assert "6 times: blocks 6 to 11: 2 each" in said


def test_marks_name_all_that_they_stand_for_and_lead_to_it() -> None:
    page = page_of(PLANS["kept"])
    tips = page.texts["title"]
    assert "RMSNorm over 64, beta folded: /model.h.0.ln_1/Norm, /model.h.1.ln_1/Norm" in " ".join(
        tips
    )
    assert any("needs the mean, so that it cannot be removed: graph output" in tip for tip in tips)
    links = [attributes["href"] for attributes in page.all("a")]
    assert not any("target" in attributes for attributes in page.all("a"))  # no other window
    linked = re.findall(r'<g><title>[^<]+</title><a href="#place-[-\d]+"><path ', page.text)
    assert len(linked) == sum(
        tip.split(": ")[-1].startswith(("/", "model.", "graph")) for tip in tips
    )
    kept = next(
        index for index, place in enumerate(PLANS["kept"].streams[0].places) if place.readers
    )
    assert f"#place-0-{kept}" in links


def test_a_stream_goes_on_behind_norms_whose_outputs_are_added_up() -> None:
    (said,) = drawn(PLANS["post-ln"])
    assert "11 times: blocks 0 to 10: 2 each" in said
    assert "kept layer.*.attention stays: what it reads adds up outputs of LayerNorms" in said
    assert "MatMul q" not in said  # who reads an output of a norm is in nobody's way


def test_a_fork_says_from_where_it_goes_on() -> None:
    fork, single = drawn(PLANS["forked"])
    assert "joins goes on from x0" in fork
    assert "recentred mean subtracted at x2; copied c RMSNorm over 64" in " ".join(fork.split())
    assert "source Relu r writes it" in single
    assert "Norms on no stream" in page_of(PLANS["forked"]).texts["h2"]


def test_streams_that_are_alike_are_drawn_once() -> None:
    one = deep_plan(2)
    twice = PlanSummary("rms", "cpu", one.norms, streams=one.streams * 2)
    page = page_of(twice)
    assert len(page.all("svg")) == 2  # and the legend
    assert "Stream 1: 64 features, 2 alike" in page.texts["h3"]
    assert len([text for text in page.texts["summary"] if text.startswith("Stream ")]) == 2


@pytest.mark.parametrize("variant", ["rms", "crms"])
@pytest.mark.parametrize("name", ["gpt2-hidden-tiny", "swin-t-tiny", "bert-base-tiny"])
def test_pages_of_real_models(name: str, variant: str, zoo_model: Callable[[str], Path]) -> None:
    plan = inspect(zoo_model(name), variant=variant)
    page = page_of(plan)
    page.stands_alone()
    page.references_resolve()
    assert sorted(page.texts["strong"]) == sorted(
        [norm.name for norm in plan.norms]
        + [other.name for other in plan.other_norms]
        + [copy.tensor for copy in plan.copies]
    )
    of_places = [name for s in plan.streams for place in s.places for name in place.norms]
    assert len(of_places) == len(set(of_places))
    absorbing = {name for s in plan.streams for place in s.places for name in place.absorbing}
    assert absorbing == {name for norm in plan.norms for name in norm.absorbed_by}


def test_the_same_plan_gives_the_same_bytes(tmp_path: Path) -> None:
    plan = PLANS["forked"]
    for name in ("one.html", "two.html"):
        write_html(plan, "m", tmp_path / name, as_json=as_json(plan))
    assert (tmp_path / "one.html").read_bytes() == (tmp_path / "two.html").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.html", "two.html"]
    with pytest.raises(EnvironmentFailure, match="cannot be written"):
        write_html(plan, "m", tmp_path / "absent" / "page.html", as_json="")


def test_without_the_drawing_library_the_import_says_how_to_get_it() -> None:
    code = "import sys; sys.modules['matplotlib'] = None; import graphopt.plan_page"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    last = done.stderr.strip().splitlines()[-1]
    assert re.match(r"graphopt\.errors\.EnvironmentFailure: matplotlib, which draws", last)
    assert last.endswith('pip install "graphopt[bench]"')
