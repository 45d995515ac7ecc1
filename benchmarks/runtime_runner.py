"""Runs models in one runtime: python runtime_runner.py RUNTIME [MODEL INPUTS.npz OUTPUTS.npz ...]

It prints a line of JSON for each: the version of the runtime, and why it did not run. It is for
benchmarks/runtimes.py, and imports nothing of graphopt, which need not be there.
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
import types
from collections.abc import Callable

import numpy as np

Arrays = dict[str, np.ndarray]


def onnxruntime(model: str, inputs: Arrays, provider: str = "CPUExecutionProvider") -> Arrays:
    """ONNX Runtime; the session must have the provider, and not fall back."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 4
    session = ort.InferenceSession(model, options, providers=[provider])
    assert session.get_providers()[0] == provider, f"{provider} could not be loaded"
    names = [value.name for value in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))


def openvino_provider(model: str, inputs: Arrays) -> Arrays:
    """OpenVINO inside of ONNX Runtime."""
    return onnxruntime(model, inputs, "OpenVINOExecutionProvider")


def openvino(model: str, inputs: Arrays) -> Arrays:
    """OpenVINO with its own reader."""
    import openvino as ov

    core = ov.Core()
    # By default it may compute in less than float32.
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = core.compile_model(core.read_model(model), "CPU", settings)
    results = compiled(inputs)
    return {port.get_any_name(): results[port] for port in compiled.outputs}


def reference(model: str, inputs: Arrays) -> Arrays:
    """The reference evaluator of the onnx package."""
    import onnx
    from onnx.reference import ReferenceEvaluator

    evaluator = ReferenceEvaluator(onnx.load(model))
    return dict(zip(evaluator.output_names, evaluator.run(None, inputs), strict=True))


def tract(model: str, inputs: Arrays) -> Arrays:
    """tract, which keeps the symbols of the sizes until it runs."""
    import tract as rust

    loaded = rust.onnx().load(model)
    order = [loaded.input_name(index) for index in range(loaded.input_count())]
    names = [loaded.output_name(index) for index in range(loaded.output_count())]
    runnable = loaded.into_model().into_runnable()
    results = runnable.run([inputs[name] for name in order])
    return dict(zip(names, (result.to_numpy() for result in results), strict=True))


def onnx2torch(model: str, inputs: Arrays) -> Arrays:
    """onnx2torch, which makes a module of PyTorch.

    The compiled half of torchvision loads beside a PyTorch with CUDA alone. Declaring how its
    operators behave without data fails where they are absent, and is left out: no file has them.
    """
    name = "torchvision._meta_registrations"
    sys.modules.setdefault(name, types.ModuleType(name))
    import onnx
    import torch
    from onnx2torch import convert

    graph = onnx.load(model).graph
    constants = {value.name for value in graph.initializer}
    order = [value.name for value in graph.input if value.name not in constants]
    with torch.no_grad():
        results = convert(model)(*(torch.from_numpy(inputs[name]) for name in order))
    found = results if isinstance(results, list | tuple) else [results]
    names = [value.name for value in graph.output]
    return {name: one.numpy() for name, one in zip(names, found, strict=True)}


RUNTIMES: dict[str, tuple[Callable[[str, Arrays], Arrays], str]] = {
    "onnxruntime": (onnxruntime, "onnxruntime"),
    "onnxruntime-openvino": (openvino_provider, "onnxruntime-openvino"),
    "openvino": (openvino, "openvino"),
    "onnx.reference": (reference, "onnx"),
    "tract": (tract, "tract"),
    "onnx2torch": (onnx2torch, "onnx2torch"),
}
"""How each runs a model, and the package whose version says which it is."""


def main(runtime: str, *jobs: str) -> None:
    """Run each job: a model, the file of its inputs, and the one for its outputs."""
    run, package = RUNTIMES[runtime]
    version = importlib.metadata.version(package)
    for model, inputs, outputs in zip(jobs[::3], jobs[1::3], jobs[2::3], strict=True):
        reason = ""
        try:
            with np.load(inputs) as file:
                np.savez(outputs, **run(model, dict(file)))
        except BaseException as error:  # a panic of Rust is none of the usual
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        print(json.dumps([version, reason]), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
