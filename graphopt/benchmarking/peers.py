"""What a user would pick instead: other optimizers, each run in a process of its own.

Plain ONNX Runtime is no entry here. Every session of a benchmark has all of its optimizations, so
the original model *is* that peer.
"""

from __future__ import annotations

__all__ = ["PEERS", "Peer", "run_peer"]

import dataclasses
import importlib
import importlib.metadata
from collections.abc import Callable
from pathlib import Path
from typing import Any

from graphopt.passes.targets import provider_named
from graphopt.runtime.own_process import ProcessFailed, run_module, serve
from graphopt.runtime.sessions import import_onnxruntime, ort_version

_SECONDS = 900.0


@dataclasses.dataclass(frozen=True)
class Peer:
    """Another optimizer.

    Attributes:
        name: Name in the rows.
        package: Distribution that it is part of.
        optimize: Reads the first path, writes the second; the third is an execution provider, the
            fourth a model type of ``onnxruntime.transformers``.
    """

    name: str
    package: str
    optimize: Callable[[str, str, str, str], None]

    @property
    def source(self) -> str:
        """The package with its version.

        Raises:
            PackageNotFoundError: It is not installed.
        """
        if self.package == "onnxruntime":  # one module of several distributions
            return f"{self.package} {ort_version()}"
        return f"{self.package} {importlib.metadata.version(self.package)}"


def _transformers(source: str, target: str, provider: str, model_type: str) -> None:
    import_onnxruntime(provider)  # with the libraries that CUDA needs, where pip installed them
    from onnxruntime.transformers.optimizer import MODEL_TYPES, optimize_model

    if model_type not in MODEL_TYPES:  # it would return the model as it is
        raise ValueError(
            f"no model type {model_type!r}: there are {', '.join(sorted(MODEL_TYPES))}"
        )
    is_gpu = provider_named(provider).is_device
    model = optimize_model(source, model_type=model_type, use_gpu=is_gpu)
    model.save_model_to_file(target, use_external_data_format=True)


def _onnxslim(source: str, target: str, provider: str, model_type: str) -> None:
    importlib.import_module("onnxslim").slim(source, target, save_as_external_data=True)


def _onnxscript(source: str, target: str, provider: str, model_type: str) -> None:
    import onnx_ir as ir
    from onnxscript.rewriter.ort_fusions import optimize_for_ort

    model, _ = optimize_for_ort(ir.load(source))
    ir.save(model, target, external_data=f"{Path(target).name}.data")


PEERS = (
    Peer("ort-transformers", "onnxruntime", _transformers),
    Peer("onnxslim", "onnxslim", _onnxslim),
    Peer("optimize_for_ort", "onnxscript", _onnxscript),
)


def run_peer(peer: Peer, source: Path, target: Path, *, provider: str, model_type: str) -> None:
    """Optimizes a file with a peer.

    Args:
        peer: The optimizer.
        source: The model to read.
        target: The model to write, in a directory of its own.
        provider: Execution provider.
        model_type: What ``onnxruntime.transformers`` is told that the model is.

    Raises:
        ProcessFailed: The package is missing, or the optimizer failed.
    """
    try:
        _ = peer.source
    except importlib.metadata.PackageNotFoundError as error:
        raise ProcessFailed(
            f'{peer.package} is not installed: pip install "graphopt[bench]"'
        ) from error
    arguments = {
        "peer": peer.name,
        "source": str(source),
        "target": str(target),
        "provider": provider,
        "model_type": model_type,
    }
    run_module("graphopt.benchmarking.peers", arguments, seconds=_SECONDS)
    if not target.is_file():
        raise ProcessFailed("it wrote no model")


def _answer(request: dict[str, Any]) -> None:
    (peer,) = (peer for peer in PEERS if peer.name == request["peer"])
    peer.optimize(request["source"], request["target"], request["provider"], request["model_type"])


if __name__ == "__main__":
    serve(_answer)
