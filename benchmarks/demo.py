"""What `make demo` runs: write a ViT-Ti/16, optimize and verify it, compare its latency.

    python benchmarks/demo.py

It takes half a minute on two slow cores, and needs neither torch nor a network. The files stay in
demo/, for a closer look. The weights are random (fixed seed, the affine part of every norm
perturbed): latency and equivalence do not depend on what a network has learned.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console

DIRECTORY = Path("demo")
ORIGINAL, RESULT = DIRECTORY / "vit-ti-16.onnx", DIRECTORY / "vit-ti-16.rms.onnx"
SECONDS = 10
STEPS = (
    (
        "Write a ViT-Ti/16 with random weights: 12 blocks, 25 LayerNorms",
        ("export", "synthetic", "--kind", "vit", "--force", "-o", str(ORIGINAL)),
    ),
    (
        "Prove what can be converted, convert it, run both files on the same inputs",
        ("optimize", str(ORIGINAL), "--force", "-o", str(RESULT)),
    ),
    (
        f"Compare the latency of the two, one image on one thread, for about {SECONDS} seconds",
        (
            *("bench", str(ORIGINAL), str(RESULT), "--no-floor"),
            *("--clock", "thread_cpu", "--duration", str(SECONDS)),
        ),
    ),
)
"""What a step is for, and the graphopt command that does it."""


def main() -> None:
    """Runs the steps as a user would type them, and says how long they took."""
    console = Console()
    DIRECTORY.mkdir(exist_ok=True)
    begin = time.monotonic()
    for number, (purpose, arguments) in enumerate(STEPS, 1):
        console.print(f"\n{number} of {len(STEPS)}: {purpose}", style="bold", highlight=False)
        run(console, *arguments)
    seconds = time.monotonic() - begin
    console.print(f"\nDone in {seconds:.0f} seconds; the files are in {DIRECTORY}/.")


def run(console: Console, *arguments: str) -> None:
    """Shows a graphopt command and runs it; a failure ends the demo with its exit code."""
    console.print(f"$ graphopt {shlex.join(arguments)}", highlight=False, soft_wrap=True)
    command = [sys.executable, "-m", "graphopt", *arguments]
    done = subprocess.run(command, check=False)
    if done.returncode:
        sys.exit(done.returncode)


if __name__ == "__main__":
    main()
