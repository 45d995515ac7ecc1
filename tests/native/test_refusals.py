"""Bad input is an error that says what was found and what is needed; never a crash."""

from __future__ import annotations

import ctypes
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper

from graphopt.errors import EnvironmentFailure, UsageError
from graphopt.native import build
from graphopt.runtime.library import instruction_set, library_path
from tests.native.operator_models import (
    CRMS,
    EPSILON,
    LAYER,
    RMS,
    SKIP_CRMS,
    SKIP_LAYER,
    SKIP_RMS,
    Form,
    model,
    open_session,
    serialized,
)

# Form, shapes of its operands, and the message.
SHAPES: list[tuple[Form, dict[str, Sequence[int]], str]] = [
    (RMS, {"X": (), "gamma": (1,)}, "RMSNorm: X is a scalar; it needs an axis to normalize"),
    (RMS, {"X": (2, 0), "gamma": (0,)}, "X has shape [2, 0]; the last axis, which is normalized"),
    (CRMS, {"X": (0,)}, "CRMSNorm: X has shape [0]; the last axis, which is normalized, is empty"),
    (
        RMS,
        {"X": (2, 3), "gamma": (4,)},
        "gamma has shape [4] but X has shape [2, 3]; it must have shape [3]",
    ),
    (RMS, {"X": (2, 3), "gamma": (1,)}, "gamma has shape [1] but X has shape [2, 3]"),
    (RMS, {"X": (2, 3), "gamma": (2, 3)}, "gamma has shape [2, 3] but X has shape [2, 3]"),
    (RMS, {"X": (2, 3), "gamma": ()}, "gamma has shape [] but X has shape [2, 3]"),
    (
        SKIP_RMS,
        {"X": (2, 3), "residual": (1, 3), "gamma": (3,), "bias": (3,)},
        "residual has shape [1, 3] but X has shape [2, 3]; they must be equal, nothing is broad",
    ),
    (
        SKIP_RMS,
        {"X": (2, 3), "residual": (3,), "gamma": (3,), "bias": (3,)},
        "residual has shape [3] but X has shape [2, 3]",
    ),
    (
        SKIP_RMS,
        {"X": (2, 3), "residual": (3, 2), "gamma": (3,), "bias": (3,)},
        "residual has shape [3, 2] but X has shape [2, 3]",
    ),
    (
        SKIP_CRMS,
        {"X": (2, 3), "residual": (2, 3), "bias": (2,)},
        "SkipCRMSNorm: bias has shape [2] but X has shape [2, 3]; it must have shape [3]",
    ),
    (
        LAYER,
        {"X": (2, 3), "gamma": (3,), "beta": (1,)},
        "LayerNorm: beta has shape [1] but X has shape [2, 3]; it must have shape [3]",
    ),
    (
        SKIP_LAYER,
        {"X": (2, 3), "residual": (1, 3), "gamma": (3,), "beta": (3,), "bias": (3,)},
        "SkipLayerNorm: residual has shape [1, 3] but X has shape [2, 3]; they must be equal",
    ),
]


def message(call: Any) -> str:
    with pytest.raises(Exception) as caught:  # ONNX Runtime's errors have no base
        call()
    return str(caught.value)


@pytest.mark.parametrize(("form", "shapes", "expected"), SHAPES)
def test_operands_that_do_not_fit(
    form: Form, shapes: Mapping[str, Sequence[int]], expected: str, library: Path
) -> None:
    session = open_session(model(form, "float32"), library)
    feeds = {name: np.ones(shape, np.float32) for name, shape in shapes.items()}
    assert expected in message(lambda: session.run(None, feeds))


@pytest.mark.parametrize("dims", [[4], [1], [1, 3], []])
def test_a_constant_that_does_not_fit(dims: list[int], library: Path) -> None:
    gamma = helper.make_tensor("gamma", TensorProto.FLOAT, dims, np.ones(dims).ravel())
    node = helper.make_node("RMSNorm", ["X", "gamma"], ["Y"], domain="graphopt", epsilon=EPSILON)
    content = serialized([node], {"X": 1}, {"Y": 1}, initializer=[gamma])
    session = open_session(content, library)
    expected = f"gamma has shape {dims} but X has shape [2, 3]; it must have shape [3]"
    assert expected in message(lambda: session.run(None, {"X": np.ones((2, 3), np.float32)}))


def test_more_axes_than_a_kernel_takes(library: Path) -> None:
    content = serialized(
        [
            helper.make_node("Reshape", ["X", "shape"], ["x"]),
            helper.make_node("RMSNorm", ["x"], ["Y"], domain="graphopt", epsilon=EPSILON),
        ],
        {"X": TensorProto.FLOAT},
        {"Y": TensorProto.FLOAT},
        initializer=[helper.make_tensor("shape", TensorProto.INT64, [65], [1] * 64 + [3])],
    )
    session = open_session(content, library)
    expected = "RMSNorm: a tensor has 65 axes; at most 64 are supported"
    assert expected in message(lambda: session.run(None, {"X": np.ones(3, np.float32)}))


def test_a_session_goes_on_after_an_error(library: Path) -> None:
    session = open_session(model(RMS, "float32"), library)
    gamma = np.ones(3, np.float32)
    for _ in range(3):
        message(lambda: session.run(None, {"X": np.ones((2, 4), np.float32), "gamma": gamma}))
        (y,) = session.run(None, {"X": np.ones((2, 3), np.float32), "gamma": gamma})
        assert y.shape == (2, 3)


@pytest.mark.parametrize(
    ("epsilon", "expected"),
    [
        (None, "RMSNorm: the attribute epsilon, a float, is missing"),
        (-1.0, "epsilon is -1; it must be 0 or more"),
        (float("nan"), "epsilon is nan; it must be 0 or more"),
    ],
)
def test_an_epsilon_that_cannot_be(epsilon: float | None, expected: str, library: Path) -> None:
    content = model(RMS, "float32", epsilon)
    assert expected in message(lambda: open_session(content, library))


@pytest.mark.parametrize("types", [("INT32", "INT32"), ("FLOAT", "FLOAT16"), ("STRING", "STRING")])
def test_an_element_type_without_a_kernel(types: Sequence[str], library: Path) -> None:
    elements = [int(TensorProto.DataType.Value(name)) for name in types]
    node = helper.make_node("RMSNorm", ["X", "gamma"], ["Y"], domain="graphopt", epsilon=EPSILON)
    content = serialized(
        [node], dict(zip(["X", "gamma"], elements, strict=True)), {"Y": elements[0]}
    )
    assert "RMSNorm" in message(lambda: open_session(content, library))


@pytest.mark.parametrize(
    ("operator", "operands"),
    [
        ("RMSNorm", []),
        ("RMSNorm", ["X"] * 3),
        ("RMSNorm", ["", "X"]),
        ("SkipRMSNorm", ["X", "X"]),
        ("SkipRMSNorm", ["X", "X", ""]),
        ("SkipRMSNorm", ["X", "", "gamma"]),
        ("SkipCRMSNorm", ["X"]),
        ("LayerNorm", ["X", "gamma"]),
        ("LayerNorm", ["X", "", "gamma"]),
        ("SkipLayerNorm", ["X", "X", "gamma"]),
    ],
)
def test_operands_that_are_missing_or_too_many(
    operator: str, operands: list[str], library: Path
) -> None:
    node = helper.make_node(operator, operands, ["Y"], domain="graphopt", epsilon=EPSILON)
    content = serialized([node], dict.fromkeys(["X", "gamma"], TensorProto.FLOAT), {"Y": 1})
    feeds = {"X": np.ones((2, 3), np.float32), "gamma": np.ones(3, np.float32)}
    message(lambda: open_session(content, library).run(None, feeds))


def test_an_instruction_set_that_does_not_exist(
    library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRAPHOPT_INSTRUCTION_SET", "mmx")
    expected = "GRAPHOPT_INSTRUCTION_SET is 'mmx', which this processor or this library does not"
    assert expected in message(lambda: open_session(model(RMS, "float32"), library))
    with pytest.raises(EnvironmentFailure, match="GRAPHOPT_INSTRUCTION_SET"):
        instruction_set(library)


def test_a_library_that_is_registered_twice(library: Path) -> None:
    options = onnxruntime.SessionOptions()
    for _ in range(2):
        options.register_custom_ops_library(str(library))
    content = model(RMS, "float32")
    assert "already" in message(lambda: onnxruntime.InferenceSession(content, options))


def register_with_pretended_runtime(library: Path, version: bytes) -> list[str]:
    """Registers with a runtime that accepts everything. Returns the errors that it was told."""
    make_status = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p)
    succeed = ctypes.CFUNCTYPE(ctypes.c_void_p)
    get_table = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_uint32)
    get_version = ctypes.CFUNCTYPE(ctypes.c_void_p)
    text = ctypes.create_string_buffer(version)

    class Base(ctypes.Structure):
        _fields_ = (("get_api", get_table), ("get_version", get_version))

    said: list[str] = []

    @make_status
    def create_status(code: int, message: bytes) -> int:
        said.append(message.decode())
        return 1

    done = succeed(lambda: None)
    pointers = [ctypes.cast(done, ctypes.c_void_p)] * 300
    pointers[0] = ctypes.cast(create_status, ctypes.c_void_p)
    table = (ctypes.c_void_p * len(pointers))(*pointers)
    base = Base(
        get_table(lambda _: ctypes.addressof(table)), get_version(lambda: ctypes.addressof(text))
    )
    register = ctypes.CDLL(str(library)).RegisterCustomOps
    register.restype = ctypes.c_void_p
    assert register(None, ctypes.byref(base)) == (1 if said else None)
    return said


@pytest.mark.parametrize("version", ["1.15.1", "0.20.0", "1", "?"])
def test_a_runtime_that_is_too_old(version: str, library: Path) -> None:
    said = register_with_pretended_runtime(library, version.encode())
    assert said == [f"graphopt: the kernels need ONNX Runtime 1.16 or newer; this is {version}"]


@pytest.mark.parametrize("version", ["1.16.0", "1.100.0", "2.0.0", "10.1.0"])
def test_a_runtime_that_is_new_enough(version: str, library: Path, tmp_path: Path) -> None:
    """In a copy of the library, which has met no other runtime."""
    copy = Path(shutil.copy(library, tmp_path))
    assert register_with_pretended_runtime(copy, version.encode()) == []


def test_a_second_runtime_in_one_process(library: Path) -> None:
    options = onnxruntime.SessionOptions()
    options.register_custom_ops_library(str(library))
    said = register_with_pretended_runtime(library, b"1.20.0")
    assert said == [
        "graphopt: another ONNX Runtime of this process has loaded this library; load a copy of "
        "the file"
    ]
    assert open_session(model(RMS, "float32"), library).get_inputs()


def test_the_path_of_a_library_that_was_not_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "SOURCES", tmp_path)
    with pytest.raises(EnvironmentFailure, match=r'run "python -m graphopt\.native\.build cpu"$'):
        library_path()
    monkeypatch.setattr(build, "find_compiler", lambda: None)
    monkeypatch.setattr(build, "find_nvcc", lambda: None)
    with pytest.raises(EnvironmentFailure, match=r"cuda were not built: install g\+\+ or clang"):
        library_path("cuda")
    with pytest.raises(UsageError, match="unknown execution provider 'tpu'"):
        library_path("tpu")


def test_a_file_that_is_no_library(tmp_path: Path) -> None:
    path = tmp_path / "library.so"
    path.write_bytes(b"no library")
    with pytest.raises(EnvironmentFailure, match="is no library of kernels"):
        instruction_set(path)
