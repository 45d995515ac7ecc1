"""The paper's study in ONNX Runtime: what Pre-RMSNorm and Pre-CRMSNorm gain, by size and batch.

    python benchmarks/paper.py
    python benchmarks/paper.py --sizes vit-ti,gpt-s --batches 1,4 --duration 5

"Pre-RMSNorm and Pre-CRMSNorm Transformers" (arXiv 2305.14858) times a ViT and a GPT family in five
variants (paper_variants.py says what each is). Without options these are its sizes, batches and
lengths, in float32 and float16, on the CPU and on CUDA. All variants of a point are timed in
interleaved rounds: a row has the median of pre-ln, and for each other variant the ratio to it with
a 95% bootstrap interval. Below stand the mean ratios beside the paper's, and what was not run,
with the reason: memory, time, or what this machine does not have. Run it on a quiet machine.

The paper's mixed precision is PyTorch's autocast, which leaves norms in float32; here float16 is
the type of all weights and activations. On the CPU, where ONNX Runtime computes most of it in
float32 between casts, it is run only if --dtypes asks for it. pre-crms is in graphopt's orthonormal
basis, or with --basis drop in the paper's.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from paper_study import BYTES, LENGTHS, Study
from paper_variants import SIZES

from graphopt.passes.choices import BASIS, OPS, PROVIDER


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the study that the command line asks for."""
    Study(options(arguments)).run()


def options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The choices of a study."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=names(SIZES), default=list(SIZES), help=",".join(SIZES))
    parser.add_argument("--batches", type=numbers, help="default: the paper's")
    parser.add_argument("--lengths", type=numbers, default=LENGTHS, help="tokens of a GPT's item")
    parser.add_argument("--dtypes", type=names(BYTES), help="default: both, float16 not on the CPU")
    parser.add_argument("--providers", type=names(PROVIDER.values), default=list(PROVIDER.values))
    parser.add_argument("--threads", type=int, default=1, help="0: one for each core")
    parser.add_argument("--ops", choices=OPS.values, default=OPS.default)
    parser.add_argument("--basis", choices=BASIS.values, default=BASIS.default)
    parser.add_argument("--no-library", dest="library", action="store_false")
    parser.add_argument("--duration", type=float, default=60.0, help="seconds for each point")
    parser.add_argument("--limit", type=float, default=1200.0, help="longest seconds for a point")
    parser.add_argument("--memory", type=float, help="GiB for all sessions; default: what is free")
    parser.add_argument("--json", type=Path, metavar="DIRECTORY", help="keep the samples there")
    return parser.parse_args(arguments)


def names(known: Iterable[str]) -> Callable[[str], list[str]]:
    """Reads a list such as ``vit-ti,gpt-s``."""

    def read(text: str) -> list[str]:
        chosen = text.split(",")
        for name in chosen:
            if name not in known:
                raise argparse.ArgumentTypeError(f"{name!r}: choose from {', '.join(known)}")
        return chosen

    return read


def numbers(text: str) -> list[int]:
    """Reads a list such as ``1,16``."""
    try:
        chosen = [int(number) for number in text.split(",")]
    except ValueError:
        chosen = []
    if not chosen or min(chosen) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: give positive numbers, such as 1,16")
    return chosen


if __name__ == "__main__":
    main()
