"""An endpoint over HTTP, by tritonclient: tensors as bytes, or as JSON."""

from __future__ import annotations

__all__ = ["HttpEndpoint"]

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from graphopt.endpoints import refusals
from graphopt.endpoints.address import Address
from graphopt.endpoints.endpoint import Answer, Array, Tensor, Tensors
from graphopt.endpoints.packing import inputs_of, outputs_of

Result = TypeVar("Result")

_JSON = {"Content-Type": "application/json"}
"""What tritonclient leaves out of a request without bytes."""
_NOT_FOUND = ("400", "404")
"""What servers answer a question about a model that they have not."""


class HttpEndpoint:
    """One connection, for one thread.

    Args:
        address: Where the server is.
        model: The model's name on it.
        timeout: Seconds that a request may take.

    Raises:
        EnvironmentFailure: tritonclient is missing.
    """

    def __init__(self, address: Address, model: str, timeout: float) -> None:
        try:
            import gevent.ssl
            from tritonclient import http
        except ImportError as error:
            raise refusals.no_client(error) from error
        self.url, self.model = address.url, model
        self._http, self._timeout = http, timeout
        self._client: Any = http.InferenceServerClient(
            address.place,
            connection_timeout=timeout,
            network_timeout=timeout,
            ssl=address.is_secure,
            ssl_context_factory=gevent.ssl.create_default_context if address.is_secure else None,
        )

    def describe(self) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """The inputs and the outputs of the model; see :class:`Endpoint`."""
        try:
            found = self._asked(lambda: self._client.get_model_metadata(self.model))
        except refusals.RequestRefused as error:
            if error.status in _NOT_FOUND:
                raise refusals.unknown_model(self.url, self.model, error.reason) from error
            raise
        if not isinstance(found, dict) or "name" not in found:
            raise refusals.no_answer(self.url, "what it answers is no description of a model")
        return _tensors(found.get("inputs")), _tensors(found.get("outputs"))

    def infer(
        self, inputs: Mapping[str, Array], outputs: Sequence[str], tensors: Tensors
    ) -> Answer:
        """Send one request; see :class:`Endpoint`."""
        is_binary = tensors == "binary"
        begin = time.perf_counter()
        sent = inputs_of(self._http.InferInput, inputs, binary_data=is_binary)
        wanted = [self._http.InferRequestedOutput(name, binary_data=is_binary) for name in outputs]
        headers = {} if is_binary else _JSON
        result = self._asked(
            lambda: self._client.infer(self.model, sent, outputs=wanted, headers=headers)
        )
        arrays = outputs_of(self.url, result, outputs)
        seconds = time.perf_counter() - begin
        found = [result.get_output(name) or {} for name in arrays]
        sizes = ["binary_data_size" in (output.get("parameters") or {}) for output in found]
        return Answer(arrays, seconds, is_binary and all(sizes))

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _asked(self, ask: Callable[[], Result]) -> Result:
        from tritonclient.utils import InferenceServerException

        try:
            return ask()
        except InferenceServerException as error:
            status, reason = str(error.status() or ""), error.message() or ""
            raise refusals.RequestRefused(self.url, self.model, status, reason) from error
        except TimeoutError as error:
            raise refusals.too_slow(self.url, self._timeout) from error
        except (OSError, ValueError, KeyError, EOFError) as error:
            # A refused connection, a name that is none, an answer that is no HTTP or no JSON.
            raise refusals.no_answer(self.url, str(error) or type(error).__name__) from error


def _tensors(found: Any) -> tuple[Tensor, ...]:
    return tuple(
        Tensor(each["name"], each["datatype"], tuple(int(size) for size in each["shape"]))
        for each in found or ()
    )
