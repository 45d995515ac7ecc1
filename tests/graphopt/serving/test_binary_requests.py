"""A request with bytes is divided into its head and the bytes of each tensor, without a copy."""

from __future__ import annotations

import json
from typing import Any

import pytest

from graphopt.serving.binary_requests import split_request
from graphopt.serving.served_model import BadRequest


def request(*inputs: Any, tail: bytes = b"") -> tuple[bytes, int]:
    head = json.dumps({"id": "7", "inputs": inputs}).encode()
    return head + tail, len(head)


def tensor(name: str, size: Any) -> dict[str, Any]:
    return {"name": name, "parameters": {"binary_data_size": size}}


def test_each_input_has_its_bytes() -> None:
    body, length = request(tensor("a", 2), tensor("b", 0), tensor("c", 3), tail=b"aaccc")
    head, parts = split_request(body, length)
    assert head["id"] == "7"
    assert parts == [b"aa", b"", b"ccc"]
    assert all(part.obj is body for part in parts)


def test_a_request_with_a_tensor_in_json_is_left_to_the_server() -> None:
    head, parts = split_request(*request(tensor("a", 1), {"name": "b", "data": [1]}, tail=b"a"))
    assert (head["id"], parts) == ("7", None)


@pytest.mark.parametrize(
    ("body", "length", "said"),
    [
        (b"{", 1, "the first 1 bytes are no JSON with the inputs of a request"),
        (b"\xff\xfe", 2, "the first 2 bytes are no JSON"),
        (b"[]", 2, "TypeError"),
        (b"{}", 2, "KeyError: 'inputs'"),
        (*request({"name": "a"}), "KeyError: 'parameters'"),
        (*request(7), "TypeError"),
        (*request(tensor("a", 3), tail=b"aa"), "'a' has a binary_data_size of 3, and 2 bytes are"),
        (*request(tensor("a", -1), tail=b"aa"), "'a' has a binary_data_size of -1"),
        (*request(tensor("a", "2"), tail=b"aa"), "'a' has a binary_data_size of '2'"),
    ],
)
def test_what_is_no_request_is_refused_in_one_line(body: bytes, length: int, said: str) -> None:
    with pytest.raises(BadRequest) as caught:
        split_request(body, length)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
