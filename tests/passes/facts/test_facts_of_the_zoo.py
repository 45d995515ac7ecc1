"""Every fact of every value of the zoo is true of what ONNX Runtime computes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import onnx_ir as ir
import pytest

from graphopt.errors import UsageError
from graphopt.inputs import generate_inputs
from graphopt.models import describe
from tests.conftest import ZooModel
from tests.expectations import EXPECTED
from tests.passes.facts.runs import Facts, Run

_EXPORTERS = {row.name: row.exporters for row in describe()}
_FEW = {
    name: _EXPORTERS[name][0]
    for name in (
        "gpt2-with-past-tiny",
        "swin-t-tiny",
        "vit-ti-16-tiny",
        "whisper-tiny-encoder-tiny",
    )
}


def _bindings(symbols: list[str], count: int) -> Iterator[dict[str, int]]:
    """Sizes of the symbols: the usual ones, 1, the features of a tiny model, and different ones."""
    yield {}
    yield dict.fromkeys(symbols, 1)
    yield dict.fromkeys(symbols, 32)
    for first in range(2, count - 1):
        yield {symbol: first + 3 * index for index, symbol in enumerate(symbols)}


def facts_of(path: Path, count: int) -> Facts:
    """The facts of a model, held against up to ``count`` runs."""
    model, total = ir.load(path), Facts()
    run = Run(model)
    symbols = list(generate_inputs(model).dims)
    for seed, dims in enumerate(_bindings(symbols, count)):
        try:
            feeds = generate_inputs(model, seed=seed, dims=dims).arrays
        except UsageError:
            continue
        found = run.check(feeds)
        if found is not None:
            total.add(found)
    return total


def _check(path: Path, count: int) -> None:
    facts = facts_of(path, count)
    print(f"{facts.checked} facts in {facts.runs} runs, {facts.unknown} sizes unknown")
    assert facts.wrong == []
    assert facts.runs


@pytest.mark.parametrize(("name", "exporter"), _FEW.items())
def test_what_is_inferred_of_some_models_is_true(
    name: str, exporter: str, zoo_model: ZooModel
) -> None:
    _check(zoo_model(name, exporter=exporter), 4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "exporter"), [(name, e) for name in EXPECTED for e in _EXPORTERS[name]]
)
def test_what_is_inferred_of_the_zoo_is_true(name: str, exporter: str, zoo_model: ZooModel) -> None:
    _check(zoo_model(name, exporter=exporter), 8)
