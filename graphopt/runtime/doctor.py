"""What graphopt finds on this machine, and what does not work."""

from __future__ import annotations

__all__ = ["Finding", "Status", "examine"]

import contextlib
import dataclasses
import importlib
import importlib.metadata
import io
import platform
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np

from graphopt.errors import EnvironmentFailure
from graphopt.native import build
from graphopt.passes.targets import CPU, PROVIDERS
from graphopt.runtime.library import instruction_set, library_path
from graphopt.runtime.sessions import error_line, import_onnxruntime, printed_reason

Status = Literal["ok", "note", "problem"]

# Either of them is ONNX Runtime. Installed together they overwrite each other's files.
_DISTRIBUTIONS = ("onnxruntime", "onnxruntime-gpu")


@dataclasses.dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        subject: What was looked at.
        text: What was found.
        status: ``ok``; ``note`` for what is absent and may be; ``problem`` for what does not work.
        advice: What to do about it, else "".
    """

    subject: str
    text: str
    status: Status = "ok"
    advice: str = ""


def examine() -> tuple[Finding, ...]:
    """Looks at Python, ONNX Runtime, its execution providers, the native kernels and compilers.

    Providers and kernels are tried, each in a session of its own: that one is listed says little.
    """
    return tuple(_findings())


def _findings() -> Iterator[Finding]:
    system = f"{platform.system()} {platform.machine()}"
    yield Finding("Python", f"{platform.python_version()} on {system}")
    yield Finding("graphopt", importlib.metadata.version("graphopt"))
    try:
        runtime: Any = importlib.import_module("onnxruntime")
    except ImportError as error:
        runtime = None
        advice = 'pip install "graphopt[cpu]", or "graphopt[gpu]" for CUDA'
        yield Finding("ONNX Runtime", f"cannot be imported: {error}", "problem", advice)
    else:
        for provider in PROVIDERS:  # with the libraries that it needs, where pip installed them
            import_onnxruntime(provider)
        yield from _runtime(runtime)
    for row in PROVIDERS.values():
        yield _kernels(runtime, row.name, row.runtime)
    yield from _compilers()


def _runtime(runtime: Any) -> Iterator[Finding]:
    installed = [name for name in _DISTRIBUTIONS if _is_installed(name)]
    build_info = runtime.get_build_info().removeprefix("ORT Build Info: ")
    text = f"{runtime.__version__} ({' and '.join(installed) or 'own build'}; {build_info})"
    if len(installed) > 1:
        advice = f"they overwrite each other: pip uninstall {' '.join(installed)}, then install one"
        yield Finding("ONNX Runtime", text, "problem", advice)
    else:
        yield Finding("ONNX Runtime", text)
    # Others may be listed too, without what they need: graphopt takes those of its table.
    rows = {row.runtime: row for row in PROVIDERS.values()}
    available = [name for name in runtime.get_available_providers() if name in rows]
    for provider in available:
        failure = _try(runtime, provider, None)
        if failure:
            libraries = "install the CUDA and cuDNN it was built for"
            advice = libraries if rows[provider].is_device else ""
            yield Finding(provider, f"does not start: {failure}", "problem", advice)
        else:
            yield Finding(provider, "starts")
    for provider in (name for name in rows if name not in available):
        yield Finding(provider, "is not in this build of ONNX Runtime", "note")


def _kernels(runtime: Any, provider: str, execution_provider: str) -> Finding:
    """Whether there is a library, and whether it computes a norm."""
    subject = f"Kernels for {provider}"
    try:
        path = library_path(provider)
    except EnvironmentFailure as error:
        found, _, advice = str(error).partition(": ")
        return Finding(subject, found, "note", advice)
    rebuild = f'run "python -m graphopt.native.build {provider}"'
    try:
        text = f"{path} (on the CPU: {instruction_set(path)})"
    except EnvironmentFailure as error:
        return Finding(subject, str(error), "problem", rebuild)
    if runtime is None:
        return Finding(subject, f"{text}, not tried: there is no ONNX Runtime", "note")
    if execution_provider not in runtime.get_available_providers():
        return Finding(subject, f"{text}, not tried: there is no {execution_provider}", "note")
    failure = _try(runtime, execution_provider, path)
    if failure:
        return Finding(subject, f"{text} fails: {failure}", "problem", rebuild)
    return Finding(subject, text)


def _compilers() -> Iterator[Finding]:
    compiler = build.find_compiler()
    yield _tool("C++ compiler", compiler, "-dumpfullversion")
    yield _tool("CUDA compiler", build.find_nvcc(), "--version")
    smi = shutil.which("nvidia-smi")
    yield _tool("GPU", smi, "--query-gpu=name,driver_version", "--format=csv,noheader")


def _tool(subject: str, path: str | None, *arguments: str) -> Finding:
    if path is None:
        return Finding(subject, "none found", "note")
    done = subprocess.run([path, *arguments], capture_output=True, text=True, check=False)
    lines = done.stdout.strip().splitlines()
    if done.returncode != 0 or not lines:
        return Finding(subject, f"{path} does not run", "note")
    return Finding(subject, f"{path} ({lines[-1]})")


def _try(runtime: Any, provider: str, library: Path | None) -> str:
    """Runs one node on a provider: a norm where a library is given. Returns what went wrong."""
    options = runtime.SessionOptions()
    options.log_severity_level = 4
    x = np.array([[3, 4]], np.float32)
    expected = x / np.sqrt(np.float32(12.5)) if library else x
    if provider != CPU.runtime:  # or nodes that it does not take would run on the CPU
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    model, said = _model(norm=library is not None), io.StringIO()
    try:
        if library:
            options.register_custom_ops_library(str(library))
        with contextlib.redirect_stdout(said):
            session = runtime.InferenceSession(model, options, [provider])
        if (taken := session.get_providers()[0]) != provider:
            return printed_reason(said.getvalue()) or f"ONNX Runtime took {taken} instead"
        (y,) = session.run(None, {"x": x})
    except Exception as error:  # ONNX Runtime's errors have no base class of their own
        return error_line(error)
    return "" if np.allclose(y, expected, rtol=1e-3) else f"computed {y.tolist()}"


def _model(*, norm: bool) -> bytes:
    from onnx import TensorProto, helper

    if norm:
        node = helper.make_node("RMSNorm", ["x"], ["y"], domain="graphopt", epsilon=0.0)
    else:
        node = helper.make_node("Relu", ["x"], ["y"])
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 2]) for name in "xy"]
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("graphopt", 1)]
    graph = helper.make_graph([node], "one", value[:1], value[1:])
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    return bytes(model.SerializeToString())


def _is_installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
