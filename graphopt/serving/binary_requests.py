"""Requests with bytes over HTTP: a head of JSON, and the bytes of the tensors behind it.

The binary tensor data extension of the protocol.
"""

from __future__ import annotations

__all__ = ["split_request"]

from typing import Any

from graphopt.json_values import parse_json
from graphopt.serving.served_model import BadRequest


def split_request(body: bytes, length: int) -> tuple[dict[str, Any], list[memoryview] | None]:
    """The head of a request, and the bytes of each input without a copy.

    Args:
        body: Head and tensors.
        length: Bytes of the head.

    Returns:
        The head; the bytes in the order of its inputs, or None where one of them is JSON.

    Raises:
        BadRequest: The head is not as the protocol has it, or the bytes end before the tensors.
    """
    rest = memoryview(body)[length:]
    try:
        head = parse_json(body[:length])
        inputs = [(tensor["name"], tensor) for tensor in head["inputs"]]
        if any("data" in tensor for _, tensor in inputs):
            return head, None
        sizes = [(name, tensor["parameters"]["binary_data_size"]) for name, tensor in inputs]
    except (ValueError, TypeError, KeyError) as error:
        raise BadRequest(
            f"the first {length} bytes are no JSON with the inputs of a request "
            f"({type(error).__name__}: {error}): send what the binary extension says"
        ) from error
    parts = []
    for name, size in sizes:
        if not isinstance(size, int) or not 0 <= size <= len(rest):
            raise BadRequest(
                f"input {name!r} has a binary_data_size of {size!r}, and {len(rest)} bytes are "
                "left: send as many bytes as the head says"
            )
        parts.append(rest[:size])
        rest = rest[size:]
    return head, parts
