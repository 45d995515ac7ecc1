"""What the native kernels gain over the operators of ONNX Runtime, on one thread of the CPU.

    python benchmarks/kernels.py [D ...]

Prints a row for each width: microseconds of one block (branch + bias + residual, then the norm), of
the fused operator and of ONNX Runtime's chains; microseconds of one norm alone; and the ratios with
95% bootstrap intervals. Then the same of a bias and GELU, and of its approximations. A graph has
as many blocks in a row as a ViT has norms, so that what a call costs beside its kernels counts
little, and memory is reused as in a model. Run it on a quiet machine.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from graphopt.benchmarking.figures import ratio_text
from graphopt.measuring.comparison import compare
from graphopt.measuring.rounds import Call, Samples, measure
from graphopt.runtime.environment import describe_environment
from graphopt.runtime.library import instruction_set, library_path

BLOCKS = 24  # two for each layer of a ViT
EPSILON = 1e-5
# Ratio of which candidate to which, and the least or the most that is hoped for.
NORM_TARGETS = (
    ("Add, Add, SimplifiedLN", "SkipRMSNorm", ">= 2.5"),
    ("Add, Add, LN", "SkipRMSNorm", ">= 3"),
    ("SimplifiedLN", "RMSNorm", ">= 1.3"),
    ("CRMSNorm", "RMSNorm", "<= 1.1"),
    ("Add, Add, LN", "SkipLayerNorm", ">= 2"),
    ("SkipLN", "SkipLayerNorm", ">= 5"),
    ("LN", "LayerNorm", ">= 1.1"),
)
GELU_TARGETS = (
    ("BiasGelu", "bias + Gelu", ">= 1.6"),
    ("stock Gelu", "Gelu", ">= 1.5"),
    ("stock bias + FastGelu", "bias + TanhGelu", ">= 1"),
    ("Add, stock QuickGelu", "bias + QuickGelu", ">= 1.2"),
)


def fused(op_type: str, *operands: str) -> Callable[[int], list[Any]]:
    """One native node."""

    def block(i: int) -> list[Any]:
        inputs = [f"x{i}", f"s{i}", *(f"{name}{i}" for name in operands)]
        return [native(op_type, i, inputs, f"s{i + 1}")]

    return block


def skip_layer_norm(i: int) -> list[Any]:
    """One node of ONNX Runtime, of which the second and third output are left out."""
    inputs = [f"{name}{i}" for name in ("x", "s", "gamma", "beta", "bias")]
    outputs = [f"x{i + 1}", "", "", f"s{i + 1}"]
    return [
        helper.make_node("SkipLayerNormalization", inputs, outputs, domain=STOCK, epsilon=EPSILON)
    ]


def chain(op_type: str, *operands: str) -> Callable[[int], list[Any]]:
    """Two additions and a norm of ONNX Runtime."""

    def block(i: int) -> list[Any]:
        return [
            helper.make_node("Add", [f"x{i}", f"bias{i}"], [f"a{i}"]),
            helper.make_node("Add", [f"a{i}", f"s{i}"], [f"s{i + 1}"]),
            norm(op_type, f"s{i + 1}", i, operands),
        ]

    return block


def norm(op_type: str, x: str, i: int, operands: tuple[str, ...]) -> Any:
    """A norm of ONNX Runtime."""
    inputs = [x, *(f"{name}{i}" for name in operands)]
    return helper.make_node(op_type, inputs, [f"x{i + 1}"], axis=-1, epsilon=EPSILON)


def native(op_type: str, i: int, inputs: list[str], *kept: str) -> Any:
    """A node of the domain graphopt."""
    outputs = [f"x{i + 1}", *kept]
    return helper.make_node(op_type, inputs, outputs, domain="graphopt", epsilon=EPSILON)


def gelu(op_type: str, domain: str, *operands: str) -> Callable[[int], list[Any]]:
    """A GELU of graphopt or ONNX Runtime, with a bias or without."""

    def block(i: int) -> list[Any]:
        inputs = [f"x{i}", *(f"{name}{i}" for name in operands)]
        return [helper.make_node(op_type, inputs, [f"x{i + 1}"], domain=domain)]

    return block


def added_quick_gelu(i: int) -> list[Any]:
    """ONNX Runtime's QuickGelu takes no bias."""
    add = helper.make_node("Add", [f"x{i}", f"bias{i}"], [f"a{i}"])
    return [add, helper.make_node("QuickGelu", [f"a{i}"], [f"x{i + 1}"], domain=STOCK)]


STOCK = "com.microsoft"
NORMS: dict[str, Callable[[int], list[Any]]] = {
    "SkipRMSNorm": fused("SkipRMSNorm", "gamma", "bias"),
    "Add, Add, SimplifiedLN": chain("SimplifiedLayerNormalization", "gamma"),
    "Add, Add, LN": chain("LayerNormalization", "gamma", "beta"),
    "RMSNorm": lambda i: [native("RMSNorm", i, [f"x{i}", f"gamma{i}"])],
    "SimplifiedLN": lambda i: [norm("SimplifiedLayerNormalization", f"x{i}", i, ("gamma",))],
    "CRMSNorm": lambda i: [native("CRMSNorm", i, [f"x{i}"])],
    "SkipLayerNorm": fused("SkipLayerNorm", "gamma", "beta", "bias"),
    "SkipLN": skip_layer_norm,
    "LayerNorm": lambda i: [native("LayerNorm", i, [f"x{i}", f"gamma{i}", f"beta{i}"])],
    "LN": lambda i: [norm("LayerNormalization", f"x{i}", i, ("gamma", "beta"))],
}
GELUS: dict[str, Callable[[int], list[Any]]] = {
    "bias + Gelu": gelu("Gelu", "graphopt", "bias"),
    "BiasGelu": gelu("BiasGelu", STOCK, "bias"),
    "Gelu": gelu("Gelu", "graphopt"),
    "stock Gelu": gelu("Gelu", STOCK),
    "bias + TanhGelu": gelu("TanhGelu", "graphopt", "bias"),
    "stock bias + FastGelu": gelu("FastGelu", STOCK, "bias"),
    "bias + QuickGelu": gelu("QuickGelu", "graphopt", "bias"),
    "Add, stock QuickGelu": added_quick_gelu,
}


def main() -> None:
    """Prints the table as Markdown, then the environment."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("d", nargs="*", type=int, default=[192, 384, 768, 767, 1024])
    parser.add_argument("--rows", type=int, default=197)
    parser.add_argument("--duration", type=float, default=20.0, help="seconds for each width")
    options = parser.parse_args()
    for candidates, targets in ((NORMS, NORM_TARGETS), (GELUS, GELU_TARGETS)):
        columns = [f"{above} / {below} ({target})" for above, below, target in targets]
        print(f"| d | {' | '.join(f'{name} us' for name in candidates)} | {' | '.join(columns)} |")
        print(f"|{' --- |' * (1 + len(candidates) + len(targets))}")
        for d in options.d:
            openers = {
                name: functools.partial(open_blocks, block, options.rows, d)
                for name, block in candidates.items()
            }
            samples = measure(openers, duration=options.duration, settle=3, clock="thread_cpu")
            print(f"| {d} | {' | '.join(cells(samples, targets))} |", flush=True)
        print()
    environment = describe_environment("CPUExecutionProvider", threads=1)
    print(f"{options.rows} rows, float32, {instruction_set(library_path())}; {environment}")
    openings, rounds = next(iter(samples.seconds.values())).shape
    print(f"{openings} sessions x {rounds} interleaved rounds, 95% bootstrap intervals")


def cells(samples: Samples, targets: Sequence[tuple[str, str, str]]) -> list[str]:
    """The microseconds of each candidate, then the ratios."""
    medians = [1e6 * np.median(seconds) / BLOCKS for seconds in samples.seconds.values()]
    ratios = [ratio_text(compare(samples, below)[above].ratio) for above, below, _ in targets]
    return [*(f"{median:.1f}" for median in medians), *ratios]


def open_blocks(block: Callable[[int], list[Any]], rows: int, d: int) -> Call:
    """Opens a session of the blocks; what it returns runs it on inputs of this size."""
    rng = np.random.default_rng(0)
    nodes = [node for i in range(BLOCKS) for node in block(i)]
    read = {name for node in nodes for name in node.input}
    made = [name for node in nodes for name in node.output if name]
    inputs = [name for name in ("x0", "s0") if name in read]
    outputs = [name for name in (f"x{BLOCKS}", f"s{BLOCKS}") if name in made]
    values = {
        name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [rows, d])
        for name in (*inputs, *made)
    }
    weights = [
        numpy_helper.from_array(rng.normal(1, 0.2, d).astype(np.float32), name)
        for name in sorted(read - set(made) - set(inputs))
    ]
    graph = helper.make_graph(
        nodes,
        "blocks",
        [values[name] for name in inputs],
        [values[name] for name in outputs],
        weights,
        value_info=[values[name] for name in made if name not in outputs],
    )
    domains = {"": 17, "graphopt": 1, STOCK: 1}
    opsets = [helper.make_opsetid(domain, version) for domain, version in domains.items()]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.register_custom_ops_library(str(library_path()))
    opened = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    feeds = {name: rng.normal(0.1, 1, (rows, d)).astype(np.float32) for name in inputs}
    return lambda: opened.run(None, feeds)


if __name__ == "__main__":
    main()
