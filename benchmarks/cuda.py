"""All that needs an NVIDIA GPU, in one command.

    python benchmarks/cuda.py [--checks] [--dry-run] [--models DIR] [--minutes 10]

Builds and checks the kernels, runs the sessions and the captured graphs, then measures ViT-B, BERT
and GPT-2 in float16 and float32 at batch 1, 8 and 32, the operators alone, and what fits of the
paper's study. Each step runs in a process of its own, the most valuable first, and one that fails
costs no other. Each point is saved in docs/results-cuda.json when it is measured: what is saved is
not measured again on the same machine with the same versions, and the page docs/results-cuda.md is
written from it. --dry-run takes the steps on the CPU with tiny models, and keeps the results apart.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from cuda_page import machine_line, page
from cuda_record import Outcome, Record
from cuda_running import SKIPPED, Ended, in_own_process, take
from cuda_steps import Place, Skipped, Step, all_steps, check_steps
from subjects import CACHE, write_whole

from graphopt import Benchmark, GraphoptError
from graphopt.benchmarking import machine
from graphopt.benchmarking.result import BenchmarkEnvironment

RECORD = Path(__file__).parent.parent / "docs" / "results-cuda.json"
DRY_RECORD = CACHE / "results-cuda-dry" / "results-cuda.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Takes the steps; returns 1 where one failed."""
    options = parse(arguments)
    try:
        if options.step:
            return take_here(options)
        return take_all(options)
    except GraphoptError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checks", action="store_true", help="the checks alone, no measurement")
    parser.add_argument("--dry-run", action="store_true", help="on the CPU, with tiny models")
    parser.add_argument("--models", type=Path, metavar="DIR", help="a folder of model files")
    parser.add_argument("--minutes", type=float, default=10.0, help="end after so many")
    parser.add_argument("--record", type=Path, metavar="FILE", help="where results are saved")
    parser.add_argument("--step", help="take this step alone, in this process")
    options = parser.parse_args(arguments)
    if options.models and not options.models.is_dir():
        parser.error(f"--models {options.models}: there is no such folder")
    options.record = options.record or (DRY_RECORD if options.dry_run else RECORD)
    return options


def take_all(options: argparse.Namespace) -> int:
    """Takes the steps that are not done, each in a process of its own, and writes the page."""
    dry, path = options.dry_run, options.record
    begin = time.monotonic()
    if path == DRY_RECORD:  # a rehearsal leaves nothing out
        DRY_RECORD.unlink(missing_ok=True)
    steps: list[Step] = check_steps() if options.checks else all_steps(dry)
    environment = here(dry)
    tell(f"{machine_line(environment)}; results in {path}")

    def start(name: str, seconds: float) -> Ended:
        command = [sys.executable, __file__, "--step", name, "--record", str(path)]
        command += ["--dry-run"] if dry else []
        command += ["--models", str(options.models)] if options.models else []
        return in_own_process(command, seconds)

    def left() -> float:
        return 60 * options.minutes - (time.monotonic() - begin)

    try:
        take(steps, path, environment, start=start, left=left, tell=tell)
    finally:
        record = Record.load(path)
        write_whole(path.with_suffix(".md"), page(record, all_steps(dry)))
        tell(f"wrote {path.with_suffix('.md')}")
    taken = record.here(environment).steps
    return int(any(taken[s.name].status == "failed" for s in steps if s.name in taken))


def take_here(options: argparse.Namespace) -> int:
    """Takes one step in this process; its points are saved as they come."""
    step = {each.name: each for each in all_steps(options.dry_run)}[options.step]
    environment = here(options.dry_run)
    known = Record.load(options.record).here(environment).steps.get(step.name)
    saved = known.benchmarks if known else ()
    keep = keeper(options.record, environment, step.name, saved)
    try:
        step.run(Place(options.dry_run, options.models, saved, keep))
    except Skipped as reason:
        print(reason)
        return SKIPPED
    except GraphoptError as error:
        print(error)
        return SKIPPED if lacks_memory(str(error)) else 1
    except Exception:
        traceback.print_exc(file=sys.stdout)
        return 1
    return 0


def lacks_memory(message: str) -> bool:
    """True where ONNX Runtime or CUDA says that the device has too little memory."""
    said = message.lower()
    return any(words in said for words in ("failed to allocate", "out of memory", "alloc_failed"))


def keeper(
    path: Path, environment: BenchmarkEnvironment, name: str, saved: Sequence[Benchmark]
) -> Callable[[Benchmark], None]:
    """What saves the points of a step beside those that were saved before."""
    now: dict[str, Benchmark] = {}

    def keep(result: Benchmark) -> None:
        now[result.title] = result
        outcome = Outcome("unfinished", benchmarks=(*saved, *now.values()))
        Record.load(path).with_step(environment, name, outcome).save(path)

    return keep


def here(dry: bool) -> BenchmarkEnvironment:
    """This machine and its versions. The library for CUDA is built by a step, so it is none."""
    found = machine.describe(library=None, cuda=not dry)
    return dataclasses.replace(found, library="")


def tell(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
