"""The page of a plan in a browser: layout, colours and silence, on a phone and on a wide screen."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from graphopt.passes.report import PlanSummary
from graphopt.plan_page import write_html
from tests.graphopt.html_pages.browser import NEEDS_CHROMIUM, chromium, measured, photographed
from tests.graphopt.plan_page.plans import as_json, deep_plan, forked_plan, post_ln_plan

pytestmark = NEEDS_CHROMIUM

CLICK = """<pre id="said"></pre><script>
onload = () => {
  const click = new MouseEvent("click", { bubbles: true, cancelable: true, view: window });
  document.querySelector("svg a").dispatchEvent(click);
  setTimeout(() => {
    const shown = document.querySelector(":target");
    document.querySelector("#said").textContent = "shown " +
      (shown && shown.closest("details").open && shown.getBoundingClientRect().height > 0);
  }, 500);
};
</script>"""


def written(plan: PlanSummary, folder: Path) -> Path:
    page = folder / "page.html"
    write_html(plan, "a model of a long name.onnx", page, as_json=as_json(plan))
    return page


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize(
    "plan", [deep_plan(), post_ln_plan(), forked_plan()], ids=["deep", "post-ln", "forked"]
)
def test_the_page_in_a_browser(plan: PlanSummary, width: int, dark: bool, tmp_path: Path) -> None:
    page = written(plan, tmp_path)
    assert measured(page, width, dark=dark)["drawings"] == len(plan.streams) + 1
    photographed(page, width, dark=dark)


def test_a_click_opens_what_is_known_of_a_place(tmp_path: Path) -> None:
    page = written(deep_plan(), tmp_path)
    (tmp_path / "frame.html").write_text(page.read_text() + CLICK)
    done = chromium(tmp_path, "--dump-dom", "--virtual-time-budget=10000", dark=False)
    assert re.search('<pre id="said">shown true</pre>', done.stdout), done.stdout[-300:]
