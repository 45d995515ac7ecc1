"""ONNX Runtime sessions: made one way everywhere, and never quieter than the truth."""

from __future__ import annotations

__all__ = [
    "RuntimeRefused",
    "create_session",
    "error_line",
    "import_onnxruntime",
    "lacks_kernel",
    "lacks_operator",
    "ort_version",
    "printed_reason",
    "run",
]

import contextlib
import io
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from graphopt.errors import EnvironmentFailure, ModelError
from graphopt.passes.choices import PROVIDER
from graphopt.passes.targets import CPU, provider_named

if TYPE_CHECKING:
    import onnx_ir as ir  # slow to import, and a process that measures one model needs it not

Optimization = Literal["disable", "basic", "extended", "all"]

_SMALL_BYTES = "4096"
"""Constants below stay inside the optimized graph that a session writes."""
_NO_KERNEL = "NOT_IMPLEMENTED"
"""How ONNX Runtime's message names a missing kernel."""
_UNKNOWN_OPERATOR = (_NO_KERNEL, "No Op registered", "is not a registered function/op")
"""How its messages name an operator that it does not have."""
_PLACE = re.compile("Load model from .*? failed: ?", re.DOTALL)
"""What its messages say of a file."""


class RuntimeRefused(ModelError):
    """ONNX Runtime cannot load a model, or cannot run it on the given inputs."""


def lacks_kernel(error: RuntimeRefused) -> bool:
    """True where a model has an operator that the execution provider has no kernel for."""
    return _NO_KERNEL in str(error)


def lacks_operator(error: RuntimeRefused) -> bool:
    """True where a model has an operator that ONNX Runtime, as it is, does not have."""
    return any(words in str(error) for words in _UNKNOWN_OPERATOR)


def ort_version() -> str:
    """The version of ONNX Runtime.

    Raises:
        EnvironmentFailure: It is not installed.
    """
    return str(import_onnxruntime(CPU.name).__version__)


def create_session(
    model: ir.Model | str | os.PathLike[str],
    *,
    provider: str = PROVIDER.default,
    threads: int = 1,
    optimization: Optimization = "all",
    library: str | os.PathLike[str] | None = None,
    custom_op_libraries: Sequence[str | os.PathLike[str]] = (),
    provider_options: Mapping[str, str] | None = None,
    session_options: Mapping[str, str] | None = None,
    profile: str | os.PathLike[str] | None = None,
    optimized: str | os.PathLike[str] | None = None,
) -> Any:
    """Open a model in ONNX Runtime.

    Idle threads sleep instead of spinning, so that sessions do not slow each other down. Nothing
    is logged: what matters is raised.

    Args:
        model: A file, which ONNX Runtime opens itself, or a model in memory, which goes through a
            temporary file.
        provider: Execution provider: ``cpu`` or ``cuda``.
        threads: Threads inside an operator; 0 means one for each core.
        optimization: Level of ONNX Runtime's own graph optimization.
        library: Library of kernels to register, such as :func:`graphopt.library_path` gives.
        custom_op_libraries: Libraries of the user's own operators, which are registered first.
        provider_options: Options of the execution provider, by ONNX Runtime's names.
        session_options: Configuration entries of the session, by ONNX Runtime's names.
        profile: How the path of the file begins that the session's ``end_profiling`` writes; None
            profiles nothing.
        optimized: File to write the graph to that really runs, its weights in ``weights`` beside
            it; None writes none.

    Returns:
        An ``onnxruntime.InferenceSession`` that really has the provider.

    Raises:
        UsageError: The provider is not one of those above.
        RuntimeRefused: ONNX Runtime cannot load the model.
        EnvironmentFailure: ONNX Runtime is missing, it refuses the library, or the provider does
            not start.
    """
    if not isinstance(model, str | os.PathLike):
        from graphopt.files import saving

        with saving.temporary(model) as path:
            return create_session(
                path,
                provider=provider,
                threads=threads,
                optimization=optimization,
                library=library,
                custom_op_libraries=custom_op_libraries,
                provider_options=provider_options,
                session_options=session_options,
                profile=profile,
                optimized=optimized,
            )
    name = provider_named(provider).runtime
    runtime = import_onnxruntime(provider)
    if name not in runtime.get_available_providers():
        raise _not_started(name, provider)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # fatal errors alone
    for key, value in {"session.intra_op.allow_spinning": "0", **(session_options or {})}.items():
        options.add_session_config_entry(key, value)
    level = f"ORT_{'DISABLE' if optimization == 'disable' else 'ENABLE'}_"
    level += "ALL" if optimization == "disable" else optimization.upper()
    options.graph_optimization_level = runtime.GraphOptimizationLevel.__members__[level]
    if profile is not None:
        options.enable_profiling = True
        options.profile_file_prefix = os.fspath(profile)
    if optimized is not None:
        options.optimized_model_filepath = os.fspath(optimized)
        # A model whose weights are inline cannot exceed 2 GB.
        prefix = "session.optimized_model_external_initializers_"
        options.add_session_config_entry(f"{prefix}file_name", "weights")
        options.add_session_config_entry(f"{prefix}min_size_in_bytes", _SMALL_BYTES)
    for each in (*custom_op_libraries, *(() if library is None else (library,))):
        _register(runtime, options, each)
    if not _is_text(model):
        raise RuntimeRefused("ONNX Runtime takes no path that is not UTF-8: rename the file")
    providers: list[Any] = [(name, dict(provider_options or {}))]
    if name != CPU.runtime:
        providers.append(CPU.runtime)
    said = io.StringIO()
    try:
        # Where a provider fails, ONNX Runtime prints why, and tries the CPU instead.
        with contextlib.redirect_stdout(said):
            session = runtime.InferenceSession(os.fspath(model), options, providers=providers)
    except Exception as error:  # ONNX Runtime's errors have no base class of their own
        if reason := printed_reason(said.getvalue()):
            raise _not_started(name, provider, reason) from error
        raise RuntimeRefused(
            f"ONNX Runtime {runtime.__version__} cannot load {Path(model).name}: "
            f"{error_line(error)}"
        ) from error
    if session.get_providers()[0] != name:
        reason = printed_reason(said.getvalue()) or _missing_library(runtime)
        raise _not_started(name, provider, reason)
    session.disable_fallback()  # else a call that fails is repeated on the CPU
    return session


def run(session: Any, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Run a session once on one array for each input, and return its outputs by name.

    Raises:
        RuntimeRefused: The inputs do not fit, or a kernel failed.
    """
    names = [value.name for value in session.get_outputs()]
    try:
        return dict(zip(names, session.run(names, dict(inputs)), strict=True))
    except Exception as error:  # ONNX Runtime's errors have no base class of their own
        raise RuntimeRefused(f"ONNX Runtime cannot run the model: {error_line(error)}") from error


def import_onnxruntime(provider: str) -> Any:
    """The module, with the libraries that a provider needs.

    Raises:
        EnvironmentFailure: It is not installed.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise EnvironmentFailure(
            f"ONNX Runtime cannot be imported ({error}): "
            f'pip install "graphopt[{provider_named(provider).extra}]"'
        ) from error
    if provider_named(provider).is_device and hasattr(onnxruntime, "preload_dlls"):  # since 1.21
        # CUDA and cuDNN from pip are in folders where no linker looks. It prints what it misses.
        with contextlib.redirect_stdout(io.StringIO()):
            onnxruntime.preload_dlls()
    return onnxruntime


def _is_text(path: str | os.PathLike[str]) -> bool:
    try:
        os.fspath(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def _register(runtime: Any, options: Any, library: str | os.PathLike[str]) -> None:
    try:
        options.register_custom_ops_library(str(Path(library).absolute()))
    except Exception as error:  # ONNX Runtime's errors have no base class of their own
        raise EnvironmentFailure(
            f"ONNX Runtime {runtime.__version__} refuses the kernels of {os.fspath(library)}: "
            f"{error_line(error)}: build them again, on this machine (those of graphopt by "
            '"python -m graphopt.native.build")'
        ) from error


def _not_started(name: str, provider: str, reason: str = "") -> EnvironmentFailure:
    return EnvironmentFailure(
        f"{name} does not start in ONNX Runtime {ort_version()}{f' ({reason})' if reason else ''}: "
        f'install "graphopt[{provider_named(provider).extra}]" and the CUDA and cuDNN libraries '
        "it was built for, such as those of onnxruntime-gpu[cuda,cudnn]"
    )


def printed_reason(said: str) -> str:
    """Why a provider failed, out of "EP Error REASON when using [PROVIDERS]"; else ""."""
    reason, found, _ = said.partition("\nEP Error ")[2].rpartition(" when using ")
    return _last_line(reason) if found else ""


def _missing_library(runtime: Any) -> str:
    """Why the library of the CUDA provider cannot be loaded, which ONNX Runtime only logs."""
    library = Path(runtime.__file__).parent / "capi" / "libonnxruntime_providers_cuda.so"
    if not library.is_file():
        return ""
    # In a process of its own: loaded outside of a session, it may not end well.
    code = (
        "import ctypes, sys; from graphopt.runtime.sessions import import_onnxruntime; "
        "import_onnxruntime('cuda'); ctypes.CDLL(sys.argv[1])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(library)], capture_output=True, text=True, check=False
    )
    return _last_line(done.stderr).removeprefix("OSError: ") if done.returncode == 1 else ""


def error_line(error: Exception) -> str:
    """The lines of a message of ONNX Runtime that say what is wrong, as one.

    Of several lines the first has the code, and the last says what it is about; general advice
    ("Please fix either the inputs/outputs or the model.") is neither, nor is the place of a file,
    which may be a temporary one and is known to who reads.
    """
    text = _PLACE.sub("", str(error))
    lines = [line.strip() for line in text.splitlines()]
    telling = [line for line in lines if line and not line.startswith("Please ")]
    if not telling:
        return type(error).__name__
    is_parted = len(telling) > 1 and telling[0].startswith("[ONNXRuntimeError]")
    return f"{telling[0]} {telling[-1]}" if is_parted else telling[-1]


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")
