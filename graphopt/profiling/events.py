"""Reads the file that ONNX Runtime's profiler writes."""

from __future__ import annotations

__all__ = ["KernelTime", "ProfiledRun", "read_runs"]

import dataclasses
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_SUFFIX = "_kernel_time"
_MICROSECOND = 1e-6
Shape = tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class KernelTime:
    """One call of a node's kernel.

    Attributes:
        node: Name of the node in the graph that the session runs.
        op_type: Its operator.
        provider: Execution provider that it ran on.
        shapes: Shapes of the inputs that it read; ONNX Runtime omits packed weights.
        seconds: Time in the kernel itself, without the nodes of its subgraphs.
    """

    node: str
    op_type: str
    provider: str
    shapes: tuple[Shape, ...]
    seconds: float


@dataclasses.dataclass(frozen=True)
class ProfiledRun:
    """One call of the session.

    Attributes:
        kernels: Its kernel calls; a node of a loop has several.
        seconds: Time of the whole call, the runtime's own work and the profiler's included.
    """

    kernels: tuple[KernelTime, ...]
    seconds: float


def read_runs(path: Path) -> tuple[ProfiledRun, ...]:
    """The complete runs of a profile, in order.

    The profiler writes an event when what it describes has ended, so that the events before a
    ``model_run`` are those of that run. Durations are whole microseconds, rounded down.
    """
    runs = []
    nodes: list[dict[str, Any]] = []
    for event in json.loads(path.read_text()):
        if event.get("cat") == "Node" and event["name"].endswith(_SUFFIX):
            nodes.append(event)
        elif event.get("name") == "model_run":
            runs.append(ProfiledRun(tuple(_kernels(nodes)), event["dur"] * _MICROSECOND))
            nodes = []
    return tuple(runs)


def _kernels(events: list[dict[str, Any]]) -> Iterable[KernelTime]:
    for event, microseconds in zip(events, _own_durations(events), strict=True):
        arguments = event["args"]
        yield KernelTime(
            node=event["name"].removesuffix(_SUFFIX),
            op_type=arguments["op_name"],
            provider=arguments.get("provider", ""),
            shapes=tuple(
                tuple(shape)
                for typed in arguments.get("input_type_shape", ())
                for shape in typed.values()
            ),
            seconds=microseconds * _MICROSECOND,
        )


def _own_durations(events: list[dict[str, Any]]) -> list[int]:
    """The duration of each event less those of the events directly inside it.

    An If or Loop encloses the nodes of its subgraphs. Neighbours cannot look enclosed: begin and
    duration are both rounded down, so that an event ends no later than the next one begins.
    """
    own = [int(event["dur"]) for event in events]
    enclosing: list[int] = []
    for index in sorted(range(len(events)), key=lambda i: (events[i]["ts"], -events[i]["dur"])):
        begin = events[index]["ts"]
        while enclosing and begin >= _end(events[enclosing[-1]]):
            enclosing.pop()
        if enclosing:
            own[enclosing[-1]] -= int(events[index]["dur"])
        enclosing.append(index)
    return [max(0, microseconds) for microseconds in own]


def _end(event: dict[str, Any]) -> int:
    return int(event["ts"]) + int(event["dur"])
