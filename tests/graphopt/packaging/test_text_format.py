"""Messages as text, as the library of Protocol Buffers reads them."""

from __future__ import annotations

import onnx
from google.protobuf import text_format

from graphopt.packaging.text_format import Word, write_text


def test_each_kind_of_field_is_written_on_a_line() -> None:
    message = {
        "name": "vit",
        "count": 2,
        "kind": Word("KIND_CPU"),
        "optional": True,
        "dims": [-1, 40],
        "reshape": {"shape": []},
        "input": [{"name": "a"}, {"name": "b"}],
    }
    assert write_text(message) == (
        'name: "vit"\ncount: 2\nkind: KIND_CPU\noptional: true\ndims: -1\ndims: 40\n'
        'reshape {\n}\ninput {\n  name: "a"\n}\ninput {\n  name: "b"\n}\n'
    )


def test_any_text_is_read_back_as_it_was() -> None:
    names = ['"', "\\", "a\nb", "größe", "\x01", "x' } input { name: 'y", "#", "日本"]
    text = write_text({"input": [{"name": name} for name in names]})
    graph = onnx.GraphProto()
    text_format.Parse(text, graph)
    assert [each.name for each in graph.input] == names
    assert text.isascii()
