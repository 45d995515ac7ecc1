"""The options of ``package`` that are for Triton."""

from __future__ import annotations

__all__ = ["refuse_triton_options", "triton_options"]

from collections.abc import Callable

import click
from click.core import ParameterSource

from graphopt.cli.parameters import gathered
from graphopt.packaging.triton_options import GRAPH_LEVELS, TritonOptions

_NAMES = (
    *("max_batch_size", "dynamic_batching", "instances", "warmup", "version", "graph_level"),
    "repository",
)
_DEFAULTS = TritonOptions()


def triton_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add how Triton runs the model; the command gets ``triton``."""
    return gathered(
        "triton",
        _to_options,
        click.option(
            "--max-batch-size",
            type=click.IntRange(min=0),
            default=_DEFAULTS.max_batch_size,
            show_default=True,
            help="Triton: rows that may be put into one call; 0 hands requests on as they are.",
        ),
        click.option(
            "--dynamic-batching", is_flag=True, help="Triton: join requests of several clients."
        ),
        click.option(
            "--instances",
            type=click.IntRange(min=1),
            default=_DEFAULTS.instances,
            show_default=True,
            help="Triton: copies of the model that run at once, on each GPU with --provider cuda.",
        ),
        click.option(
            "--warmup", is_flag=True, help="Triton: run a golden request before it is ready."
        ),
        click.option(
            "--version",
            type=click.IntRange(min=1),
            default=_DEFAULTS.version,
            show_default=True,
            help="Triton: the model's version, the name of its folder.",
        ),
        click.option(
            "--graph-level",
            type=click.Choice(tuple(GRAPH_LEVELS)),
            default=_DEFAULTS.graph_level,
            show_default=True,
            help="Triton: ONNX Runtime's graph optimization.",
        ),
        click.option(
            "--repository",
            default=_DEFAULTS.repository,
            show_default=True,
            metavar="PATH",
            help="Triton: where the server sees the folder that is written; the kernels are "
            "looked for there.",
        ),
    )(command)


def refuse_triton_options() -> None:
    """Raise where the running command was given one of them.

    Raises:
        UsageError: Names the first one.
    """
    context = click.get_current_context()
    for parameter in context.command.params:
        name = parameter.name or ""
        given = context.get_parameter_source(name) == ParameterSource.COMMANDLINE
        if given and name in _NAMES:
            raise click.UsageError(f"{parameter.opts[0]} goes with --format triton")


def _to_options(
    max_batch_size: int,
    dynamic_batching: bool,
    instances: int,
    warmup: bool,
    version: int,
    graph_level: str,
    repository: str,
) -> TritonOptions:
    return TritonOptions(
        max_batch_size, dynamic_batching, instances, warmup, version, graph_level, repository
    )
