"""No norm that was rewritten can be wrong and pass: the weights of each are corrupted in turn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

from graphopt.models import describe
from graphopt.passes import pipeline
from graphopt.verification import Original, verify
from tests.conftest import ZooModel
from tests.expectations import EXPECTED

FACTOR = 1.5
GAMMA = {"RMSNorm": 1, "SkipRMSNorm": 2, "LayerNorm": 1, "SkipLayerNorm": 2}

_EXPORTERS = {row.name: row.exporters for row in describe()}
# Of which other quick tests have an export, too.
QUICK = ("vit-ti-16-tiny", "gpt2-with-past-tiny", "clip-vit-b-32-vision-tiny", "bert-base-tiny")
CASES = [
    pytest.param(name, exporter, marks=[] if name in QUICK and not number else pytest.mark.slow)
    for name in EXPECTED
    for number, exporter in enumerate(_EXPORTERS[name])
]


def corrupt(norm: ir.Node) -> None:
    """Give a norm a gamma of its own, and wrong by a factor."""
    position = GAMMA[norm.op_type]
    gamma = norm.inputs[position]
    assert gamma is not None and gamma.const_value is not None
    wrong = ir.tensor((FACTOR * gamma.const_value.numpy()).astype(np.float32))
    value = ir.Value(name="corrupted", const_value=wrong, type=gamma.type, shape=gamma.shape)
    graph = norm.graph
    assert isinstance(graph, ir.Graph)
    graph.register_initializer(value)
    norm.replace_input_with(position, value)


def norms_of(model: ir.Model) -> list[ir.Node]:
    """The norms of the domain graphopt."""
    return [n for n in model.graph if n.domain == "graphopt" and n.op_type.endswith("Norm")]


def corrupt_each(path: Path) -> tuple[int, list[str | None]]:
    """The number of norms that were rewritten, and the names of those that pass corrupted."""
    optimized = ir.load(path)
    summary, records = pipeline.run(optimized, pipeline.Options(ops="custom"))
    count = len(norms_of(optimized))
    twins = sum(record.changed for record in records if record.name == "merge-twins")
    assert count >= summary.converted - twins
    with Original(path) as original:
        assert verify(original, optimized).status == "passed"
        passed: list[str | None] = []
        for number in range(count):
            candidate = optimized.clone()
            norm = norms_of(candidate)[number]
            corrupt(norm)
            if verify(original, candidate).status != "failed":
                passed.append(norm.name)
    return count, passed


@pytest.mark.parametrize(("name", "exporter"), CASES)
def test_a_norm_with_corrupted_weights_does_not_pass(
    name: str, exporter: str, zoo_model: ZooModel
) -> None:
    assert corrupt_each(zoo_model(name, exporter=exporter))[1] == []
