"""Makes the float16 form of a model that is benchmarked in float16.

The converter is that of ``onnxruntime.transformers``: it comes with ONNX Runtime, is kept in step
with it, and knows which operators must stay in float32.
"""

from __future__ import annotations

__all__ = ["convert_to_float16", "fit_precision", "weight_type"]

import collections
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx_ir as ir

from graphopt.errors import EnvironmentFailure, ModelError
from graphopt.runtime.sessions import ort_version


def weight_type(model: ir.Model) -> str:
    """The type that most bytes of the floating-point weights have, for example ``float32``."""
    sizes: collections.Counter[str] = collections.Counter()
    for value in model.graph.initializers.values():
        tensor = value.const_value
        if tensor is not None and tensor.dtype.is_floating_point():
            sizes[str(tensor.dtype.numpy())] += tensor.nbytes
    return sizes.most_common(1)[0][0] if sizes else "float32"


def convert_to_float16(source: Path, target: Path) -> str:
    """Writes the float16 form of ``source``, inputs and outputs included.

    Returns:
        What made it.

    Raises:
        EnvironmentFailure: The converter cannot be imported.
        ModelError: The converter does not take the model.
    """
    import onnx

    try:
        from onnxruntime.transformers.float16 import convert_float_to_float16
    except ImportError as error:
        raise EnvironmentFailure(
            f"the float16 converter of onnxruntime.transformers cannot be imported ({error}): "
            'pip install "graphopt[bench]"'
        ) from error
    model = onnx.load(source)
    try:
        # Shape inference would write models above 2 GB, and no decision of the converter needs it.
        converted = convert_float_to_float16(model, disable_shape_infer=True)
    except Exception as error:  # the converter's errors have no base class
        raise ModelError(
            f"{source.name}: cannot be converted to float16 ({error}): leave float16 out of --dtype"
        ) from error
    onnx.save(converted, target, save_as_external_data=True, location=f"{target.name}.data")
    return f"float16 by onnxruntime.transformers {ort_version()}"


def fit_precision(inputs: Mapping[str, np.ndarray], model: ir.Model) -> dict[str, np.ndarray]:
    """Float32 in float16 where the float16 form of a model declares it."""
    halves = {value.name for value in model.graph.inputs if value.dtype == ir.DataType.FLOAT16}
    return {
        name: array.astype(np.float16) if name in halves and array.dtype == np.float32 else array
        for name, array in inputs.items()
    }
