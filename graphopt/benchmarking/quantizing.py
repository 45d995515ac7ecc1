"""Quantizes models with ONNX Runtime's quantizers, in a process of its own.

A quantizer reads a whole model into memory, and writes beside the file that it reads: it is given
a copy. Both quantizers choose a scale for each column of a weight, or for a part of one. Then it
costs no digits that graphopt folds factors into columns (LayerScale, the scale of attention
scores): with one scale for a whole weight it would, where that weight has other columns too.
"""

from __future__ import annotations

__all__ = ["quantize", "write_quantized"]

import dataclasses
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from graphopt.errors import EnvironmentFailure
from graphopt.files.loading import load, source_of
from graphopt.files.saving import save
from graphopt.runtime.own_process import ProcessFailed, run_module, serve
from graphopt.runtime.sessions import import_onnxruntime, ort_version

_SECONDS = 900.0
_BLOCK = 32
_LARGEST_INLINE_BYTES = 1_500_000_000  # a protobuf message cannot exceed 2 GB


@dataclasses.dataclass(frozen=True)
class _Quantizer:
    """A way to quantize.

    Attributes:
        module: The module of ONNX Runtime that it needs.
        how: What it is called with, in words.
        write: Reads the first path, writes the second; the third is True where its weights are to
            be in a file of their own.
    """

    module: str
    how: str
    write: Callable[[str, str, bool], None]


def _dynamic(source: str, target: str, external: bool) -> None:
    quantization: Any = importlib.import_module("onnxruntime.quantization")
    # Seven bits: without VNNI a processor adds two products of eight bits in 16, which saturates.
    quantization.quantize_dynamic(
        source, target, per_channel=True, reduce_range=True, use_external_data_format=external
    )


def _matmul4(source: str, target: str, external: bool) -> None:
    import onnx

    nbits: Any = importlib.import_module("onnxruntime.quantization.matmul_nbits_quantizer")
    onnx_model: Any = importlib.import_module("onnxruntime.quantization.onnx_model")
    model = onnx_model.ONNXModel(onnx.load(source))
    model.replace_gemm_with_matmul()  # it quantizes no Gemm
    quantizer = nbits.MatMulNBitsQuantizer(model.model, block_size=_BLOCK)
    quantizer.process()
    quantizer.model.save_model_to_file(target, external)


_QUANTIZERS = {
    "dynamic": _Quantizer(
        "onnxruntime.quantization",
        "quantize_dynamic (8 bits; per_channel, reduce_range)",
        _dynamic,
    ),
    "matmul4": _Quantizer(
        "onnxruntime.quantization.matmul_nbits_quantizer",
        f"MatMulNBitsQuantizer (4 bits, blocks of {_BLOCK})",
        _matmul4,
    ),
}


def quantize(name: str, source: Path, target: Path) -> str:
    """Writes the quantized form of a model; ``source`` and its folder are not touched.

    Args:
        name: ``dynamic`` or ``matmul4``.
        source: The model to read.
        target: The model to write, in a directory of its own.

    Returns:
        What made it.

    Raises:
        ProcessFailed: The quantizer is missing, which is an EnvironmentFailure by its ``kind``; or
            it failed.
    """
    arguments = {"quantizer": name, "source": str(source), "target": str(target)}
    run_module("graphopt.benchmarking.quantizing", arguments, seconds=_SECONDS)
    if not target.is_file():
        raise ProcessFailed("it wrote no model")
    return f"onnxruntime {ort_version()}, {_QUANTIZERS[name].how}"


def write_quantized(name: str, source: Path, target: Path) -> None:
    """What :func:`quantize` does, in this process.

    Raises:
        EnvironmentFailure: The quantizer cannot be imported.
        ModelError: The source cannot be read.
    """
    quantizer = _QUANTIZERS[name]
    import_onnxruntime("cpu")
    try:
        importlib.import_module(quantizer.module)
    except ImportError as error:
        raise EnvironmentFailure(
            f"--quantize {name}: {quantizer.module} of ONNX Runtime {ort_version()} cannot be "
            f'imported ({error}): pip install "graphopt[bench]", with ONNX Runtime 1.22 or newer'
        ) from error
    copy = target.with_name(f"copy.{target.name}")
    save(load(source), copy)
    copied = source_of(load(copy))
    assert copied is not None
    external = bool(copied.data_files) or copied.size > _LARGEST_INLINE_BYTES
    quantizer.write(str(copy), str(target), external)
    for file in (copy, *copied.data_files):
        file.unlink()


def _answer(request: dict[str, Any]) -> None:
    write_quantized(request["quantizer"], Path(request["source"]), Path(request["target"]))


if __name__ == "__main__":
    serve(_answer)
