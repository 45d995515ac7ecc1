"""A file or a model becomes another, and nothing else changes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest

import graphopt
from graphopt.errors import UsageError
from graphopt.files import loading
from tests.graphopt.model_files import block, save_external, save_inline, snapshot

SAVERS = pytest.mark.parametrize("save", [save_inline, save_external])


def run(path: Path) -> np.ndarray:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    x = np.random.default_rng(1).normal(size=(2, 3, 40)).astype(np.float32) + 0.5
    return session.run(None, {"x": x})[0]


@SAVERS
def test_a_file_is_optimized_into_a_file(
    tmp_path: Path, save: Callable[[onnx.ModelProto, Path], Path]
) -> None:
    path, target = save(block(), tmp_path / "model.onnx"), tmp_path / "out.onnx"
    before = snapshot(tmp_path)
    report = graphopt.optimize(path, output=target).report

    assert [norm.converted for norm in report.plan.norms] == [True, True]
    assert report.verification is not None
    assert report.verification.status == "passed"
    np.testing.assert_allclose(run(target), run(path), rtol=0, atol=2e-5)
    onnx.checker.check_model(target)
    assert not [n for n in onnx.load(target).graph.node if n.op_type == "LayerNormalization"]
    assert before.items() <= snapshot(tmp_path).items()


def test_the_output_says_what_made_it_and_keeps_the_rest(tmp_path: Path, model: Path) -> None:
    graphopt.optimize(model, output=tmp_path / "out.onnx")
    given, made = onnx.load(model), onnx.load(tmp_path / "out.onnx")
    for field in ("ir_version", "producer_name", "doc_string"):
        assert getattr(made, field) == getattr(given, field)
    imports = [(entry.domain, entry.version) for entry in given.opset_import]
    assert [(entry.domain, entry.version) for entry in made.opset_import] == [
        *imports,
        ("graphopt", 1),
    ]
    assert made.graph.input == given.graph.input
    assert made.graph.output == given.graph.output


def test_a_compressed_output_says_how(tmp_path: Path, model: Path) -> None:
    graphopt.optimize(model, "crms", basis="drop", output=tmp_path / "out.onnx")
    made = onnx.load(tmp_path / "out.onnx")
    props = {entry.key: entry.value for entry in made.metadata_props}
    assert (props["graphopt.variant"], props["graphopt.basis"]) == ("crms", "drop")
    np.testing.assert_allclose(run(tmp_path / "out.onnx"), run(model), rtol=0, atol=2e-5)


@pytest.mark.parametrize(
    ("options", "operators"),
    [
        ({}, {"graphopt.RMSNorm", "graphopt.SkipRMSNorm"}),
        ({"variant": "crms"}, {"graphopt.RMSNorm", "graphopt.SkipRMSNorm"}),
        ({"variant": "crms", "basis": "drop"}, {"graphopt.CRMSNorm", "graphopt.SkipCRMSNorm"}),
        ({"variant": "crms", "basis": "drop", "ops": "standard"}, set()),
        ({"ops": "standard"}, set()),
        ({"ops": "ort"}, {".SimplifiedLayerNormalization"}),
    ],
)
def test_the_norms_are_written_in_the_operators_asked_for(
    model: Path, options: dict[str, str], operators: set[str]
) -> None:
    result = graphopt.optimize(model, verify=False, **options)
    found = {f"{node.domain}.{node.op_type}" for node in result.model.graph}
    assert {name for name in found if name.startswith("graphopt") or "Layer" in name} == operators
    assert result.report.has_custom_operators == any("graphopt" in name for name in operators)


def test_the_same_input_gives_the_same_bytes(tmp_path: Path, model: Path) -> None:
    files = []
    for directory in (tmp_path / "1", tmp_path / "2"):
        directory.mkdir()
        graphopt.optimize(model, verify=False, output=directory / "out.onnx")
        files.append(snapshot(directory))
    assert files[0] == files[1]


def test_without_an_output_nothing_is_written(tmp_path: Path, model: Path) -> None:
    before = snapshot(tmp_path)
    result = graphopt.optimize(model)
    assert snapshot(tmp_path) == before
    assert result.report.output.path is None
    graphopt.save(result.model, tmp_path / "out.onnx")
    np.testing.assert_allclose(run(tmp_path / "out.onnx"), run(model), rtol=0, atol=2e-5)


def test_a_model_in_memory_is_not_changed(tmp_path: Path, model: Path) -> None:
    given = loading.load(model)
    text = str(given)
    result = graphopt.optimize(given, output=tmp_path / "out.onnx")
    assert str(given) == text
    assert result.model is not given
    assert result.report.plan.converted == 2
    assert result.report.input.path == str(model)


def test_a_model_that_was_never_a_file_is_verified(tmp_path: Path) -> None:
    result = graphopt.optimize(ir.from_proto(block()))
    assert result.report.verification is not None
    assert result.report.verification.status == "passed"
    assert result.report.input.path is None


def test_inspecting_changes_nothing(tmp_path: Path, model: Path) -> None:
    before = snapshot(tmp_path)
    given = loading.load(model)
    text = str(given)
    plans = [graphopt.inspect(model), graphopt.inspect(given)]
    assert str(given) == text
    assert snapshot(tmp_path) == before
    assert plans[0] == plans[1] == graphopt.optimize(model, verify=False).report.plan


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"variant": "batch"}, "unknown variant 'batch': choose rms or crms"),
        ({"variant": "crms", "basis": "x"}, "unknown basis 'x': choose orthonormal or drop"),
        ({"basis": "drop"}, "basis 'drop' is for the variant crms: leave it out for rms"),
        ({"ops": "all"}, "unknown ops 'all': choose custom or standard or ort"),
        ({"provider": "tpu"}, "unknown provider 'tpu': choose cpu or cuda"),
        ({"max_growth": -1.0}, "max_growth -1.0 is no share"),
        ({"skip": ["nothing"]}, "no pass is called 'nothing' here"),
        (
            {"skip": ["recentre"]},
            r"'recentre' cannot be skipped, .* one that graphopt passes marks",
        ),
    ],
)
def test_choices_that_do_not_exist_are_refused(
    model: Path, options: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        graphopt.optimize(model, **options)


def test_an_optional_pass_can_be_skipped(model: Path) -> None:
    report = graphopt.optimize(model, skip=["fold-affine"]).report
    assert "fold-affine" not in [record.name for record in report.passes]
    assert report.verification is not None
    assert report.verification.status == "passed"


def test_weights_behind_links_are_optimized_and_verified(tmp_path: Path, model: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    for name in ("model.onnx", "model.onnx.data"):
        (tmp_path / name).rename(cache / f"blob of {name}")
        (tmp_path / name).symlink_to(cache / f"blob of {name}")
    report = graphopt.optimize(model, output=tmp_path / "out.onnx").report
    assert report.verification is not None
    assert report.verification.status == "passed"


def test_large_weights_are_not_held_in_memory(model: Path) -> None:
    result = graphopt.optimize(model, verify=False)
    tensors = [value.const_value for value in result.model.graph.initializers.values()]
    large = [tensor for tensor in tensors if tensor.nbytes > 1024]
    assert len(large) == 4
    assert all(isinstance(tensor, ir.LazyTensor | ir.ExternalTensor) for tensor in large)
