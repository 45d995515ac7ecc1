"""Keeps KServe's server on the loopback interface, for which its SDK has no option.

A test puts this folder on the PYTHONPATH of the server alone.
"""

from __future__ import annotations

from typing import Any

import grpc.aio
import uvicorn

_LOOPBACK = "127.0.0.1"
_config = uvicorn.Config.__init__
_server = grpc.aio.server


def _configured(self: uvicorn.Config, *arguments: Any, **options: Any) -> None:
    _config(self, *arguments, **{**options, "host": _LOOPBACK})


def _served(*arguments: Any, **options: Any) -> Any:
    server = _server(*arguments, **options)
    add_port = server.add_insecure_port
    server.add_insecure_port = lambda place: add_port(f"{_LOOPBACK}:{place.rpartition(':')[2]}")
    return server


uvicorn.Config.__init__ = _configured
grpc.aio.server = _served
