"""Opens an endpoint by the kind of its address."""

from __future__ import annotations

__all__ = ["open_endpoint"]

from graphopt.endpoints.address import parse_address
from graphopt.endpoints.endpoint import Endpoint


def open_endpoint(url: str, model: str, timeout: float) -> Endpoint:
    """Connect to a model; nothing is sent yet.

    Args:
        url: ``http://HOST:PORT``, ``https://``, ``grpc://`` or ``grpcs://``.
        model: Its name on the server.
        timeout: Seconds that a request may take.

    Raises:
        UsageError: The URL is none.
        EnvironmentFailure: The client package is missing.
    """
    address = parse_address(url)
    if address.is_grpc:
        from graphopt.endpoints.grpc_endpoint import GrpcEndpoint

        return GrpcEndpoint(address, model, timeout)
    from graphopt.endpoints.http_endpoint import HttpEndpoint

    return HttpEndpoint(address, model, timeout)
