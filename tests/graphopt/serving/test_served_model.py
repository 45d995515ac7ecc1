"""What a server does without the server: settings, metadata, inference, refusals."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from graphopt.errors import EnvironmentFailure, ModelError, UsageError
from graphopt.serving.served_model import BadRequest, ServedModel, TensorSpec
from graphopt.serving.settings import ServingSettings, read_settings, settings_from

ROOT = Path(__file__).parents[3]
TWO_INPUTS = """
<ir_version: 8, opset_import: ["" : 17]>
g (float[batch, 2] x, int64[batch] place) => (float[batch, 2] doubled, float[batch] row)
  <float[3] table = {10, 20, 30}> {
    doubled = Add (x, x)
    row = Gather (table, place)
}"""
X = np.array([[1, 2], [3, 4]], np.float32)
PLACE = np.array([0, 2], np.int64)


@pytest.fixture
def settings(tmp_path: Path) -> ServingSettings:
    onnx.save(onnx.parser.parse_model(TWO_INPUTS), tmp_path / "model.onnx")
    return ServingSettings().within(tmp_path)


def test_names_types_and_shapes_are_those_of_the_file(settings: ServingSettings) -> None:
    served = ServedModel(settings)
    assert served.inputs == (TensorSpec("x", "FP32", (-1, 2)), TensorSpec("place", "INT64", (-1,)))
    assert served.outputs == (
        TensorSpec("doubled", "FP32", (-1, 2)),
        TensorSpec("row", "FP32", (-1,)),
    )


def test_a_request_is_answered_with_what_it_asks_for(settings: ServingSettings) -> None:
    served = ServedModel(settings)
    answer = served.infer({"x": X, "place": PLACE})
    assert list(answer) == ["doubled", "row"]
    np.testing.assert_array_equal(answer["doubled"], 2 * X)
    np.testing.assert_array_equal(answer["row"], [10, 30])
    assert list(served.infer({"x": X, "place": PLACE}, ["row"])) == ["row"]


@pytest.mark.parametrize(
    ("inputs", "outputs", "said"),
    [
        ({"x": X}, [], "input 'place' is missing: give x, place"),
        ({"x": X, "place": PLACE, "z": X}, [], "unknown input 'z': choose one of x, place"),
        ({"x": X, "place": PLACE}, ["z"], "unknown output 'z': choose one of doubled, row"),
        ({"x": X.astype("f8"), "place": PLACE}, [], "input 'x' has type FP64: give FP32"),
        ({"x": X.astype("U1"), "place": PLACE}, [], "input 'x' has type <U1: give FP32"),
        ({"x": X[0], "place": PLACE}, [], r"input 'x' has shape \[2\]: give \[-1, 2\]"),
        ({"x": X[:, :1], "place": PLACE}, [], r"input 'x' has shape \[2, 1\]: give \[-1, 2\]"),
        ({"x": X, "place": PLACE + 3}, [], "hold a value that does not fit .*out of data bounds"),
    ],
)
def test_what_does_not_fit_is_a_bad_request(
    settings: ServingSettings, inputs: dict[str, Any], outputs: list[str], said: str
) -> None:
    with pytest.raises(BadRequest, match=said) as caught:
        ServedModel(settings).infer(inputs, outputs)
    assert "\n" not in str(caught.value)


def test_session_options_reach_the_session(settings: ServingSettings, tmp_path: Path) -> None:
    values = {"threads": 2, "session_options": {"session.intra_op.allow_spinning": "1"}}
    chosen = settings_from(values, tmp_path, "here")
    served = ServedModel(chosen)
    options = served._session.get_session_options()
    assert options.intra_op_num_threads == 2
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "1"
    quiet = ServedModel(settings)._session.get_session_options()
    assert quiet.get_session_config_entry("session.intra_op.allow_spinning") == "0"


def test_what_cannot_be_opened_is_said_when_it_is_loaded(
    settings: ServingSettings, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=r"cannot load other.onnx"):
        ServedModel(settings_from({"model": "other.onnx"}, tmp_path, "here"))
    with pytest.raises(EnvironmentFailure, match="refuses the kernels"):
        ServedModel(settings_from({"library": "model.onnx"}, tmp_path, "here"))
    text = TWO_INPUTS.replace("float[batch, 2] x,", "string[batch, 2] s, float[batch, 2] x,")
    onnx.save(onnx.parser.parse_model(text), tmp_path / "text.onnx")
    with pytest.raises(ModelError, match=r"'s' is of type tensor.string., which the protocol"):
        ServedModel(settings_from({"model": "text.onnx"}, tmp_path, "here"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"thread": 1}', "unknown setting 'thread': choose one of model, library"),
        ('{"threads": "1"}', "settings.threads is '1'"),
        ('{"session_options": {"a": 1}}', "settings.session_options.a is 1"),
        ("[]", "is no JSON ."),
        ("{", "is no JSON ."),
    ],
)
def test_settings_of_another_form_are_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "serving.json").write_text(text)
    with pytest.raises(UsageError, match=f"serving.json: {said}"):
        read_settings(tmp_path)


def test_a_folder_without_settings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"serving.json: cannot be read: give a folder"):
        read_settings(tmp_path)


def test_a_server_imports_neither_onnx_nor_what_optimizes(settings: ServingSettings) -> None:
    code = (
        "import pathlib, sys\n"
        "from graphopt.serving.served_model import ServedModel\n"
        "from graphopt.serving.settings import settings_from\n"
        "ServedModel(settings_from({}, pathlib.Path(sys.argv[1]), 'here'))\n"
        "heavy = {'onnx', 'onnx_ir', 'onnxscript', 'networkx', 'click', 'rich', 'torch'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code, str(Path(settings.model).parent)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr
