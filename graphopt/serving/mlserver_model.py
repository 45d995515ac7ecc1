"""A model for MLServer: ``"implementation": "graphopt.serving.mlserver_model.OnnxModel"``."""

from __future__ import annotations

__all__ = ["OnnxModel"]

import asyncio
from pathlib import Path
from typing import Any

from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.errors import InferenceError
from mlserver.types import (
    InferenceRequest,
    InferenceResponse,
    MetadataTensor,
    RequestInput,
    ResponseOutput,
)
from mlserver.utils import get_model_uri

from graphopt.serving.datatypes import datatype_of_array
from graphopt.serving.served_model import BadRequest, ServedModel, TensorSpec
from graphopt.serving.settings import settings_from


class OnnxModel(MLModel):
    """Answers the protocol's requests, over HTTP and gRPC.

    ``parameters.uri`` is the model's file, ``parameters.extra`` has the other settings. What the
    model cannot answer is an ``InferenceError``: 400 over HTTP, INVALID_ARGUMENT over gRPC.
    """

    _served: ServedModel | None = None

    async def load(self) -> bool:
        """Open the session, and take names, types and shapes from it.

        Raises:
            GraphoptError: It cannot be opened.
        """
        path = Path(await get_model_uri(self.settings)).absolute()
        extra = dict(self.settings.parameters.extra or {})
        where = f"model {self.name!r}, parameters.extra"
        settings = settings_from({**extra, "model": path.name}, path.parent, where)
        served = await asyncio.to_thread(ServedModel, settings)
        self.inputs = [_metadata(spec) for spec in served.inputs]
        self.outputs = [_metadata(spec) for spec in served.outputs]
        self._served = served
        return True

    async def unload(self) -> bool:
        """Close the session."""
        self._served = None
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """The answer to a request. Other requests and health go on while ONNX Runtime works.

        Raises:
            InferenceError: The model cannot answer it.
        """
        if self._served is None:
            raise InferenceError(f"model {self.name!r} is not loaded")
        try:
            inputs = {each.name: _array(each) for each in payload.inputs}
            names = [output.name for output in payload.outputs or []]
            results = await asyncio.to_thread(self._served.infer, inputs, names)
        except BadRequest as error:
            raise InferenceError(str(error)) from error
        outputs = [_output(name, array) for name, array in results.items()]
        return InferenceResponse(model_name=self.name, model_version=self.version, outputs=outputs)


def _metadata(spec: TensorSpec) -> MetadataTensor:
    return MetadataTensor(name=spec.name, datatype=spec.datatype, shape=list(spec.shape))


def _array(tensor: RequestInput) -> Any:
    try:
        return NumpyCodec.decode_input(tensor)
    except (ValueError, TypeError, KeyError) as error:
        raise BadRequest(
            f"input {tensor.name!r} is no {tensor.datatype} of shape {tensor.shape} ({error}): "
            "send as many values as the shape has"
        ) from error


def _output(name: str, array: Any) -> ResponseOutput:
    """A tensor with its own shape: MLServer's codec would give a vector a second axis."""
    data = NumpyCodec.encode_output(name, array).data
    return ResponseOutput(
        name=name, datatype=datatype_of_array(array), shape=list(array.shape), data=data
    )
