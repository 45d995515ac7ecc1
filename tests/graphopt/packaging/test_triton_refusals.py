"""What Triton cannot serve is said in one line, and nothing is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from graphopt.errors import UsageError
from graphopt.options import Sample
from graphopt.packaging.triton_options import TritonOptions
from tests.graphopt.model_files import snapshot
from tests.graphopt.packaging.triton_models import ROWS, TWO, packed, saved

FIXED = """<ir_version: 8, opset_import: ["" : 17]>
g (float[1, 3] x) => (float[1, 3] y) { y = Neg (x) }"""
SCALAR = """<ir_version: 8, opset_import: ["" : 17]>
g (float[batch, 3] x) => (float y) { y = ReduceSum <keepdims = 0> (x) }"""
OTHER_ROWS = """<ir_version: 8, opset_import: ["" : 17]>
g (float[batch, 3] x, float[tokens, 3] t) => (float[batch, 3] y) {
    one = ReduceSum <keepdims = 0> (t)
    y = Add (x, one)
}"""
MEAN_OF_ROWS = """<ir_version: 8, opset_import: ["" : 17]>
g (float[batch, 3] x) => (float[batch, 3] y) {
    mean = ReduceMean <axes = [0]> (x)
    y = Sub (x, mean)
}"""
COUNTED = """<ir_version: 8, opset_import: ["" : 17]>
g (float[batch, 3] x) => (float[batch, 3] y) {
    shape = Constant <value = int64[2] {2, 3}> ()
    two = Reshape (x, shape)
    y = Neg (two)
}"""


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        (FIXED, TritonOptions(4), "'x' has the fixed size 1 where its batch would be: leave out"),
        (SCALAR, TritonOptions(), "'y' is a scalar, or its dimensions are not known, and Triton"),
        (OTHER_ROWS, TritonOptions(4), r"no one batch \(2 of 'x', 5 of 't', 2 of 'y'\)"),
        (MEAN_OF_ROWS, TritonOptions(4), "requests cannot be joined: .* \\(output 'y': largest"),
        (COUNTED, TritonOptions(4), "'y' has the fixed size 2 where its batch would be: leave"),
        (ROWS, TritonOptions(1), "have 2 rows and --max-batch-size is 1: give a smaller size"),
        (
            ROWS,
            TritonOptions(dynamic_batching=True),
            "--dynamic-batching .*: give --max-batch-size",
        ),
        (ROWS, TritonOptions(repository="models"), "--repository 'models': give the absolute path"),
        (ROWS, TritonOptions(repository="/a/../b"), "--repository '/a/../b': give the absolute"),
    ],
    ids=lambda value: None if isinstance(value, TritonOptions) else str(value)[:20],
)
def test_what_triton_cannot_serve_is_said_in_one_line(
    text: str, options: TritonOptions, said: str, tmp_path: Path
) -> None:
    model = saved(text, tmp_path / "model.onnx")
    sizes = {name: size for name, size in {"batch": 2, "tokens": 5}.items() if name in text}
    before = snapshot(tmp_path)
    with pytest.raises(UsageError, match=said) as caught:
        packed(model, tmp_path / "repo", options, Sample(dims=sizes))
    assert "\n" not in str(caught.value)
    assert snapshot(tmp_path) == before
    assert not (tmp_path / "repo").exists()


@pytest.mark.parametrize("name", ["a/b", "..", ".hidden", "a b"])
def test_names_that_leave_the_repository_are_refused(name: str, tmp_path: Path) -> None:
    model = saved(ROWS, tmp_path / "rows.onnx")
    with pytest.raises(UsageError, match=r"--name .*: for Triton give letters"):
        packed(model, tmp_path / "repo", TritonOptions(), TWO, name=name)
    assert not (tmp_path / "repo").exists()


def test_what_triton_would_not_hand_on_is_refused(tmp_path: Path) -> None:
    model = saved(ROWS, tmp_path / "rows.onnx")
    entry = {"session.intra_op.allow_spinning": "1"}
    with pytest.raises(UsageError, match=r"--session-option session.intra_op.allow_spinning: Tri"):
        packed(model, tmp_path / "repo", TritonOptions(), TWO, session_options=entry)
    known = {"session.use_device_allocator_for_initializers": "1"}
    home = packed(model, tmp_path / "repo", TritonOptions(), TWO, session_options=known)
    assert (
        'key: "session.use_device_allocator_for_initializers"'
        in (home / "config.pbtxt").read_text()
    )
