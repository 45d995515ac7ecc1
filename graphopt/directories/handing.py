"""Which model is called before which, and what it is handed of the outputs of others.

The names are those of the exporters: an encoder's ``last_hidden_state`` is a decoder's
``encoder_hidden_states``, ``present.0.key`` of one call is ``past_key_values.0.key`` of the next,
and a value that two models call alike is one value.
"""

from __future__ import annotations

__all__ = ["Call", "Handed", "calls_in_order"]

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import onnx_ir as ir

_CACHES = (("present.", "past_key_values."), ("present.", "past."), ("present_", "past_"))
_ENCODED = ("last_hidden_state", "encoder_hidden_states")
_MASKS = ("attention_mask", "encoder_attention_mask")


@dataclasses.dataclass(frozen=True)
class Handed:
    """A value that a call is handed.

    Attributes:
        call: Number of the call that it comes from.
        name: The output of that call, or the input where ``is_input``.
        is_input: It is not what the call gave but what it was given: a mask.
    """

    call: int
    name: str
    is_input: bool = False


@dataclasses.dataclass(frozen=True)
class Call:
    """One call of a model.

    Attributes:
        model: Its path within the directory.
        handed: What its inputs are handed, by name; the others are generated.
        is_second: It is called on the cache that its first call wrote.
    """

    model: Path
    handed: Mapping[str, Handed]
    is_second: bool = False


def calls_in_order(models: Mapping[Path, ir.Model]) -> tuple[Call, ...]:
    """The calls of models that hand values on, in their order; none where none do.

    A model that reads the cache that it writes is called a second time, on its own cache.
    """
    calls: list[Call] = []
    for path in _in_order(models):
        calls.append(Call(path, _found(models[path], calls, models)))
    for number, call in enumerate(list(calls)):
        model = models[call.model]
        own = {name: output for output, name in _links(model, model) if _is_cache(output, name)}
        if own:
            cache = {name: Handed(number, output) for name, output in own.items()}
            calls.append(Call(call.model, {**call.handed, **cache}, is_second=True))
    return _without_the_unconnected(calls)


def _without_the_unconnected(calls: Sequence[Call]) -> tuple[Call, ...]:
    """The calls that take or give something, numbered anew."""
    givers = {handed.call for call in calls for handed in call.handed.values()}
    kept = [number for number, call in enumerate(calls) if call.handed or number in givers]
    numbers = {old: new for new, old in enumerate(kept)}
    return tuple(
        dataclasses.replace(
            calls[old],
            handed={
                name: dataclasses.replace(handed, call=numbers[handed.call])
                for name, handed in calls[old].handed.items()
            },
        )
        for old in kept
    )


def _in_order(models: Mapping[Path, ir.Model]) -> Iterator[Path]:
    """Each model behind those that hand it something; by name where two hand to each other."""
    gives = {
        (one, other)
        for one in models
        for other in models
        if one != other and next(_links(models[one], models[other]), None)
    }
    rest = list(models)
    while rest:
        free = [
            path
            for path in rest
            if not any((other, path) in gives and (path, other) not in gives for other in rest)
        ]
        chosen = (free or rest)[0]
        rest.remove(chosen)
        yield chosen


def _found(
    model: ir.Model, calls: Sequence[Call], models: Mapping[Path, ir.Model]
) -> dict[str, Handed]:
    """What the calls before give a model; of several, the last gives it."""
    found: dict[str, Handed] = {}
    for number, call in enumerate(calls):
        before = models[call.model]
        found |= {name: Handed(number, output) for output, name in _links(before, model)}
    mask, taken = _MASKS
    if (wanted := _named(model.graph.inputs, taken)) is None:
        return found
    # The encoder's own mask; a later decoder has no states of it, and takes that of the first.
    if _ENCODED[1] in found:
        encoder = found[_ENCODED[1]].call
        if _fit(_named(models[calls[encoder].model].graph.inputs, mask), wanted):
            found[taken] = Handed(encoder, mask, is_input=True)
    elif earlier := [call.handed[taken] for call in calls if taken in call.handed]:
        found[taken] = earlier[0]
    return found


def _links(one: ir.Model, other: ir.Model) -> Iterator[tuple[str, str]]:
    """Outputs of a model, and the inputs of another (or of itself) that they are handed to."""
    inputs = {value.name: value for value in other.graph.inputs if value.const_value is None}
    for output in one.graph.outputs:
        for name in _taken_as(output.name or ""):
            if name == _ENCODED[1] and _named(one.graph.inputs, name) is not None:
                continue  # a decoder's own states
            if name in inputs and _fit(output, inputs[name]):
                yield output.name or "", name
                break


def _taken_as(output: str) -> Iterator[str]:
    yield output
    if output == _ENCODED[0]:
        yield _ENCODED[1]
    for written, read in _CACHES:
        if output.startswith(written):
            yield read + output.removeprefix(written)


def _is_cache(output: str, name: str) -> bool:
    return output != name and name != _ENCODED[1]


def _named(values: Sequence[ir.Value], name: str) -> ir.Value | None:
    return next((value for value in values if value.name == name), None)


def _fit(given: ir.Value | None, taken: ir.Value | None) -> bool:
    """Whether what is declared of both leaves room for one array."""
    if given is None or taken is None or given.dtype != taken.dtype:
        return False
    if given.shape is None or taken.shape is None:
        return True
    return len(given.shape) == len(taken.shape) and all(
        one == other or not (isinstance(one, int) and isinstance(other, int))
        for one, other in zip(given.shape, taken.shape, strict=True)
    )
