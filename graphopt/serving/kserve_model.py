"""A model for KServe's Python SDK: ``python -m graphopt.serving.kserve_model --model_dir DIR``."""

from __future__ import annotations

__all__ = ["BinaryDataPlane", "OnnxModel", "main"]

import argparse
import asyncio
import dataclasses
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import kserve
from kserve.constants.constants import INFERENCE_CONTENT_LENGTH_HEADER
from kserve.errors import InvalidInput
from kserve.protocol.dataplane import DataPlane
from kserve.protocol.infer_type import RequestedOutput

from graphopt.errors import GraphoptError
from graphopt.serving.binary_requests import split_request
from graphopt.serving.datatypes import datatype_of_array
from graphopt.serving.served_model import BadRequest, ServedModel
from graphopt.serving.settings import ServingSettings, read_settings


class OnnxModel(kserve.Model):
    """Answers the protocol's requests, over HTTP and gRPC, with binary tensors or without.

    What the model cannot answer is an ``InvalidInput``: 400 over HTTP, INVALID_ARGUMENT over gRPC.

    Args:
        name: The name on the endpoint's path.
        settings: How the session is opened.
    """

    def __init__(self, name: str, settings: ServingSettings) -> None:
        super().__init__(name)
        self._settings = settings
        self._served: ServedModel | None = None

    def load(self) -> bool:
        """Open the session; the model is ready from here on.

        Raises:
            GraphoptError: It cannot be opened.
        """
        self._served = ServedModel(self._settings)
        self.ready = True
        return True

    def stop(self) -> None:
        """Close the session; the model is no longer ready."""
        self.ready, self._served = False, None

    def get_input_types(self) -> list[dict[str, Any]]:
        """What the model takes."""
        return [dataclasses.asdict(spec) for spec in self._opened().inputs]

    def get_output_types(self) -> list[dict[str, Any]]:
        """What the model gives."""
        return [dataclasses.asdict(spec) for spec in self._opened().outputs]

    async def predict(
        self, payload: kserve.InferRequest, headers: dict[str, str] | None = None
    ) -> kserve.InferResponse:
        """The answer to a request. Other requests and health go on while ONNX Runtime works.

        Raises:
            InvalidInput: The model cannot answer it.
        """
        if not isinstance(payload, kserve.InferRequest):
            raise InvalidInput(f"ask /v2/models/{self.name}/infer: the V1 protocol has no tensors")
        served = self._opened()
        wanted = payload.request_outputs or []
        try:
            inputs = {each.name: _array(each) for each in payload.inputs}
            names = [output.name for output in wanted]
            results = await asyncio.to_thread(served.infer, inputs, names)
        except BadRequest as error:
            raise InvalidInput(str(error)) from error
        outputs = [_output(name, array, payload) for name, array in results.items()]
        return kserve.InferResponse(
            payload.id or str(uuid.uuid4()),  # over HTTP KServe takes no answer without one
            self.name,
            outputs,
            use_binary_outputs=payload.use_binary_outputs,
            requested_outputs=wanted or None,
        )

    def _opened(self) -> ServedModel:
        if self._served is None:
            raise kserve.errors.ModelNotReady(self.name)
        return self._served


class BinaryDataPlane(DataPlane):
    """Reads the tensors of a request with bytes from where they lie.

    KServe's own makes a number of Python of each element first, which takes the most of the time of
    a request (``InferRequest.from_bytes`` in 0.21).
    """

    def decode_inference_request(
        self, body: Any, headers: dict[str, str], model_name: str
    ) -> kserve.InferRequest:
        """The request of a body.

        Raises:
            InvalidInput: It is not as the protocol has it.
        """
        length = headers.get(INFERENCE_CONTENT_LENGTH_HEADER)
        if not isinstance(body, bytes) or length is None:
            return super().decode_inference_request(body, headers, model_name)
        try:
            head, parts = split_request(body, int(length))
            if parts is None:
                return super().decode_inference_request(body, headers, model_name)
            return _request(head, parts, model_name)
        except (BadRequest, ValueError, TypeError, KeyError, AttributeError) as error:
            raise InvalidInput(f"the request is not as the protocol has it: {error}") from error


def _request(head: dict[str, Any], parts: list[memoryview], model_name: str) -> kserve.InferRequest:
    inputs = [
        kserve.InferInput(
            tensor["name"], tensor["shape"], tensor["datatype"], parameters=tensor["parameters"]
        )
        for tensor in head["inputs"]
    ]
    outputs = [
        RequestedOutput(output["name"], output.get("parameters"))
        for output in head.get("outputs") or []
    ]
    return kserve.InferRequest(
        model_name,
        inputs,
        head.get("id"),
        raw_inputs=parts,
        parameters=head.get("parameters"),
        request_outputs=outputs or None,
    )


def _array(tensor: kserve.InferInput) -> Any:
    try:
        return tensor.as_numpy()
    except (InvalidInput, ValueError, TypeError) as error:
        raise BadRequest(
            f"input {tensor.name!r} is no {tensor.datatype} of shape {tensor.shape} ({error}): "
            "send as many values as the shape has"
        ) from error


def _output(name: str, array: Any, request: kserve.InferRequest) -> kserve.InferOutput:
    output = kserve.InferOutput(name, list(array.shape), datatype_of_array(array), array)
    if request.from_grpc:
        # Over HTTP KServe packs an array as the request asks for; over gRPC it takes none.
        output.set_data_from_numpy(array, binary_data=request.use_binary_outputs)
    return output


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve one folder, with the options of KServe's own server beside ``--model_dir``."""
    parser = argparse.ArgumentParser(parents=[kserve.model_server.parser])
    parser.add_argument(
        "--model_dir", required=True, type=Path, help='Folder that "graphopt package" wrote.'
    )
    options = parser.parse_args(arguments)
    model = OnnxModel(options.model_name, read_settings(options.model_dir))
    model.load()
    server = kserve.ModelServer()
    server.dataplane = BinaryDataPlane(model_registry=server.registered_models)
    server.start([model])


if __name__ == "__main__":
    try:
        main()
    except GraphoptError as error:
        sys.exit(f"graphopt: error: {error}")
