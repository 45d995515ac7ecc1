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
from operator_blocks import BLOCKS, GELUS, NORMS, blocks_model

from graphopt.benchmarking.figures import ratio_text
from graphopt.measuring.comparison import compare
from graphopt.measuring.rounds import Call, Samples, measure
from graphopt.runtime.environment import describe_environment
from graphopt.runtime.library import instruction_set, library_path

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
    model, inputs = blocks_model(block, d)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.register_custom_ops_library(str(library_path()))
    opened = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    rng = np.random.default_rng(1)
    feeds = {name: rng.normal(0.1, 1, (rows, d)).astype(np.float32) for name in inputs}
    return lambda: opened.run(None, feeds)


if __name__ == "__main__":
    main()
