"""What optimizing large files costs: 3, 7 and 13 GB, beside `cp` and other optimizers.

    python benchmarks/sizes.py [--sizes 3 7 13]

Each model is a synthetic GPT in float16 with weights in a file of their own (`graphopt export
synthetic`). Every command runs in a process of its own; what it wrote is removed before the next
one, so that twice the largest size must be free on the disk, and a little more. A command that
takes more memory of its own than --limit is stopped, and the table says so. Nothing is verified
here: ONNX Runtime would need the whole model in memory, as float32.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from optimize_cost import Cost, measure

# Nothing large may be imported here: a child's maximum starts at the size of its parent.

SIZES = {
    3: {"layers": 22, "hidden": 2304, "heads": 18},
    7: {"layers": 30, "hidden": 3072, "heads": 24},
    13: {"layers": 32, "hidden": 4096, "heads": 32},
}
"""GB of the file, and the network that has them."""

SESSION = """
import sys
import onnxruntime
options = onnxruntime.SessionOptions()
options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
options.optimized_model_filepath = sys.argv[2]
entry = "session.optimized_model_external_initializers_file_name"
options.add_session_config_entry(entry, "session.onnx.data")
onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
"""


def export_command(size: int, model: Path) -> list[str]:
    """The command that writes the model of ``size`` GB."""
    options = [f"--{name}={value}" for name, value in SIZES[size].items()]
    graphopt = [sys.executable, "-m", "graphopt", "export", "synthetic", "--kind=gpt"]
    return [*graphopt, *options, "--dtype=float16", "-o", str(model)]


def commands(size: int, model: Path, output: Path, peers: bool) -> Iterator[tuple[str, list[str]]]:
    """What is compared, by label; each command leaves all that it writes in ``output``."""
    python = sys.executable
    report = str(output / "report.json")
    graphopt = [python, "-m", "graphopt", "optimize", "--no-verify", "--quiet", "--report", report]
    yield "`cp`", ["cp", "-r", f"{model.parent}/.", str(output)]
    yield "graphopt", [*graphopt, str(model), "-o", str(output / "rms.onnx")]
    if not peers:
        return
    shape = ["--num_heads", str(SIZES[size]["heads"]), "--hidden_size", str(SIZES[size]["hidden"])]
    session = str(output / "session.onnx")
    yield "ONNX Runtime's session optimizer", [python, "-c", SESSION, str(model), session]
    yield (
        "onnxruntime.transformers",
        [
            *(python, "-m", "onnxruntime.transformers.optimizer", "--model_type", "gpt2"),
            *(*shape, "--use_external_data_format", "--input", str(model)),
            *("--output", str(output / "transformers.onnx")),
        ],
    )
    slim = [str(Path(python).parent / "onnxslim"), str(model), str(output / "slim.onnx")]
    yield "onnxslim", [*slim, "--save-as-external-data"]


def gigabytes(folder: Path) -> float:
    """Of the files in a folder."""
    return sum(file.stat().st_size for file in folder.iterdir() if file.is_file()) / 1e9


def norms(report: Path) -> str:
    """How many of the norms graphopt converted, as its report says."""
    decisions = json.loads(report.read_text())["plan"]["norms"]
    converted = sum(decision["converted"] for decision in decisions)
    return f", {converted} of {len(decisions)} norms converted"


def row(made: float, label: str, cost: Cost, found: str) -> str:
    """A line of the table."""
    figures = f"{cost.seconds:.0f} | {cost.processor:.0f} | {cost.megabytes:.0f}"
    return f"| {made:.1f} | {label} | {figures} | {found} |"


def rows(size: int, directory: Path, limit: float, peers: bool) -> Iterator[str]:
    """The lines of the table for one size; its files are gone at the end."""
    folder, output = directory / "model", directory / "output"
    folder.mkdir()
    model = folder / "model.onnx"
    cost = measure(export_command(size, model))
    if cost.error:
        sys.exit(cost.error)
    made = gigabytes(folder)
    yield row(made, "graphopt export synthetic", cost, "")
    for label, command in commands(size, model, output, peers):
        output.mkdir()
        # One that is stopped leaves its temporary files behind: they go with its output.
        cost = measure(["env", f"TMPDIR={output}", *command], limit)
        report = output / "report.json"
        found = f"{gigabytes(output):.1f} GB" + (norms(report) if report.exists() else "")
        yield row(made, label, cost, cost.error[:100] or found)
        shutil.rmtree(output)
    shutil.rmtree(folder)


def main() -> None:
    """Prints one row for each size and command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--peers", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--limit", type=float, default=8.0, help="GB of memory (default 8)")
    parser.add_argument("--directory", type=Path, help="where the files go (default: temporary)")
    arguments = parser.parse_args()
    print("| GB | command | seconds | processor seconds | maximum RSS, MB | written |")
    print("| --- | --- | --- | --- | --- | --- |", flush=True)
    with tempfile.TemporaryDirectory(dir=arguments.directory) as directory:
        for size in arguments.sizes:
            for line in rows(size, Path(directory), 1e3 * arguments.limit, arguments.peers):
                print(line, flush=True)


if __name__ == "__main__":
    main()
