"""The ``config.pbtxt`` of a model in Triton's repository."""

from __future__ import annotations

__all__ = ["CONFIG_FILE", "RUNTIME_OPTIONS", "model_config"]

from collections.abc import Mapping, Sequence
from typing import Any

from graphopt.errors import UsageError
from graphopt.golden import Request
from graphopt.packaging.text_format import Message, Word
from graphopt.packaging.triton_options import GRAPH_LEVELS, TritonOptions
from graphopt.packaging.triton_tensors import tensor_message
from graphopt.passes.targets import provider_named
from graphopt.runtime.session_process import Opened
from graphopt.serving.settings import ServingSettings

CONFIG_FILE = "config.pbtxt"
"""Name of the file in the folder of a model."""

RUNTIME_OPTIONS = ("session.use_device_allocator_for_initializers",)
"""The configuration entries of a session that Triton hands on to ONNX Runtime."""


def model_config(
    name: str,
    opened: Opened,
    settings: ServingSettings,
    options: TritonOptions,
    warmup: Mapping[str, str],
    request: Request,
) -> Message:
    """The configuration of a model: Triton's message ``ModelConfig``.

    Args:
        name: What Triton calls the model.
        opened: What ONNX Runtime says of it.
        settings: How it is opened.
        options: How Triton runs it.
        warmup: The file of each input's bytes that the server warms up with; none for no warm-up.
        request: Whose first row, or all of it where Triton has no batches, those bytes are.

    Raises:
        UsageError: Triton cannot serve this model, or not so.
    """
    batched = options.max_batch_size > 0
    config: dict[str, Any] = {
        "name": name,
        "backend": "onnxruntime",
        "max_batch_size": options.max_batch_size,
        "input": [tensor_message(each, batched=batched) for each in opened.takes],
        "output": [tensor_message(each, batched=batched) for each in opened.gives],
        "instance_group": [_instances(settings.provider, options.instances)],
        "optimization": {"graph": {"level": GRAPH_LEVELS[options.graph_level]}},
        "parameters": _parameters(settings),
    }
    if options.dynamic_batching:
        config["dynamic_batching"] = {}
    if warmup:
        config["model_warmup"] = _warmups(config["input"], options, warmup, request)
    libraries = [*settings.custom_op_libraries, *([settings.library] if settings.library else [])]
    if libraries:
        folder = f"{options.repository.rstrip('/')}/{name}"
        files = [f"{folder}/{library}" for library in libraries]
        config["model_operations"] = {"op_library_filename": files}
    return config


def _instances(provider: str, count: int) -> Message:
    kind = "KIND_GPU" if provider_named(provider).is_device else "KIND_CPU"
    return {"count": count, "kind": Word(kind)}


def _parameters(settings: ServingSettings) -> list[Message]:
    """Threads as elsewhere: none between operators, and 0 within them is one for each core."""
    refused = next((key for key in settings.session_options if key not in RUNTIME_OPTIONS), None)
    if refused is not None:
        raise UsageError(
            f"--session-option {refused}: Triton hands on {', '.join(RUNTIME_OPTIONS)} alone: "
            "leave it out"
        )
    values = {
        "intra_op_thread_count": str(settings.threads),
        "inter_op_thread_count": "1",
        "execution_mode": "0",
        **settings.session_options,
    }
    return [{"key": key, "value": {"string_value": value}} for key, value in values.items()]


def _warmups(
    inputs: Sequence[Message], options: TritonOptions, files: Mapping[str, str], request: Request
) -> list[Message]:
    """One request, and with batches as many at once as go into the largest one."""
    types = {each["name"]: each["data_type"] for each in inputs}
    entries: list[Message] = []
    for name, file in files.items():
        shape = request.inputs[name].shape
        sizes = list(shape[1:] if options.max_batch_size else shape) or [1]
        value: Message = {"data_type": types[name], "dims": sizes, "input_data_file": file}
        entries.append({"key": name, "value": value})
    rows = dict.fromkeys((1, max(1, options.max_batch_size)))
    return [
        {"name": f"golden_{count}", "batch_size": count, "inputs": entries, "count": 1}
        for count in rows
    ]
