"""Prints how far the word of the optimizer was held against what runs.

usage: python benchmarks/reliability.py [facts] [zoo]

    facts   every op of which something is inferred: each fact against ONNX Runtime
    zoo     every value of every tiny model of the zoo, by each exporter (minutes)
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from graphopt.models import describe, export
from tests.expectations import EXPECTED
from tests.passes.facts.op_graphs import GRAPHS, feeds_of, model_of
from tests.passes.facts.runs import Facts, Run
from tests.passes.facts.test_facts_of_the_zoo import facts_of


def _of_ops() -> Iterator[Facts]:
    for name in GRAPHS:
        model = model_of(name)
        run = Run(model)
        yield from filter(None, (run.check(feeds) for feeds in feeds_of(model, seed=1)))


def _of_zoo() -> Iterator[Facts]:
    exporters = {row.name: row.exporters for row in describe()}
    for name in EXPECTED:
        for exporter in exporters[name]:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "model.onnx"
                export(name, path, exporter=exporter)
                yield facts_of(path, 8)


def main() -> None:
    """Print one line for each subject."""
    subjects = {"facts": _of_ops, "zoo": _of_zoo}
    for subject in sys.argv[1:] or ["facts"]:
        total = Facts()
        for found in subjects[subject]():
            total.add(found)
        print(
            f"{subject}: {total.checked} inferred facts held against {total.runs} runs, "
            f"{len(total.wrong)} wrong; {total.unknown} sizes or ranks unknown"
        )
        for line in total.wrong:
            print(f"  wrong: {line}")


if __name__ == "__main__":
    main()
