"""Sessions are what they claim to be, and what cannot run says why."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import onnxruntime
import pytest

from graphopt.errors import EnvironmentFailure, UsageError
from graphopt.runtime.library import library_path
from graphopt.runtime.sessions import (
    RuntimeRefused,
    create_session,
    import_onnxruntime,
    ort_version,
    run,
)

ADD = """
<ir_version: 8, opset_import: ["" : 17]>
g (float[n] x) => (float[n] y) <float[1] w = {1.5}> { y = Add(x, w) }
"""


@pytest.fixture
def model() -> ir.Model:
    return ir.from_onnx_text(ADD)


def test_a_model_in_memory_and_its_file_run_alike(model: ir.Model, tmp_path: Path) -> None:
    ir.save(model, tmp_path / "model.onnx")
    x = np.array([1, 2], dtype=np.float32)
    for source in (model, tmp_path / "model.onnx", str(tmp_path / "model.onnx")):
        np.testing.assert_array_equal(run(create_session(source), {"x": x})["y"], [2.5, 3.5])


def test_external_weights_are_found(model: ir.Model, tmp_path: Path) -> None:
    ir.save(model, tmp_path / "model.onnx", external_data="data", size_threshold_bytes=0)
    x = np.array([1], dtype=np.float32)
    for source in (tmp_path / "model.onnx", ir.load(tmp_path / "model.onnx")):
        np.testing.assert_array_equal(run(create_session(source), {"x": x})["y"], [2.5])


@pytest.mark.parametrize("level", ["disable", "basic", "extended", "all"])
def test_a_session_does_not_spin_and_has_the_threads_and_level_asked_for(
    model: ir.Model, level: Any
) -> None:
    session = create_session(model, threads=2, optimization=level)
    options = session.get_session_options()
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
    assert options.intra_op_num_threads == 2
    assert level.upper() in options.graph_optimization_level.name
    assert session.get_providers() == ["CPUExecutionProvider"]


def test_the_version_is_onnx_runtimes() -> None:
    assert ort_version() == onnxruntime.__version__


def test_an_unknown_provider_is_refused(model: ir.Model) -> None:
    with pytest.raises(UsageError, match="unknown execution provider 'tpu'; choose cpu or cuda"):
        create_session(model, provider="tpu")


def test_a_provider_that_is_not_there_is_an_environment_failure(
    model: ir.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(EnvironmentFailure, match=r'CUDAExecutionProvider .* "graphopt\[gpu\]"'):
        create_session(model, provider="cuda")


def test_a_provider_that_falls_back_to_the_cpu_says_why(
    model: ir.Model, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class FallenBack:
        def __init__(self, *arguments: Any, **options: Any) -> None:
            _say_why()

        def get_providers(self) -> list[str]:
            return ["CPUExecutionProvider"]

    class Refused:
        def __init__(self, *arguments: Any, **options: Any) -> None:
            _say_why()
            raise RuntimeError("RMSNorm has no kernel")

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    for session in (FallenBack, Refused):
        monkeypatch.setattr(onnxruntime, "InferenceSession", session)
        with pytest.raises(EnvironmentFailure) as caught:
            create_session(model, provider="cuda")
        version = onnxruntime.__version__
        assert str(caught.value).startswith(
            f"CUDAExecutionProvider does not start in ONNX Runtime {version} "
            '(CUDA failure 100: no CUDA-capable device is detected): install "graphopt[gpu]"'
        )
        assert capsys.readouterr().out == ""


def _say_why() -> None:
    """What ONNX Runtime prints when it falls back."""
    print("*************** EP Error ***************")
    print("EP Error /onnxruntime_src/cuda_call.cc:123")
    print("CUDA failure 100: no CUDA-capable device is detected when using ['CUDAExecution...']")
    print("Falling back to ['CPUExecutionProvider'] and retrying.")
    print("****************************************")


def test_a_library_that_is_missing_is_named(
    model: ir.Model, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """ONNX Runtime only logs it."""

    class FallenBack:
        def __init__(self, *arguments: Any, **options: Any) -> None: ...

        def get_providers(self) -> list[str]:
            return ["CPUExecutionProvider"]

    (tmp_path / "capi").mkdir()
    (tmp_path / "capi" / "libonnxruntime_providers_cuda.so").write_bytes(b"no library")
    monkeypatch.setattr(onnxruntime, "__file__", str(tmp_path / "__init__.py"))
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(onnxruntime, "InferenceSession", FallenBack)
    with pytest.raises(EnvironmentFailure, match=r"_providers_cuda\.so: (file too short|invalid)"):
        create_session(model, provider="cuda")


def test_a_call_that_fails_is_not_repeated_on_the_cpu(model: ir.Model) -> None:
    assert not create_session(model)._enable_fallback


def test_cuda_finds_the_libraries_that_pip_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []

    def preload() -> None:
        loaded.append("once")
        print("Failed to load libcudnn.so.9")

    monkeypatch.setattr(onnxruntime, "preload_dlls", preload, raising=False)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("sys.stdout", None)  # nothing may be printed
        assert import_onnxruntime("cpu") is onnxruntime
        assert loaded == []
        assert import_onnxruntime("cuda") is onnxruntime
    assert loaded == ["once"]


def test_a_missing_onnx_runtime_comes_with_advice(
    model: ir.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def missing(name: str, *arguments: Any, **options: Any) -> Any:
        if name == "onnxruntime":
            raise ImportError("No module named 'onnxruntime'")
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(EnvironmentFailure, match=r'pip install "graphopt\[cpu\]"'):
        create_session(model)


def test_what_the_runtime_refuses_is_one_line(model: ir.Model, tmp_path: Path) -> None:
    model.graph.node(0).op_type = "Mystery"
    with pytest.raises(RuntimeRefused, match=r"cannot load model\.onnx: .*Mystery") as caught:
        create_session(model)
    assert "\n" not in str(caught.value)
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no model")
    with pytest.raises(RuntimeRefused, match=r"cannot load broken\.onnx"):
        create_session(broken)


def test_inputs_that_do_not_fit_are_refused_by_run(model: ir.Model) -> None:
    session = create_session(model)
    with pytest.raises(RuntimeRefused, match=r"cannot run the model: .*x"):
        run(session, {"x": np.ones((2, 2), dtype=np.float32)})


def test_a_library_of_kernels_is_registered(model: ir.Model) -> None:
    try:
        kernels = library_path()
    except EnvironmentFailure as error:
        pytest.skip(str(error))
    model.opset_imports["graphopt"] = 1
    model.graph.append(
        ir.node("RMSNorm", [model.graph.outputs[0]], {"epsilon": 0.0}, domain="graphopt")
    )
    model.graph.outputs[0] = model.graph.node(-1).outputs[0]
    model.graph.outputs[0].name = "normed"
    with pytest.raises(RuntimeRefused, match="RMSNorm"):
        create_session(model)
    x = np.array([1, 1], dtype=np.float32)
    session = create_session(model, library=kernels)
    np.testing.assert_allclose(run(session, {"x": x})["normed"], [1, 1], rtol=1e-6)


def test_a_library_that_is_none_is_refused(model: ir.Model, tmp_path: Path) -> None:
    broken = tmp_path / "libbroken.so"
    broken.write_bytes(b"no library")
    with pytest.raises(EnvironmentFailure, match=r"refuses the kernels of .*libbroken\.so"):
        create_session(model, library=broken)


def test_options_of_the_provider_reach_it(model: ir.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []

    class Started:
        def __init__(self, path: str, options: Any, providers: list[Any]) -> None:
            given.extend(providers)

        def disable_fallback(self) -> None: ...

        def get_providers(self) -> list[str]:
            return ["CUDAExecutionProvider"]

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(onnxruntime, "InferenceSession", Started)
    create_session(model, provider="cuda", provider_options={"use_tf32": "0"})
    assert given == [("CUDAExecutionProvider", {"use_tf32": "0"}), "CPUExecutionProvider"]
