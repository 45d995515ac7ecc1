"""Prints how far the word of the optimizer was held against what runs.

usage: python benchmarks/reliability.py [facts] [zoo] [corrupted] [loads]

    facts      every op of which something is inferred: each fact against ONNX Runtime
    zoo        every value of every tiny model of the zoo, by each exporter (minutes)
    corrupted  the weights of each converted norm of the zoo, wrong by a half: what passes (minutes)
    loads      how often a command loads, opens and runs the original
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent))

import graphopt
from graphopt.models import describe, export
from tests.expectations import EXPECTED
from tests.graphopt.verification.test_isolation import Counts
from tests.passes.facts.made_models import feeds_of
from tests.passes.facts.op_graphs import GRAPHS, model_of
from tests.passes.facts.runs import Facts, Run
from tests.passes.facts.test_facts_of_the_zoo import facts_of
from tests.test_corrupted_norms import corrupt_each


def _zoo() -> Iterator[Path]:
    """Every tiny model by each exporter, one after the other in one place."""
    exporters = {row.name: row.exporters for row in describe()}
    for name in EXPECTED:
        for exporter in exporters[name]:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / f"{name}.{exporter}.onnx"
                export(name, path, exporter=exporter)
                yield path


def _of_ops() -> Iterator[Facts]:
    for name in GRAPHS:
        model = model_of(name)
        run = Run(model)
        yield from filter(None, (run.check(feeds) for feeds in feeds_of(model, seed=1)))


def _print_facts(subject: str, facts: Iterable[Facts]) -> None:
    total = Facts()
    for found in facts:
        total.add(found)
    print(
        f"{subject}: {total.checked} inferred facts held against {total.runs} runs, "
        f"{len(total.wrong)} wrong; {total.unknown} sizes or ranks unknown"
    )
    for line in total.wrong:
        print(f"  wrong: {line}")


def _print_corrupted() -> None:
    count, passed = 0, []
    for path in _zoo():
        found, names = corrupt_each(path)
        count += found
        passed += [f"{path.stem}: {name}" for name in names]
    print(f"corrupted: {count} converted norms, one at a time; {len(passed)} passed")
    for line in passed:
        print(f"  passed: {line}")


def _print_loads() -> None:
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        export("vit-ti-16-tiny", "model.onnx")
        quick = {"iterations": 6, "openings": 6, "warmup": 1}
        commands = {
            "optimize": lambda: graphopt.optimize("model.onnx", output="out.onnx"),
            "verify": lambda: graphopt.verify("model.onnx", "out.onnx"),
            "bench": lambda: graphopt.benchmark("model.onnx", **quick),
        }
        for name, command in commands.items():
            with pytest.MonkeyPatch.context() as patch:
                counts = Counts(patch)
                command()
            told = (counts.loaded, counts.opened, counts.run)
            loaded, opened, run = (each["model.onnx"] for each in told)
            print(
                f"loads: {name} loads the original {loaded}, opens it {opened}, runs it {run} times"
            )


def main() -> None:
    """Print one line for each subject."""
    subjects = {
        "facts": lambda: _print_facts("facts", _of_ops()),
        "zoo": lambda: _print_facts("zoo", (facts_of(path, 8) for path in _zoo())),
        "corrupted": _print_corrupted,
        "loads": _print_loads,
    }
    for subject in sys.argv[1:] or ["facts", "loads"]:
        subjects[subject]()


if __name__ == "__main__":
    main()
