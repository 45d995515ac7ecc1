"""Prints what graphopt gains in OpenVINO: ViT-Ti as it was exported beside ``--target openvino``.

    python benchmarks/openvino_gain.py --environments DIR

OpenVINO is installed into a folder of its own, as for benchmarks/runtimes.py. Both models run in
one process, on one thread in float32, in interleaved rounds; their outputs are compared first.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from runtimes import RUNTIMES, installed
from subjects import Subject, model_file

import graphopt
from graphopt.measuring.comparison import compare
from graphopt.measuring.rounds import Call, measure

MODEL = Subject("ViT-Ti/16", "vit-ti-16", {}, "vit")
# By default OpenVINO may compute in less than float32, and uses all cores.
SETTINGS = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
ORIGINAL, OPTIMIZED = "original", "--target openvino"


def opened(openvino: Any, model: Path) -> Any:
    """A request of a compiled model, which can be run again and again."""
    core = openvino.Core()
    return core.compile_model(core.read_model(model), "CPU", SETTINGS).create_infer_request()


def opener(openvino: Any, model: Path, inputs: dict[str, np.ndarray]) -> Callable[[], Call]:
    """Opens a model anew, and gives what runs it on the inputs."""

    def open_anew() -> Call:
        request = opened(openvino, model)
        request.infer(inputs)
        return request.infer

    return open_anew


def largest_difference(openvino: Any, models: list[Path], inputs: dict[str, np.ndarray]) -> float:
    """Between the outputs of two models, relative to the largest element of the first's."""
    first, second = (list(opened(openvino, model).infer(inputs).values()) for model in models)
    pairs = zip(first, second, strict=True)
    return float(max(np.abs(a - b).max() / np.abs(a).max() for a, b in pairs))


def main() -> None:
    """Print the median of each, and the ratio with its interval."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--environments", type=Path, default=Path(".model-cache/runtimes"))
    parser.add_argument("--seconds", type=float, default=120, help="for the rounds")
    chosen = parser.parse_args()
    (runtime,) = (each for each in RUNTIMES if each.name == "openvino")
    sys.path.insert(0, str(installed(runtime, chosen.environments.resolve())))
    import openvino

    original = model_file(MODEL)
    inputs = dict(graphopt.generate_inputs(original, seed=3).arrays)
    with tempfile.TemporaryDirectory() as temporary:
        optimized = Path(temporary) / "optimized.onnx"
        graphopt.optimize(original, output=optimized, target="openvino")
        models = {ORIGINAL: original, OPTIMIZED: optimized}
        difference = largest_difference(openvino, list(models.values()), inputs)
        samples = measure(
            {name: opener(openvino, model, inputs) for name, model in models.items()},
            duration=chosen.seconds,
        )
    print(f"OpenVINO {openvino.__version__}, {MODEL.label}, largest difference {difference:.1e}")
    for name, row in compare(samples, ORIGINAL).items():
        ratio = f"{row.ratio.value:.3f} [{row.ratio.low:.3f}, {row.ratio.high:.3f}]"
        print(f"{name}: median {1e3 * row.median:.2f} ms, ratio {ratio}")
    openings, rounds = samples.seconds[ORIGINAL].shape
    print(f"{openings} openings of {rounds} rounds, stable: {samples.stable}")


if __name__ == "__main__":
    main()
