"""The configuration files of a directory: that they can be read, and that they fit the models."""

from __future__ import annotations

__all__ = ["check_configurations", "read_json"]

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import onnx_ir as ir

from graphopt.directories.layout import Layout
from graphopt.errors import ModelError, listed
from graphopt.inputs.meaning import trace_meaning
from graphopt.json_values import parse_json

_READ = ("config.json", "preprocessor_config.json", "genai_config.json", "modules.json")
"""Files that say what to verify on, or who reads the directory."""
_WIDTHS = ("hidden_size", "n_embd", "d_model")
_VOCABULARY = "vocab_size"
_TOKENS = "input_ids"


def read_json(path: Path) -> Any:
    """What a JSON file holds.

    Raises:
        ModelError: It is no JSON.
        OSError: It cannot be read.
    """
    try:
        return parse_json(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}: {error.msg}"
        raise ModelError(f"{path}: is no JSON ({place}): copy or write it again") from error
    except ValueError as error:  # no UTF-8, nested too deeply, or a number too long to read
        raise ModelError(f"{path}: is no JSON: copy or write it again") from error


def check_configurations(layout: Layout, models: Mapping[Path, ir.Model]) -> None:
    """Refuse a directory whose configuration is broken, or is that of another model.

    Sizes for the verification are taken from it, and so are those of every client.

    Args:
        layout: The files.
        models: The models that could be read, by their paths within the directory.

    Raises:
        ModelError: Names the file, the key, and what the models have instead.
        OSError: A file cannot be read.
    """
    found = {
        name: read_json(layout.directory / name) for name in _READ if Path(name) in layout.others
    }
    for name in ("config.json", "genai_config.json"):
        if name in found and not isinstance(found[name], dict):
            raise ModelError(f"{layout.directory / name}: holds no object: copy or write it again")
    if genai := found.get("genai_config.json"):
        _check_sections(layout.directory / "genai_config.json", genai)
        _check_file_names(layout, genai)
    for name, entry in found.items():
        where = layout.directory / name
        _check_widths(where, entry, models)
        _check_vocabulary(where, entry, models)


def _check_sections(where: Path, genai: Any) -> None:
    """The models of onnxruntime-genai, and the options of their sessions, are objects."""
    sections = genai.get("model", {})
    if not isinstance(sections, dict):
        raise ModelError(f"{where}: model is no object: copy or write it again")
    for name, section in sections.items():
        if isinstance(section, dict) and not isinstance(section.get("session_options", {}), dict):
            raise ModelError(
                f"{where}: session_options of {name!r} is no object: copy or write it again"
            )


def _check_file_names(layout: Layout, genai: Any) -> None:
    """The models that onnxruntime-genai is told to load are there."""
    there = {str(path) for path in (*layout.models, *layout.others)}
    for name in _values(genai, "filename"):
        if isinstance(name, str) and name.endswith(".onnx") and str(Path(name)) not in there:
            raise ModelError(
                f"{layout.directory / 'genai_config.json'}: names the file {name!r}, which is not "
                "in the directory: copy it there"
            )


def _check_widths(where: Path, entry: Any, models: Mapping[Path, ir.Model]) -> None:
    """Some weight has one of the widths that are stated: a model of hidden size d has such."""
    stated = {key: value for key in _WIDTHS for value in _sizes(entry, key)}
    sizes = {size for model in models.values() for size in _weight_sizes(model)}
    if not stated or not sizes or sizes & {size for key in _WIDTHS for size in _sizes(entry, key)}:
        return
    key, value = next(iter(stated.items()))
    names = [path.name for path in models]
    raise ModelError(
        f"{where}: says {key} {value}, but no weight of {listed(names)} has that size: put "
        "the configuration of this model there"
    )


def _check_vocabulary(where: Path, entry: Any, models: Mapping[Path, ir.Model]) -> None:
    """No vocabulary that is stated is larger than every table of tokens; a table may be padded."""
    stated = list(_sizes(entry, _VOCABULARY))
    tables = {}
    for path, model in models.items():
        for value in model.graph.inputs:
            if value.name == _TOKENS and (high := trace_meaning(value).high) is not None:
                tables[path] = high
    if stated and tables and min(stated) > max(tables.values()):
        path, rows = max(tables.items(), key=lambda item: item[1])
        raise ModelError(
            f"{where}: says {_VOCABULARY} {min(stated)}, but {path} has a table of {rows} tokens: "
            "put the configuration of this model there"
        )


def _weight_sizes(model: ir.Model) -> Iterator[int]:
    """The sizes of all weights, those that some exporters write as Constant nodes included."""
    for graph in model.graphs():
        for value in graph.initializers.values():
            if value.const_value is not None:
                yield from value.const_value.shape.numpy()
        for node in graph:
            attribute = node.attributes.get("value")
            if (
                node.op_type == "Constant"
                and attribute
                and attribute.type == ir.AttributeType.TENSOR
            ):
                yield from attribute.as_tensor().shape.numpy()


def _sizes(entry: Any, key: str) -> Iterator[int]:
    for value in _values(entry, key):
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            yield value


def _values(entry: Any, key: str) -> Iterator[Any]:
    """The values of a key at any depth: the text or vision part of a model is nested."""
    if isinstance(entry, dict):
        for name, value in entry.items():
            if name == key:
                yield value
            yield from _values(value, key)
    elif isinstance(entry, list):
        for item in entry:
            yield from _values(item, key)
