"""Many names of weights in a few words: what they have in common is said once."""

from __future__ import annotations

__all__ = ["gathered_names", "joined_names"]

import itertools
import re
from collections.abc import Iterable, Sequence

_OF_A_MODULE = re.compile(r"(weight|bias|table) of ([\w*]+(?:\.[\w*]+)+)")


def joined_names(names: Iterable[str]) -> str:
    """Join names, those of one module in braces: ``h.0.c_proj.{weight,bias}``."""
    return ", ".join(_in_braces(names))


def gathered_names(names: Sequence[str], limit: int) -> str:
    """Join names as :func:`joined_names` does, and say once where all of them are.

    For example ``q.{weight,bias}, v.weight and 2 more, in encoder.layers.*``. Where that is no
    shorter, each is named whole.

    Args:
        names: The names.
        limit: How many are named; the others are counted.
    """
    modules = _in_braces(names[:limit])
    rest = f" and {len(names) - limit} more" if len(names) > limit else ""
    common = _beginning(names)
    where = f"{',' if rest else ''} in {common.rstrip('./')}"
    if not common or len(where) >= len(common) * (len(modules) - 1):
        return ", ".join(modules) + rest
    return ", ".join(module.removeprefix(common) for module in modules) + rest + where


def _in_braces(names: Iterable[str]) -> list[str]:
    modules: dict[str, list[str]] = {}
    for name in map(_called, names):
        module, dot, parameter = name.rpartition(".")
        if not dot or "/" in parameter:
            module, dot, parameter = name, "", ""
        modules.setdefault(module + dot, []).append(parameter)
    return [
        module + (parameters[0] if len(parameters) == 1 else f"{{{','.join(parameters)}}}")
        for module, parameters in modules.items()
    ]


def _called(name: str) -> str:
    """``h.3.fc2.weight`` for ``weight of h.3.fc2``."""
    titled = _OF_A_MODULE.fullmatch(name)
    return f"{titled[2]}.{titled[1]}" if titled else name


def _beginning(names: Iterable[str]) -> str:
    """The whole parts that all names begin with, if they are several: ``encoder.layers.``."""
    parts = [re.split("(?<=[./])", _called(name))[:-1] for name in names]
    same = itertools.takewhile(lambda each: len(set(each)) == 1, zip(*parts, strict=False))
    common = [each[0] for each in same]
    return "".join(common) if len(common) > 1 else ""
