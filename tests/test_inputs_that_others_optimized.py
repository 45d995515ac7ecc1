"""Graphs that other optimizers wrote convert as far as the raw exports do."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import onnx
import onnx_ir as ir
import onnxslim
import pytest
from onnxruntime.transformers import optimizer
from onnxscript.rewriter import ort_fusions

from graphopt.passes import pipeline
from graphopt.verification import verify
from tests.conftest import ZooModel
from tests.expectations import EXPECTED
from tests.versions.conditions import needs_onnxruntime


def _transformers_optimizer(source: Path, target: Path) -> None:
    kind = "vit" if "vit" in source.name else "gpt2" if "gpt2" in source.name else "bert"
    found = optimizer.optimize_model(
        str(source), model_type=kind, num_heads=0, hidden_size=0, opt_level=0
    )
    found.save_model_to_file(str(target))


def _runtime_optimizer(source: Path, target: Path) -> None:
    found = optimizer.optimize_by_onnxruntime(
        str(source), use_gpu=False, optimized_model_path=str(target), opt_level=2
    )
    assert Path(found) == target


def _slim(source: Path, target: Path) -> None:
    onnx.save(onnxslim.slim(str(source)), target)


def _optimize_for_ort(source: Path, target: Path) -> None:
    model, _ = ort_fusions.optimize_for_ort(ir.load(source))
    ir.save(model, target)


OPTIMIZERS: dict[str, Callable[[Path, Path], None]] = {
    "onnxruntime.transformers": _transformers_optimizer,
    "onnxruntime": _runtime_optimizer,
    "onnxslim": _slim,
    "optimize_for_ort": _optimize_for_ort,
}
NEEDS = {
    "optimize_for_ort": needs_onnxruntime("1.21", "an Attention that broadcasts its bias"),
}
# No other quick test has an export of it, which takes 8 s; onnxslim is held by another model.
SLOW = "clip-vit-b-32-text-tiny"
MODELS = (
    "vit-ti-16-tiny",
    "gpt2-tiny",
    "opt-125m-tiny",
    "pythia-160m-tiny",
    "bert-base-tiny",
    "whisper-tiny-encoder-tiny",
    SLOW,
)


def _cases() -> Iterator[object]:
    """Every model and optimizer; a quarter of them, of which each model but one is one, is fast."""
    for row, name in enumerate(MODELS):
        for place, written_by in enumerate(OPTIMIZERS):
            is_fast = place == row % len(OPTIMIZERS) and name != SLOW
            marks = [] if is_fast else [pytest.mark.slow]
            marks += [NEEDS[written_by]] if written_by in NEEDS else []
            yield pytest.param(name, written_by, marks=marks)


@pytest.mark.parametrize(("name", "written_by"), _cases())
def test_converts_and_stays_the_same_function(
    name: str, written_by: str, zoo_model: ZooModel, tmp_path: Path
) -> None:
    source = tmp_path / f"{name}.onnx"
    shutil.copy(zoo_model(name), source)
    target = tmp_path / "optimized.onnx"
    OPTIMIZERS[written_by](source, target)
    sound = verify(source, target).status == "passed"
    candidate = ir.load(target)
    summary, _ = pipeline.run(candidate, pipeline.Options(ops="standard"))
    result = verify(target, candidate)
    assert result.status == "passed" or (not sound and result.status == "unverified"), result.reason
    expected = EXPECTED[name]
    assert expected.converted is not None
    assert len(summary.norms) == expected.layer_norms
    assert summary.converted in expected.converted


@needs_onnxruntime("1.31", "an optimizer that follows the shapes of this export")
@pytest.mark.parametrize("provider", ["cpu", "cuda"])
def test_a_kept_skip_norm_returns_on_cuda_alone(
    provider: str, zoo_model: ZooModel, tmp_path: Path
) -> None:
    target = tmp_path / "optimized.onnx"
    source = tmp_path / "bert.onnx"
    shutil.copy(zoo_model("bert-base-tiny"), source)
    _transformers_optimizer(source, target)
    skips = _count(ir.load(target), "SkipLayerNormalization")
    assert skips
    candidate = ir.load(target)
    pipeline.run(candidate, pipeline.Options(ops="standard", provider=provider))
    assert _count(candidate, "SkipLayerNormalization") == (skips if provider == "cuda" else 0)


def _count(model: ir.Model, op_type: str) -> int:
    return sum(node.op_type == op_type for node in model.graph.all_nodes())
