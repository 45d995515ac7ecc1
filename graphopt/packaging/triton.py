"""A model repository for ``tritonserver --model-repository``, with one model in it.

How Triton reads it: src/onnxruntime.cc of triton-inference-server/onnxruntime_backend, and
src/model_config_utils.cc and src/backend_model_instance.cc of triton-inference-server/core. The
path of a library is handed to the linker as it stands, so it must be absolute, or be found from the
folder that the server was started in.
"""

from __future__ import annotations

__all__ = ["needs", "write"]

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import numpy as np

from graphopt.errors import UsageError
from graphopt.golden import Golden, Request, load_golden
from graphopt.packaging.batching import check_batching
from graphopt.packaging.contents import copy_golden, copy_libraries, copy_model
from graphopt.packaging.formats import Package
from graphopt.packaging.text_format import Message, write_text
from graphopt.packaging.triton_config import CONFIG_FILE, model_config
from graphopt.packaging.triton_options import TritonOptions
from graphopt.packaging.triton_releases import least_release
from graphopt.runtime.session_process import SessionProcess

_WARMUP = "warmup"
_MODEL = "model.onnx"
"""The name that the backend looks for."""


def write(package: Package, folder: Path) -> None:
    """Fill an empty folder: NAME/config.pbtxt, NAME/VERSION/model.onnx, libraries, golden pair.

    Raises:
        UsageError: Triton cannot serve the model, or not as the options say.
        GraphoptError: The files of the model cannot lie in one folder.
        OSError: The disk is full, or writing is not permitted.
    """
    options = package.triton
    _check(package.name, options)
    golden = load_golden(package.golden)
    request = golden.requests[0]
    warmup = _warmup_files(request) if options.warmup else {}
    try:
        config = _config(package, golden, warmup)
    except UsageError as error:
        raise UsageError(f"{package.path}: {error}") from error
    home = folder / package.name
    version = home / str(options.version)
    version.mkdir(parents=True)
    copy_model(package, version / _MODEL)
    copy_libraries(package, home)
    copy_golden(package, home)
    _write_warmup(home, warmup, request, batched=options.max_batch_size > 0)
    text = f"# Written by graphopt. {needs(package)}.\n{write_text(config)}"
    (home / CONFIG_FILE).write_text(text, encoding="utf-8")


def needs(package: Package) -> str:
    """The releases of Triton that read the model, in words."""
    opset, ir = package.model.opset_imports.get("", 1), package.model.ir_version
    release = least_release(opset, ir)
    what = f"opset {opset} and IR version {ir}"
    if release is None:
        return f"No release of Triton that graphopt knows reads {what}"
    return f"Triton {release.triton} or newer (ONNX Runtime {release.runtime}) reads {what}"


def _check(name: str, options: TritonOptions) -> None:
    """Raise where options contradict each other or cannot be written."""
    if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*", name):
        raise UsageError(
            f"--name {name!r}: for Triton give letters, digits and _.- alone, and no dot first"
        )
    if options.dynamic_batching and not options.max_batch_size:
        raise UsageError("--dynamic-batching joins requests to a batch: give --max-batch-size")
    path = PurePosixPath(options.repository)
    if not path.is_absolute() or ".." in path.parts:
        raise UsageError(
            f"--repository {options.repository!r}: give the absolute path that the server sees, "
            "such as /models"
        )


def _config(package: Package, golden: Golden, warmup: Mapping[str, str]) -> Message:
    """The configuration of a model that was seen to give the same in batches, where it has them."""
    options, settings = package.triton, package.settings
    with SessionProcess() as process:
        opened = process.open(
            package.path, provider=settings.provider, custom_op_libraries=package.libraries
        )
        request = golden.requests[0]
        config = model_config(package.name, opened, settings, options, warmup, request)
        if options.max_batch_size:
            check_batching(process, golden, options.max_batch_size)
    return config


def _warmup_files(request: Request) -> dict[str, str]:
    return {name: f"input_{number}" for number, name in enumerate(request.inputs)}


def _write_warmup(home: Path, files: Mapping[str, str], request: Request, *, batched: bool) -> None:
    """Write each input as plain bytes, little-endian; of a batch the first row."""
    if files:
        (home / _WARMUP).mkdir()
    for name, file in files.items():
        array = request.inputs[name][:1] if batched else request.inputs[name]
        little = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<")))
        (home / _WARMUP / file).write_bytes(little.tobytes())
