"""What other tools do to an optimized file, each as a function from a file to a file.

python later_tools.py TOOL SOURCE.onnx TARGET.onnx runs one where graphopt is not installed.
"""

from __future__ import annotations

__all__ = ["TOOLS", "Tool"]

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path

import onnx

CPU = ["CPUExecutionProvider"]


@dataclasses.dataclass(frozen=True)
class Tool:
    """A later tool.

    Attributes:
        run: Reads the first file and writes the second.
        tolerance: Largest error of an output, relative to its largest element.
        requirements: What pip is given for an environment of its own; none where it is there.
    """

    run: Callable[[Path, Path], None]
    tolerance: float
    requirements: tuple[str, ...] = ()


def _session(source: Path, target: Path, library: Path | None = None) -> None:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.optimized_model_filepath = str(target)
    if library is not None:
        options.register_custom_ops_library(str(library))
    onnxruntime.InferenceSession(source, options, providers=CPU)


def _session_with_library(source: Path, target: Path) -> None:
    from graphopt.runtime.library import library_path

    _session(source, target, library_path())


def _convert_version(source: Path, target: Path) -> None:
    from onnx.version_converter import convert_version

    onnx.save(convert_version(onnx.load(source), 21), target)


def _quantize_dynamic(source: Path, target: Path) -> None:
    from onnxruntime.quantization import quantize_dynamic

    quantize_dynamic(source, target, per_channel=True, reduce_range=True)


def _quantize_matmul(source: Path, target: Path) -> None:
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

    quantizer = MatMulNBitsQuantizer(onnx.load(source), bits=8, block_size=16)
    quantizer.process()
    quantizer.model.save_model_to_file(str(target))


def _quantize_static(source: Path, target: Path) -> None:
    import numpy as np
    from onnxruntime.quantization import CalibrationDataReader, quantize_static

    from graphopt.inputs import generate_inputs

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # it has no stubs
        def __init__(self) -> None:
            self.left = [generate_inputs(source, seed=seed).arrays for seed in range(4)]

        def get_next(self) -> dict[str, np.ndarray] | None:
            return self.left.pop() if self.left else None

    quantize_static(source, target, Reader(), per_channel=True, reduce_range=True)


def _to_float16(source: Path, target: Path) -> None:
    from onnxruntime.transformers.float16 import convert_float_to_float16

    onnx.save(convert_float_to_float16(onnx.load(source), keep_io_types=True), target)


def _to_float16_common(source: Path, target: Path) -> None:
    from onnxconverter_common.float16 import convert_float_to_float16

    onnx.save(convert_float_to_float16(onnx.load(source), keep_io_types=True), target)


def _slim(source: Path, target: Path) -> None:
    import onnxslim

    onnx.save(onnxslim.slim(onnx.load(source)), target)


def _simplify(source: Path, target: Path) -> None:
    import onnxsim

    simplified, is_right = onnxsim.simplify(onnx.load(source))
    assert is_right
    onnx.save(simplified, target)


def _transformers(source: Path, target: Path) -> None:
    from onnxruntime.transformers.optimizer import optimize_model

    made = optimize_model(str(source), model_type="bert", opt_level=0, use_gpu=False)
    made.save_model_to_file(str(target))


_COMMON = ("onnxconverter-common==1.16.0", "onnx==1.20.1", "numpy==2.4.6")
_SIMPLIFIER = ("onnxsim==0.8.1", "onnx==1.20.1", "numpy==2.4.6")
TOOLS = {
    "ONNX Runtime, optimized_model_filepath": Tool(_session, 1e-5),
    "the same with the library registered": Tool(_session_with_library, 1e-5),
    "onnx.version_converter": Tool(_convert_version, 1e-5),
    "quantize_dynamic": Tool(_quantize_dynamic, 0.3),
    "quantize_static": Tool(_quantize_static, 0.6),
    "MatMulNBitsQuantizer": Tool(_quantize_matmul, 0.1),
    "onnxruntime.transformers.float16": Tool(_to_float16, 2e-2),
    "onnxruntime.transformers.optimizer": Tool(_transformers, 1e-5),
    "onnxconverter_common.float16": Tool(_to_float16_common, 2e-2, _COMMON),
    "onnxslim": Tool(_slim, 1e-5),
    "onnxsim": Tool(_simplify, 1e-5, _SIMPLIFIER),
}

if __name__ == "__main__":
    TOOLS[sys.argv[1]].run(Path(sys.argv[2]), Path(sys.argv[3]))
