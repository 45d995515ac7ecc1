"""Which lines of a message of ONNX Runtime are quoted: those that say what is wrong."""

from __future__ import annotations

import pytest

from graphopt.runtime.sessions import error_line

CODE = "[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : "
MESSAGES = {
    "one line": (f"{CODE}Missing input x\n", f"{CODE}Missing input x"),
    "advice at the end": (
        f"{CODE}Got invalid dimensions for input: x for the following indices\n"
        " index: 0 Got: 3 Expected: 2\n Please fix either the inputs/outputs or the model.",
        f"{CODE}Got invalid dimensions for input: x for the following indices "
        "index: 0 Got: 3 Expected: 2",
    ),
    "the place of a file": (
        f"{CODE}Load model from /tmp/.model.onnx.1c/model.onnx failed:Fatal error: foo:Mystery(-1) "
        "is not a registered function/op",
        f"{CODE}Fatal error: foo:Mystery(-1) is not a registered function/op",
    ),
    "no code": ("a heading\n\nwhat is wrong\n", "what is wrong"),
    "nothing": ("\n", "RuntimeError"),
}


@pytest.mark.parametrize(("message", "quoted"), MESSAGES.values(), ids=MESSAGES)
def test_the_telling_lines_are_quoted(message: str, quoted: str) -> None:
    assert error_line(RuntimeError(message)) == quoted
