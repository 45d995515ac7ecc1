from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from graphopt import optimize_directory
from graphopt.directories import checking
from graphopt.directories.checking import DirectoryRejected, Pair, verified_directory
from graphopt.directories.handing import calls_in_order
from graphopt.directories.report import DirectoryReport
from graphopt.directories.together import verify_together
from graphopt.files import loading
from graphopt.options import Check, Sample
from tests.graphopt.directories.model_directories import encoder_decoder

NAMES = ("encoder_model.onnx", "decoder_model.onnx", "decoder_with_past_model.onnx")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, DirectoryReport]:
    folder = tmp_path_factory.mktemp("together")
    source = encoder_decoder(folder / "in")
    return source, folder / "out", optimize_directory(source, folder / "out")


def pairs(source: Path, candidate: Path) -> dict[Path, Pair]:
    return {
        Path(name): Pair(loading.load(source / name), source / name, candidate / name, Sample())
        for name in NAMES
    }


def test_models_are_run_as_a_client_runs_them(made: tuple[Path, Path, DirectoryReport]) -> None:
    together = made[2].together
    assert together is not None
    assert together.steps == (*NAMES, NAMES[2])
    assert together.verification.status == "passed"
    assert [output.name for output in together.verification.outputs] == [
        "encoder_model.onnx: last_hidden_state",
        "decoder_model.onnx: logits",
        "decoder_model.onnx: present_0",
        "decoder_with_past_model.onnx: logits",
        "decoder_with_past_model.onnx: present_0",
        "decoder_with_past_model.onnx: logits (second call)",
        "decoder_with_past_model.onnx: present_0 (second call)",
    ]
    assert all(0 < output.max_rel < 1e-5 for output in together.verification.outputs)


def scaled(model: onnx.ModelProto) -> None:
    """The first weight in front of the output, 1 per cent larger."""
    tensor = next(t for t in model.graph.initializer if t.name.startswith("weight_1"))
    array = onnx.numpy_helper.to_array(tensor) * np.float32(1.01)
    tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))


@pytest.mark.parametrize("wrong", NAMES)
def test_what_one_model_does_wrong_shows_in_it_and_behind_it(
    tmp_path: Path, made: tuple[Path, Path, DirectoryReport], wrong: str
) -> None:
    for name in NAMES:
        model = onnx.load(made[0] / name)
        if name == wrong:
            scaled(model)
        onnx.save(model, tmp_path / name)
    models = pairs(made[0], tmp_path)
    calls = calls_in_order({path: pair.model for path, pair in models.items()})
    checked = verify_together(calls, models, Check())
    assert checked.status == "failed"
    failed = {output.name.split(":")[0] for output in checked.outputs if not output.passed}
    assert failed == set(NAMES[NAMES.index(wrong) :])


def test_a_model_that_alone_is_wrong_is_named(
    tmp_path: Path, made: tuple[Path, Path, DirectoryReport]
) -> None:
    source, output, report = made
    for name in NAMES:
        model = onnx.load(output / name)
        if name == NAMES[1]:
            scaled(model)
        onnx.save(model, tmp_path / name)
    with pytest.raises(DirectoryRejected, match=r"decoder_model\.onnx: verification failed"):
        verified_directory(report, pairs(source, tmp_path), Check())


def refused(model: onnx.ModelProto) -> None:
    model.graph.node[0].op_type = "Unheard"


def renamed(model: onnx.ModelProto) -> None:
    model.graph.input[1].name = "mask"
    for node in model.graph.node:
        node.input[:] = ["mask" if name == "attention_mask" else name for name in node.input]


@pytest.mark.parametrize("change", [refused, renamed])
def test_a_candidate_that_does_not_run_has_failed(
    tmp_path: Path,
    made: tuple[Path, Path, DirectoryReport],
    change: Callable[[onnx.ModelProto], None],
) -> None:
    for name in NAMES:
        model = onnx.load(made[0] / name)
        if name == NAMES[0]:
            change(model)
        onnx.save(model, tmp_path / name)
    models = pairs(made[0], tmp_path)
    calls = calls_in_order({path: pair.model for path, pair in models.items()})
    checked = verify_together(calls, models, Check())
    assert checked.status == "failed"
    assert "encoder_model.onnx: the candidate does not run" in checked.reason


def test_what_is_for_another_provider_alone_is_unverified(
    made: tuple[Path, Path, DirectoryReport],
) -> None:
    source, output, report = made
    files = [
        dataclasses.replace(
            file, report=dataclasses.replace(file.report, provider="cuda", ops="ort")
        )
        for file in report.files
        if file.report is not None
    ]
    models = pairs(source, output)
    calls = calls_in_order({path: pair.model for path, pair in models.items()})
    changed = dataclasses.replace(report, files=tuple(files), together=None)
    together = checking._verified_together(changed, calls, models, Check()).together
    assert together is not None
    assert together.verification.status == "unverified"
    assert "made for cuda" in together.verification.reason
