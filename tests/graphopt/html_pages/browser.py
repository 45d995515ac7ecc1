"""An HTML page in a browser: how wide it is, what overlaps, what it loads, what it looks like."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest

from graphopt.html_pages.palette import colour

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)

NEEDS_CHROMIUM = [
    pytest.mark.slow,
    pytest.mark.skipif(
        CHROMIUM is None, reason="there is no Chromium: apt-get install chromium, for example"
    ),
]

# The frame is as wide as the screen to be tested: Chromium's own window is never below 500 pixels.
FRAME = """<!doctype html><meta charset="utf-8"><title>frame</title>
<style>body { margin: 0 } iframe { border: 0; display: block }</style>
<iframe src="PAGE" style="width: WIDTHpx; height: 1000px"></iframe><pre></pre>
<script>
onload = () => {
  const frame = document.querySelector("iframe"), page = frame.contentDocument;
  for (const details of page.querySelectorAll("details")) details.open = true;
  const box = (element) => element.getBoundingClientRect();
  const wide = [...page.querySelectorAll("body *")].filter((e) => box(e).right > WIDTH + 1);
  const overlapping = [];
  for (const drawing of page.querySelectorAll("svg")) {
    const texts = [...drawing.querySelectorAll("text")];
    texts.forEach((one, index) => texts.slice(index + 1).forEach((other) => {
      const a = box(one), b = box(other);
      if (Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 &&
          Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 5)
        overlapping.push(one.textContent + " / " + other.textContent);
    }));
  }
  const sizes = [...page.querySelectorAll("svg text")].map((text) => {
    const drawing = text.ownerSVGElement;
    return parseFloat(frame.contentWindow.getComputedStyle(text).fontSize) *
      box(drawing).width / drawing.viewBox.baseVal.width;
  });
  document.querySelector("pre").textContent = JSON.stringify({
    scroll: page.documentElement.scrollWidth,
    height: page.documentElement.scrollHeight,
    wide: wide.map((element) => element.tagName + " " + element.textContent.slice(0, 40)),
    overlapping: overlapping,
    smallest: Math.min(...sizes),
    drawings: page.querySelectorAll("svg").length,
    loaded: frame.contentWindow.performance.getEntriesByType("resource").map((r) => r.name),
  });
};
</script>"""


def chromium(folder: Path, *options: str, dark: bool) -> subprocess.CompletedProcess[str]:
    assert CHROMIUM is not None
    command = [CHROMIUM, "--headless", "--disable-gpu", "--hide-scrollbars"]
    if os.geteuid() == 0:
        command.append("--no-sandbox")  # which Chromium demands of root, as in a container
    command += [
        f"--user-data-dir={folder / 'profile'}",
        f"--blink-settings=preferredColorScheme={0 if dark else 1}",
        "--allow-file-access-from-files",  # so that the frame can be read
        "--enable-logging=stderr",
        *options,
        (folder / "frame.html").as_uri(),
    ]
    return subprocess.run(command, capture_output=True, text=True, check=True)


def measured(page: Path, width: int, *, dark: bool) -> dict[str, Any]:
    """What the browser says of ``page`` on a screen of ``width`` pixels; ``drawings`` counts them.

    Nothing may reach beyond the screen, no text may stand on another or be too small to read,
    nothing may be loaded, and the console stays silent.
    """
    frame = page.with_name("frame.html")
    frame.write_text(FRAME.replace("WIDTH", str(width)).replace("PAGE", page.name))
    done = chromium(page.parent, "--dump-dom", "--virtual-time-budget=10000", dark=dark)
    result = re.search(r"<pre>(\{.*\})</pre>", done.stdout)
    assert result is not None, done.stdout
    found: dict[str, Any] = json.loads(result.group(1).replace("&amp;", "&"))
    assert found["scroll"] == width
    assert found["wide"] == []
    assert found["overlapping"] == []
    assert found["smallest"] >= 10.5
    assert found["loaded"] == []
    assert "CONSOLE" not in done.stderr
    return found


def photographed(page: Path, width: int, *, dark: bool) -> None:
    """Take a picture of the page that was measured: its scheme is that of the screen."""
    picture = page.with_name(f"{width}-{'dark' if dark else 'light'}.png")
    size = f"--window-size={max(width, 500)},1000"
    chromium(page.parent, f"--screenshot={picture}", size, dark=dark)
    pixels = np.round(255 * matplotlib.image.imread(picture)[:, :width, :3]).astype(int)
    shade = colour("page").dark if dark else colour("page").light
    assert "#" + "".join(f"{part:02x}" for part in pixels[2, 2]) == shade
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 20  # something is drawn
