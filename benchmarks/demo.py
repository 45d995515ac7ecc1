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
from rich.progress import Progress

from graphopt.floor import remove_all_norms
from graphopt.inputs import generate_inputs
from graphopt.latency import latency_table, measure_models, method_text
from graphopt.loading import load
from graphopt.saving import save

DIRECTORY = Path("demo")
ORIGINAL = DIRECTORY / "vit-ti-16.onnx"
OPTIMIZED = DIRECTORY / "vit-ti-16.rms.onnx"
FLOOR = DIRECTORY / "vit-ti-16.floor.onnx"
SECONDS = 60


def main() -> None:
    """Runs the commands as a user would type them, then measures."""
    console = Console()
    DIRECTORY.mkdir(exist_ok=True)
    if not ORIGINAL.exists():
        run(console, "export", "vit-ti-16", "-o", str(ORIGINAL))
    run(console, "optimize", str(ORIGINAL), "--variant", "rms", "--force")

    console.print("\nLatency of one image on one thread, with the norm-free floor beside it:")
    inputs = generate_inputs(load(ORIGINAL), dims={"batch": 1}).arrays
    floor = load(ORIGINAL)
    remove_all_norms(floor, inputs)
    save(floor, FLOOR, force=True)
    models = {"original": ORIGINAL, "rms": OPTIMIZED, "floor": FLOOR}
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("measuring", total=1.0)
        samples, environment = measure_models(
            models,
            inputs,
            duration=SECONDS,
            clock="thread_cpu",
            progress=lambda share: progress.update(task, completed=share),
        )
    console.print(latency_table(samples, baseline="original", floor="floor"))
    console.print(f"\n{method_text(samples)}\n{environment}", highlight=False)


def run(console: Console, *arguments: str) -> None:
    """Shows a graphopt command and runs it; a failure ends the demo with its exit code."""
    console.print(f"\n$ graphopt {shlex.join(arguments)}", style="bold", highlight=False)
    command = [str(Path(sys.executable).parent / "graphopt"), *arguments]
    done = subprocess.run(command, check=False)
    if done.returncode:
        sys.exit(done.returncode)


if __name__ == "__main__":
    main()
