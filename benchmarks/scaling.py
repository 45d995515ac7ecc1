"""How the time to optimize a model, and its report, grow with the number of its norms.

    python benchmarks/scaling.py

One residual stream runs through blocks of LayerNormalization, MatMul, Add, Gelu, MatMul, Add with
small random weights, and ends in a norm. Each size is optimized in a process of its own, without
verification.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FEATURES, HIDDEN = 64, 128


def write_model(blocks: int, path: Path) -> None:
    """Writes a stream with ``blocks`` blocks and ``blocks + 1`` norms."""
    random = np.random.default_rng(0)
    nodes, tensors = [], []

    def weight(name: str, *shape: int) -> str:
        array = random.normal(1.0 if name.endswith("gamma") else 0.0, 0.1, shape)
        tensors.append(numpy_helper.from_array(array.astype(np.float32), name))
        return name

    def norm(name: str, source: str, result: str) -> None:
        inputs = [source, weight(f"{name}.gamma", FEATURES), weight(f"{name}.beta", FEATURES)]
        nodes.append(helper.make_node("LayerNormalization", inputs, [result], name=name))

    stream = "x"
    nodes.append(helper.make_node("MatMul", [stream, weight("embed", FEATURES, FEATURES)], ["h"]))
    stream = "h"
    for index in range(blocks):
        block = f"block.{index}"
        norm(f"{block}.norm", stream, f"{block}.normalized")
        steps = [
            ("MatMul", f"{block}.normalized", weight(f"{block}.up", FEATURES, HIDDEN)),
            ("Add", f"{block}.1", weight(f"{block}.up_bias", HIDDEN)),
            ("Tanh", f"{block}.2", None),
            ("MatMul", f"{block}.3", weight(f"{block}.down", HIDDEN, FEATURES)),
            ("Add", f"{block}.4", weight(f"{block}.down_bias", FEATURES)),
            ("Add", f"{block}.5", stream),
        ]
        for number, (op, source, other) in enumerate(steps, 1):
            inputs = [source] if other is None else [source, other]
            name = f"{block}.{number}"
            nodes.append(helper.make_node(op, inputs, [name], name=f"{name}.{op.lower()}"))
        stream = f"{block}.6"
    norm("final", stream, "y")
    shape = ["batch", "sequence", FEATURES]
    graph = helper.make_graph(
        nodes,
        "scaling",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        tensors,
    )
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)


def measure(norms: int, variant: str, repeat: int, directory: Path) -> tuple[float, int, int]:
    """Median seconds of ``graphopt optimize``, bytes of its report, and of the result."""
    model, output, report = (directory / name for name in ("model.onnx", "out.onnx", "report.json"))
    write_model(norms - 1, model)
    command = [sys.executable, "-m", "graphopt", "optimize", "--no-verify", "--quiet", "--force"]
    command += ["--variant", variant, "--report", report, "-o", output, model]
    seconds = []
    for _ in range(repeat):
        start = time.perf_counter()
        subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - start)
    return sorted(seconds)[repeat // 2], report.stat().st_size, output.stat().st_size


def main() -> None:
    """Prints one row for each number of norms."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--norms", type=int, nargs="+", default=[251, 501, 1001])
    parser.add_argument("--variant", default="rms", choices=("rms", "crms"))
    parser.add_argument("--repeat", type=int, default=3, help="runs of each size (default 3)")
    arguments = parser.parse_args()
    print("| norms | seconds | report, MB | result, MB |")
    print("| --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as directory:
        for norms in arguments.norms:
            seconds, report, output = measure(
                norms, arguments.variant, arguments.repeat, Path(directory)
            )
            print(
                f"| {norms} | {seconds:.1f} | {report / 1e6:.2f} | {output / 1e6:.1f} |", flush=True
            )


if __name__ == "__main__":
    main()
