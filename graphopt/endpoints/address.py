"""Where an endpoint is: its URL, taken apart."""

from __future__ import annotations

__all__ = ["Address", "parse_address"]

import dataclasses
from urllib.parse import urlsplit

from graphopt.errors import UsageError

_SCHEMES = {"http": False, "https": True, "grpc": False, "grpcs": True}


@dataclasses.dataclass(frozen=True)
class Address:
    """An endpoint's address.

    Attributes:
        url: As it was given.
        place: Host, port and, over HTTP, the path before ``/v2``.
        is_grpc: Whether it speaks gRPC.
        is_secure: Whether it is encrypted.
    """

    url: str
    place: str
    is_grpc: bool
    is_secure: bool


def parse_address(url: str) -> Address:
    """The address that a URL names.

    Raises:
        UsageError: It is none of an endpoint.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        port = None
    if port is None or parts.scheme not in _SCHEMES or not parts.hostname or parts.query:
        raise UsageError(
            f"--endpoint {url!r}: write it as http://HOST:PORT or grpc://HOST:PORT (https, grpcs)"
        )
    is_grpc = parts.scheme.startswith("grpc")
    path = parts.path.rstrip("/").removesuffix("/v2")
    if is_grpc and path:
        raise UsageError(f"--endpoint {url!r}: gRPC has no path: write it as grpc://HOST:PORT")
    return Address(url, parts.netloc + path, is_grpc, _SCHEMES[parts.scheme])
