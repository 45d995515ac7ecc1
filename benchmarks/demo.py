"""What `make demo` runs: export a ViT-Ti/16, optimize and verify it, compare its latency.

    python benchmarks/demo.py

The files stay in demo/, for a closer look. The weights are random (fixed seed, the affine part of
every norm perturbed): latency and equivalence do not depend on what a network has learned.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

from rich.console import Console

DIRECTORY = Path("demo")
ORIGINAL = DIRECTORY / "vit-ti-16.onnx"
SECONDS = 60


def main() -> None:
    """Runs the commands as a user would type them, then measures."""
    console = Console()
    DIRECTORY.mkdir(exist_ok=True)
    if not ORIGINAL.exists():
        run(console, "export", "vit-ti-16", "-o", str(ORIGINAL))
    run(console, "optimize", str(ORIGINAL), "--variant", "rms", "--force")

    console.print("\nLatency of one image on one thread, with the norm-free floor beside it:")
    run(console, "bench", str(ORIGINAL), "--clock", "thread_cpu", "--duration", str(SECONDS))


def run(console: Console, *arguments: str) -> None:
    """Shows a graphopt command and runs it; a failure ends the demo with its exit code."""
    console.print(f"\n$ graphopt {shlex.join(arguments)}", style="bold", highlight=False)
    command = [str(Path(sys.executable).parent / "graphopt"), *arguments]
    done = subprocess.run(command, check=False)
    if done.returncode:
        sys.exit(done.returncode)


if __name__ == "__main__":
    main()
