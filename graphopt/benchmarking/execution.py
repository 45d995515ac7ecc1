"""How a model is run when it is timed: a session, its inputs in place, and the call."""

from __future__ import annotations

__all__ = ["Execution", "bind", "check_start", "choose_execution", "open_model"]

import dataclasses
import importlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from graphopt.benchmarking.settings import Settings
from graphopt.errors import EnvironmentFailure
from graphopt.measuring.rounds import Call
from graphopt.passes.choices import PROVIDER
from graphopt.passes.targets import provider_named
from graphopt.runtime.library import library_path
from graphopt.runtime.sessions import create_session

# Key and value with which a run neither captures nor replays a CUDA graph.
_NO_CUDA_GRAPH = ("gpu_graph_id", "-1")
_NOTHING = '<ir_version: 8, opset_import: ["" : 17]> g (float[1] x) => (float[1] y) {y = Neg(x)}'


@dataclasses.dataclass(frozen=True)
class Execution:
    """What a session is opened with.

    Attributes:
        provider: Execution provider.
        threads: Intra-op threads; 0 means one for each core.
        library: Library of kernels to register, or None.
        custom_op_libraries: Libraries of the user's own operators.
        cuda_graph: Replay a CUDA graph; right only where every node runs on CUDA.
        tf32: CUDA may multiply float32 in TF32.
    """

    provider: str = PROVIDER.default
    threads: int = 1
    library: Path | None = None
    custom_op_libraries: tuple[str, ...] = ()
    cuda_graph: bool = False
    tf32: bool = True

    @property
    def is_device(self) -> bool:
        """True where tensors lie in memory of the provider's own."""
        return provider_named(self.provider).is_device

    @property
    def provider_options(self) -> dict[str, str]:
        """Options of the execution provider, by ONNX Runtime's names."""
        if not self.is_device:
            return {}
        # By default each arena doubles when it grows; here models lie on the device side by side.
        options = {
            "use_tf32": "1" if self.tf32 else "0",
            "arena_extend_strategy": "kSameAsRequested",
        }
        if self.cuda_graph:
            options["enable_cuda_graph"] = "1"
        return options


def choose_execution(provider: str, settings: Settings) -> tuple[Execution, list[str]]:
    """How to run on a provider, and what a reader should be told of it.

    Raises:
        EnvironmentFailure: The kernel library is asked for, and was not built.
    """
    library, notes = None, []
    if settings.library is not False:
        try:
            library = library_path(provider)
        except EnvironmentFailure as error:
            if settings.library:
                raise
            notes.append(f"{error}; until then graphopt's operators run as ONNX's")
    execution = Execution(
        provider=provider,
        library=library,
        custom_op_libraries=tuple(os.fspath(each) for each in settings.custom_op_libraries),
        cuda_graph=settings.cuda_graph and provider_named(provider).is_device,
        tf32=settings.tf32,
    )
    return execution, notes


def check_start(execution: Execution) -> None:
    """Open a session of next to nothing.

    Raises:
        EnvironmentFailure: ONNX Runtime is missing, the provider does not start, or a library is
            refused.
    """
    import onnx_ir as ir  # a process that measures one model needs it not

    create_session(
        ir.from_onnx_text(_NOTHING),
        provider=execution.provider,
        library=execution.library,
        custom_op_libraries=execution.custom_op_libraries,
        provider_options=execution.provider_options,
    )


def open_model(path: Path, inputs: Mapping[str, np.ndarray], execution: Execution) -> Call:
    """Opens a session and returns what runs it once on ``inputs``.

    On CUDA, inputs and outputs stay on the device, and a call returns when the device is done.

    Raises:
        RuntimeRefused: ONNX Runtime cannot load the model.
        EnvironmentFailure: ONNX Runtime is missing, or the provider does not start.
    """
    session = create_session(
        path,
        provider=execution.provider,
        threads=execution.threads,
        library=execution.library,
        custom_op_libraries=execution.custom_op_libraries,
        provider_options=execution.provider_options,
    )
    if not execution.is_device:
        feeds = dict(inputs)
        return lambda: session.run(None, feeds)
    binding = bind(session, inputs, execution.provider)

    def call() -> None:
        session.run_with_iobinding(binding)
        binding.synchronize_outputs()

    return call


def bind(session: Any, inputs: Mapping[str, np.ndarray], device: str) -> Any:
    """Inputs and outputs in fixed places on the device, after a first run.

    The sizes of the outputs are found by one run that lets ONNX Runtime allocate them. A CUDA graph
    holds the addresses of its first capture, so that run must capture none.
    """
    runtime: Any = importlib.import_module("onnxruntime")
    binding = session.io_binding()
    for name, array in inputs.items():
        value = runtime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array), device, 0)
        binding.bind_ortvalue_input(name, value)
    names = [output.name for output in session.get_outputs()]
    for name in names:
        binding.bind_output(name, device, 0)
    options = runtime.RunOptions()
    options.add_run_config_entry(*_NO_CUDA_GRAPH)
    session.run_with_iobinding(binding, options)
    binding.synchronize_outputs()
    for name, value in zip(names, binding.get_outputs(), strict=True):
        binding.bind_ortvalue_output(name, value)
    return binding
