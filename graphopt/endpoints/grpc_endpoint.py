"""An endpoint over gRPC, by tritonclient: tensors are bytes."""

from __future__ import annotations

__all__ = ["GrpcEndpoint"]

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from graphopt.endpoints import refusals
from graphopt.endpoints.address import Address
from graphopt.endpoints.endpoint import Answer, Array, Tensor, Tensors
from graphopt.endpoints.packing import inputs_of, outputs_of
from graphopt.errors import UsageError

Result = TypeVar("Result")


class GrpcEndpoint:
    """One channel.

    Args:
        address: Where the server is.
        model: The model's name on it.
        timeout: Seconds that a request may take.

    Raises:
        EnvironmentFailure: tritonclient is missing.
    """

    def __init__(self, address: Address, model: str, timeout: float) -> None:
        try:
            from tritonclient import grpc
        except ImportError as error:
            raise refusals.no_client(error) from error
        self.url, self.model = address.url, model
        self._grpc, self._timeout = grpc, timeout
        self._client: Any = grpc.InferenceServerClient(address.place, ssl=address.is_secure)

    def describe(self) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """The inputs and the outputs of the model; see :class:`Endpoint`."""
        try:
            found = self._asked(
                lambda: self._client.get_model_metadata(self.model, client_timeout=self._timeout)
            )
        except refusals.RequestRefused as error:
            if error.status.endswith(("NOT_FOUND", "INVALID_ARGUMENT")):
                raise refusals.unknown_model(self.url, self.model, error.reason) from error
            raise
        return _tensors(found.inputs), _tensors(found.outputs)

    def infer(
        self, inputs: Mapping[str, Array], outputs: Sequence[str], tensors: Tensors
    ) -> Answer:
        """Send one request; see :class:`Endpoint`.

        Raises:
            UsageError: JSON is asked for, which gRPC has not.
        """
        if tensors == "json":
            raise UsageError(f"{self.url}: gRPC has no JSON: leave out --tensors json")
        begin = time.perf_counter()
        sent = inputs_of(self._grpc.InferInput, inputs)
        wanted = [self._grpc.InferRequestedOutput(name) for name in outputs]
        result = self._asked(
            lambda: self._client.infer(
                self.model, sent, outputs=wanted, client_timeout=self._timeout
            )
        )
        arrays = outputs_of(self.url, result, outputs)
        return Answer(arrays, time.perf_counter() - begin, is_binary=True)

    def close(self) -> None:
        """Close the channel."""
        self._client.close()

    def _asked(self, ask: Callable[[], Result]) -> Result:
        from tritonclient.utils import InferenceServerException

        try:
            return ask()
        except InferenceServerException as error:
            status, reason = str(error.status() or ""), error.message() or ""
            if status.endswith("DEADLINE_EXCEEDED"):
                raise refusals.too_slow(self.url, self._timeout) from error
            if status.endswith(("UNAVAILABLE", "UNIMPLEMENTED")):
                raise refusals.no_answer(self.url, reason) from error
            raise refusals.RequestRefused(self.url, self.model, status, reason) from error


def _tensors(found: Any) -> tuple[Tensor, ...]:
    return tuple(Tensor(each.name, each.datatype, tuple(each.shape)) for each in found)
