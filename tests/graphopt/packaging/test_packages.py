"""Packages: what is in them, that they answer their golden pair, and that none is half there."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner

from graphopt.cli import cli
from graphopt.cli.package_command import _FORMATS
from graphopt.errors import (
    EnvironmentFailure,
    GraphoptError,
    ModelError,
    UsageError,
    VerificationFailed,
)
from graphopt.golden import load_golden
from graphopt.options import Sample
from graphopt.packaging import contents, job
from graphopt.packaging.formats import FORMATS
from graphopt.packaging.job import PackageOptions, write_package
from graphopt.serving.served_model import ServedModel
from graphopt.serving.settings import ServingSettings, read_settings, settings_from
from tests.graphopt.model_files import block, initializer, save_external, save_inline, snapshot

SMALL = Sample(dims={"batch": 2, "rows": 3})


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return save_external(block(), tmp_path / "block.onnx")


def settings_of(kind: str, folder: Path) -> ServingSettings:
    """The settings as the server reads them."""
    if kind == "kserve":
        return read_settings(folder)
    parameters = json.loads((folder / "model-settings.json").read_text())["parameters"]
    values = {**parameters["extra"], "model": Path(parameters["uri"]).name}
    return settings_from(values, folder, "here")


@pytest.mark.parametrize("kind", ["kserve", "mlserver"])
def test_a_package_is_whole_and_answers_its_golden_pair_elsewhere(
    kind: str, model: Path, tmp_path: Path
) -> None:
    made = write_package(model, kind, tmp_path / "out", PackageOptions(threads=2), SMALL)
    assert made.name == "block"
    moved = (tmp_path / "out").rename(tmp_path / "moved")
    for file in tmp_path.glob("block.onnx*"):
        file.unlink()  # it needs nothing beside it
    settings = settings_of(kind, moved)
    assert settings.threads == 2
    served = ServedModel(settings)
    golden = load_golden(moved / "golden.npz")
    assert len(golden.requests) > 1
    assert golden.rtol == {"y": 1e-3}
    for request in golden.requests:
        assert request.inputs["x"].shape == (2, 3, 40)
        np.testing.assert_allclose(
            served.infer(request.inputs)["y"], request.outputs["y"], rtol=1e-6
        )


def test_mlserver_is_told_the_class_and_to_keep_the_model_in_its_process(
    model: Path, tmp_path: Path
) -> None:
    write_package(model, "mlserver", tmp_path / "out", PackageOptions(name="vit"), SMALL)
    settings = json.loads((tmp_path / "out" / "model-settings.json").read_text())
    assert settings["name"] == "vit"
    assert settings["implementation"] == "graphopt.serving.mlserver_model.OnnxModel"
    server = json.loads((tmp_path / "out" / "settings.json").read_text())
    assert server == {"parallel_workers": 0}


def test_the_kernels_come_along_where_the_model_has_operators_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = save_inline(block(), tmp_path / "plain.onnx")
    library = tmp_path / "libgraphopt_cpu.so"
    library.write_bytes(b"kernels")
    monkeypatch.setattr(job, "find_library", lambda provider: library)
    monkeypatch.setattr(job, "_check", lambda *arguments: None)
    with_operators = block()
    with_operators.opset_import.add(domain="graphopt", version=1)
    custom = save_inline(with_operators, tmp_path / "custom.onnx")
    cases = [
        (plain, None, ""),
        (plain, True, library.name),
        (custom, None, library.name),
        (custom, False, ""),
    ]
    for number, (file, asked, expected) in enumerate(cases):
        out = tmp_path / f"out-{number}"
        write_package(file, "kserve", out, PackageOptions(library=asked), SMALL)
        assert json.loads((out / "serving.json").read_text())["library"] == expected
        assert (out / library.name).exists() == bool(expected)


def test_the_golden_outputs_are_those_of_the_original(model: Path, tmp_path: Path) -> None:
    other = block()
    weight = initializer(other, "gamma_2")
    weight.raw_data = (onnx.numpy_helper.to_array(weight) * 1.5).astype("f4").tobytes()
    wrong = save_inline(other, tmp_path / "wrong.onnx")
    options = PackageOptions(original=model)
    before = snapshot(tmp_path)
    with pytest.raises(VerificationFailed, match=r"wrong.onnx does not answer its golden pair: o"):
        write_package(wrong, "kserve", tmp_path / "out", options, SMALL)
    assert snapshot(tmp_path) == before
    same = save_inline(block(), tmp_path / "same.onnx")
    write_package(same, "kserve", tmp_path / "out", options, SMALL)
    renamed = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17]> g (float[2] z) => (float[2] y) { y = Neg (z) }'
    )
    with pytest.raises(UsageError, match=r"has the inputs z and the original x: give the original"):
        write_package(
            save_inline(renamed, tmp_path / "z.onnx"), "kserve", tmp_path / "no", options, SMALL
        )


def broken_disk(*arguments: object) -> None:
    raise OSError(28, "No space left on device")


def interrupted(*arguments: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("fails", "raised"), [(broken_disk, EnvironmentFailure), (interrupted, KeyboardInterrupt)]
)
@pytest.mark.parametrize("kind", FORMATS)
def test_nothing_is_left_of_a_package_that_could_not_be_finished(
    kind: str,
    fails: object,
    raised: type[BaseException],
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(contents.shutil, "copyfile", fails)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(raised):
        write_package(model, kind, tmp_path / "out", sample=SMALL)
    assert sorted(tmp_path.iterdir()) == before


def test_what_cannot_be_packaged_is_said_in_one_line(model: Path, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    twice = tmp_path / "lib"
    twice.mkdir()
    cases: list[tuple[Path, Path, Sample, type[GraphoptError], str]] = [
        (model, tmp_path / "there", SMALL, UsageError, "there: exists: choose another folder"),
        (model, tmp_path / "no" / "out", SMALL, UsageError, "no: is not a directory: create it"),
        (tmp_path / "no.onnx", tmp_path / "out", SMALL, ModelError, "no.onnx: no such file"),
        (
            model,
            tmp_path / "out",
            Sample(custom_op_libraries=(tmp_path / "a.so", twice / "a.so")),
            UsageError,
            "two libraries are called 'a.so'",
        ),
    ]
    for file, out, sample, kind, said in cases:
        with pytest.raises(kind, match=said) as caught:
            write_package(file, "kserve", out, sample=sample)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "name", "file"),
    [
        ("kserve", "model.onnx", "model.onnx"),
        ("triton", "./model.onnx", "model.onnx"),
        ("kserve", "golden.npz", "golden.npz"),
        ("kserve", "serving.json", "serving.json"),
        ("mlserver", "./model-settings.json", "model-settings.json"),
        ("mlserver", "settings.json", "settings.json"),
    ],
)
def test_weights_take_no_name_of_another_file(
    kind: str, name: str, file: str, tmp_path: Path
) -> None:
    data = save_external(block(), tmp_path / "named.onnx")
    proto = onnx.load(data, load_external_data=False)
    for tensor in proto.graph.initializer:
        for entry in tensor.external_data:
            entry.value = name if entry.key == "location" else entry.value
    (tmp_path / "named.onnx.data").rename(tmp_path / file)
    data.write_bytes(proto.SerializeToString())
    said = f"its weights are in '{file}', the name of another file in a package"
    before = snapshot(tmp_path)
    with pytest.raises(UsageError, match=said):
        write_package(data, kind, tmp_path / "out", sample=SMALL)
    assert snapshot(tmp_path) == before


def test_the_command_offers_every_format_and_passes_its_options_on(
    model: Path, tmp_path: Path
) -> None:
    assert tuple(FORMATS) == _FORMATS
    out = tmp_path / "out"
    options = (
        f"package {model} --format kserve -o {out} --name vit --dim batch=2 --dim rows=3 "
        "--threads 3 --no-library --session-option session.intra_op.allow_spinning=1"
    )
    done = CliRunner().invoke(cli, options.split())
    assert done.exit_code == 0, done.output
    assert done.output == f"{out}: model 'vit' for kserve\n"
    settings = read_settings(out)
    assert settings.threads == 3
    assert settings.session_options == {"session.intra_op.allow_spinning": "1"}
