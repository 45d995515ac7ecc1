"""What optimizing gains: zoo models in ONNX Runtime, with the norm-free floor beside them.

    python benchmarks/latency.py [MODEL ...]

Prints one row for each model: the median latencies, the ratio of the optimized model to its input
with a 95% bootstrap interval, and the share of the cost of normalization that was captured. Models
are exported once into .model-cache/benchmarks, with random weights. Run it on a quiet machine.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from graphopt import optimize
from graphopt.comparison import compare
from graphopt.floor import remove_all_norms
from graphopt.inputs import generate_inputs
from graphopt.latency import captured_text, measure_models, ratio_text
from graphopt.loading import load
from graphopt.models import export
from graphopt.saving import save

CACHE = Path(__file__).parent.parent / ".model-cache" / "benchmarks"
# Each with the sizes of its symbolic dimensions beside the batch.
MODELS: dict[str, dict[str, int]] = {
    "vit-ti-16": {},
    "vit-s-16": {},
    "vit-b-16": {},
    "clip-vit-b-32-vision": {},
    "gpt2": {"sequence": 128},
    "pythia-160m": {"sequence": 128},
    "whisper-tiny-encoder": {},
}
HEADINGS = (
    "model",
    "original ms",
    "rms ms",
    "floor ms",
    "rms / original [95%]",
    "",
    "captured [95%]",
)


def main() -> None:
    """Prints the table as Markdown, then the environment."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", metavar="MODEL", help=f"default: {' '.join(MODELS)}")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--sessions", type=int, default=20, help="of each model, at least 6")
    parser.add_argument("--duration", type=float, default=60.0, help="seconds for each model")
    options = parser.parse_args()
    print(f"| {' | '.join(HEADINGS)} |")
    print(f"|{' --- |' * len(HEADINGS)}")
    for name in options.models or MODELS:
        with tempfile.TemporaryDirectory() as directory:
            method = measure(name, Path(directory), options)
    print(f"\nBatch {options.batch}; {method}")


def measure(name: str, directory: Path, options: argparse.Namespace) -> str:
    """Prints the row of one model; returns how and where it was measured."""
    original = CACHE / name / f"{name}.onnx"
    if not original.exists():
        original.parent.mkdir(parents=True, exist_ok=True)
        export(name, original)
    dims = {"batch": options.batch, **MODELS.get(name, {})}
    inputs = generate_inputs(load(original), dims=dims).arrays
    models = {
        "original": original,
        "rms": directory / "rms.onnx",
        "floor": directory / "floor.onnx",
    }
    optimize(original, "rms", output=models["rms"], dims=dims)
    floor = load(original)
    remove_all_norms(floor, inputs)
    save(floor, models["floor"])
    samples, environment = measure_models(
        models,
        inputs,
        openings=options.sessions,
        duration=options.duration,
        threads=options.threads,
        clock="thread_cpu" if options.threads == 1 else "wall",
    )
    rows = compare(samples, "original")
    cells = [name, *(f"{1e3 * row.median:.2f}" for row in rows.values())]
    cells += [ratio_text(rows["rms"].ratio), rows["rms"].verdict]
    cells.append(captured_text(samples, "original", "rms", "floor"))
    print(f"| {' | '.join(cells)} |", flush=True)
    clock = "wall time" if samples.clock == "wall" else "CPU time of the thread"
    sessions = len(samples.seconds["original"])
    return f"{clock}, {sessions} interleaved sessions of each model; {environment}"


if __name__ == "__main__":
    main()
