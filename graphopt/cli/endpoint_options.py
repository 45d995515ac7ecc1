"""The options of what asks a server, which ``verify`` and ``bench`` share."""

from __future__ import annotations

__all__ = ["EndpointOptions", "endpoint_options", "refuse_beside"]

import dataclasses
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from graphopt.cli.parameters import gathered

if TYPE_CHECKING:
    from graphopt.endpoints.endpoint import Tensors

_NAMES = ("endpoints", "models_served", "golden", "tensors", "timeout")


@dataclasses.dataclass(frozen=True)
class EndpointOptions:
    """What is asked.

    Attributes:
        targets: URL and model's name of each endpoint; none where no endpoint is asked.
        golden: The golden pair.
        tensors: How to send tensors.
        timeout: Seconds that a request may take.
    """

    targets: tuple[tuple[str, str], ...]
    golden: Path
    tensors: Tensors
    timeout: float


def endpoint_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add what is asked of a server; the command gets ``asked``."""
    return gathered(
        "asked",
        _to_options,
        click.option(
            "--endpoint",
            "endpoints",
            multiple=True,
            metavar="URL",
            help="Server of the Open Inference Protocol: http://HOST:PORT or grpc://HOST:PORT "
            "(https, grpcs). Needs --model and --golden.",
        ),
        click.option(
            "--model",
            "models_served",
            multiple=True,
            metavar="NAME",
            help="The model's name on the server; one for all endpoints, or one for each.",
        ),
        click.option(
            "--golden",
            type=click.Path(path_type=Path),
            metavar="FILE.npz",
            help='Requests and right answers, as "graphopt package" writes them.',
        ),
        click.option(
            "--tensors",
            type=click.Choice(("binary", "json")),
            default="binary",
            show_default=True,
            help="How tensors go over HTTP.",
        ),
        click.option(
            "--timeout",
            type=click.FloatRange(min=0, min_open=True),
            default=60.0,
            show_default=True,
            help="Seconds that a request may take.",
        ),
    )(command)


def refuse_beside(option: str, allowed: Collection[str]) -> None:
    """Raise where a parameter of the running command was given that ``option`` has no use for.

    Args:
        option: The option, as the message names it.
        allowed: Names of the command's other parameters that go with it, beside those of a server.

    Raises:
        UsageError: Names the first one.
    """
    context = click.get_current_context()
    for parameter in context.command.params:
        name = parameter.name or ""
        given = context.get_parameter_source(name) == ParameterSource.COMMANDLINE
        if given and name not in (*_NAMES, *allowed):
            what = parameter.opts[0] if isinstance(parameter, click.Option) else name.upper()
            raise click.UsageError(f"{what} is of no use with {option}: leave it out")


def _to_options(
    endpoints: Sequence[str],
    models_served: Sequence[str],
    golden: Path | None,
    tensors: Tensors,
    timeout: float,
) -> EndpointOptions | None:
    if not endpoints:
        given = {"--model": models_served, "--golden": golden}
        lone = next((option for option, value in given.items() if value), None)
        if lone is not None:
            raise click.UsageError(f"{lone} goes with --endpoint URL")
        return None
    if golden is None:
        raise click.UsageError("--endpoint needs --golden FILE.npz")
    if len(models_served) not in (1, len(endpoints)):
        raise click.UsageError("--endpoint needs --model NAME: one for all, or one for each")
    names = models_served if len(models_served) > 1 else [*models_served] * len(endpoints)
    return EndpointOptions(tuple(zip(endpoints, names, strict=True)), golden, tensors, timeout)
