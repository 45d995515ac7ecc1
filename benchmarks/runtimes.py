"""Runs optimized files in each runtime that a registry offers, and prints docs/runtimes.md's table.

    python benchmarks/runtimes.py --environments DIR

Each runtime is installed into a folder of its own under DIR and kept there; where it cannot be, its
row says so. Three tiny models of the zoo are run in each form. A cell has the largest error of an
output relative to its largest element, against the original in float64, and which models the
runtime does not run; why goes to the standard error.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

import graphopt
from graphopt.models import export

HERE = Path(__file__).parent
MODELS = ("vit-ti-16-tiny", "gpt2-tiny", "bert-base-tiny")
FORMS: dict[str, dict[str, str]] = {
    "rms custom": {"ops": "custom"},
    "rms standard": {"ops": "standard"},
    "rms ort": {"ops": "ort"},
    "crms custom": {"variant": "crms", "ops": "custom"},
    "crms drop custom": {"variant": "crms", "basis": "drop", "ops": "custom"},
}
RELEASES = (
    *("1.20.1", "1.21.1", "1.22.1", "1.23.2", "1.24.4", "1.25.1", "1.26.0"),
    *("1.27.0", "1.28.0", "1.29.0", "1.30.0", "1.31.1", "1.32.0"),
)
SECONDS = 300


@dataclasses.dataclass(frozen=True)
class Runtime:
    """A runtime, and what pip or npm is given for it. What its packages need comes with them."""

    name: str
    requirements: tuple[str, ...]
    is_node: bool = False
    is_alone: bool = False
    """What its packages need is taken from where this script runs."""


RUNTIMES = (
    *(Runtime("onnxruntime", (f"onnxruntime=={release}", "numpy")) for release in RELEASES),
    Runtime("onnxruntime-node", ("onnxruntime-node",), is_node=True),
    Runtime("onnxruntime-web", ("onnxruntime-web",), is_node=True),
    Runtime("onnxruntime-openvino", ("onnxruntime-openvino==1.24.1", "openvino==2025.4.1")),
    Runtime("openvino", ("openvino", "numpy")),
    Runtime("tract", ("tract", "numpy")),
    Runtime("onnx.reference", ()),
    # The PyTorch that torchvision would bring is gigabytes.
    Runtime("onnx2torch", ("onnx2torch", "torchvision==0.28.0"), is_alone=True),
)


def installed(runtime: Runtime, environments: Path) -> Path:
    """The folder with the packages of a runtime.

    Raises:
        CalledProcessError: pip or npm failed.
    """
    label = next((text for text in runtime.requirements[:1] if "==" in text), runtime.name)
    folder = environments / label.replace("==", "-")
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        if runtime.is_node:
            # The script of onnxruntime-node brings libraries for CUDA.
            npm = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund"]
            command = [*npm, *runtime.requirements]
        else:
            pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "-q"]
            pip += ["--no-deps"] * runtime.is_alone
            command = [*pip, "--target", str(folder), *runtime.requirements]
        if runtime.requirements:
            subprocess.run(command, cwd=folder, check=True, capture_output=True)
        (folder / "complete").touch()
    return folder


def prepare(folder: Path) -> None:
    """Export the models, optimize them, and evaluate the originals in float64."""
    for name in MODELS:
        original = export(name, folder / f"{name}.onnx", exporter="dynamo")
        inputs = graphopt.generate_inputs(original, seed=3).arrays
        np.savez(folder / f"{name}.inputs.npz", **inputs)
        np.savez(folder / f"{name}.truth.npz", **graphopt.evaluate(original, inputs))
        listed = {
            key: {"type": str(array.dtype), "shape": array.shape, "data": array.ravel().tolist()}
            for key, array in inputs.items()
        }
        (folder / f"{name}.inputs.json").write_text(json.dumps(listed), encoding="utf-8")
        for form, options in FORMS.items():
            graphopt.optimize(
                original, output=folder / f"{name}.{form}.onnx", verify=False, **options
            )


def results(
    runtime: Runtime, packages: Path, folder: Path, jobs: Sequence[tuple[str, str]]
) -> Iterator[tuple[str, str]]:
    """For each model and form the version of the runtime, and why it did not run it, or "".

    A process runs one after the other; where it ends before the last, another goes on behind that.
    """
    runner = HERE / ("runtime_runner.mjs" if runtime.is_node else "runtime_runner.py")
    program = "node" if runtime.is_node else sys.executable
    kind = "json" if runtime.is_node else "npz"
    left = list(jobs)
    while left:
        paths: list[str | Path] = []
        for name, form in left:
            model = folder / (f"{name}.{form}.onnx" if form != "original" else f"{name}.onnx")
            inputs = folder / f"{name}.inputs.{kind}"
            paths += [model, inputs, folder / f"{name}.{form}.outputs.{kind}"]
        done = subprocess.run(
            [program, runner, runtime.name, *paths],
            cwd=packages,
            env={**os.environ, "PYTHONPATH": str(packages), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        lines = [line for line in done.stdout.splitlines() if line.startswith('["')]
        for line in lines:
            version, reason = json.loads(line)
            yield version, reason
        if len(lines) < len(left):
            yield "", f"it ended with {done.returncode}: {done.stderr[-300:]}"
        left = left[len(lines) + 1 :]


def error_of(runtime: Runtime, folder: Path, name: str, form: str) -> float:
    """The largest error of an output, relative to its largest element."""
    path = folder / f"{name}.{form}.outputs"
    if runtime.is_node:
        listed = json.loads(path.with_name(path.name + ".json").read_text(encoding="utf-8"))
        found = {key: np.reshape(item["data"], item["shape"]) for key, item in listed.items()}
    else:
        found = dict(np.load(path.with_name(path.name + ".npz")))
    truth = dict(np.load(folder / f"{name}.truth.npz"))
    pairs = zip(found.values(), truth.values(), strict=True)  # tract calls outputs by other names
    return float(max(np.abs(one - other).max() / np.abs(other).max() for one, other in pairs))


def row(runtime: Runtime, environments: Path, folder: Path) -> list[str]:
    """The cells of a runtime; refusals go to the standard error with their reasons."""
    forms = ("original", *FORMS)
    try:
        packages = installed(runtime, environments)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"{runtime.name}: not installed: {error}", file=sys.stderr)
        return [runtime.name, "not installed", *("" for _ in forms)]
    jobs = [(name, form) for form in forms for name in MODELS]
    version = ""
    errors: dict[str, list[float]] = {form: [] for form in forms}
    refused: dict[str, list[str]] = {form: [] for form in forms}
    for (name, form), (found, reason) in zip(
        jobs, results(runtime, packages, folder, jobs), strict=True
    ):
        version = found or version
        if reason:
            refused[form].append(name.split("-")[0])
            print(f"{runtime.name} {version}, {name} {form}: {reason}", file=sys.stderr)
        else:
            errors[form].append(error_of(runtime, folder, name, form))
    cells = []
    for form in forms:
        no = f"not {', '.join(refused[form])}" if refused[form] else ""
        yes = f"{max(errors[form]):.1e}" if errors[form] else ""
        cells.append("no" if not yes else "; ".join(filter(None, (yes, no))))
    return [runtime.name, version, *cells]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--environments", type=Path, default=Path(".model-cache/runtimes"))
    parser.add_argument("--only", help="the runtimes of this name")
    chosen = parser.parse_args()
    write = functools.partial(print, flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        prepare(folder)
        head = ["runtime", "version", "original", *FORMS]
        write(f"| {' | '.join(head)} |\n|{' --- |' * len(head)}")
        for runtime in RUNTIMES:
            if chosen.only in (None, runtime.name):
                cells = row(runtime, chosen.environments.resolve(), folder)
                write(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
