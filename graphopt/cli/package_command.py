"""The command ``package``."""

from __future__ import annotations

__all__ = ["package"]

from pathlib import Path
from typing import TYPE_CHECKING

import click

from graphopt.cli.parameters import choice_option, parsed, sample_options
from graphopt.cli.parsing import to_entries
from graphopt.cli.triton_options import refuse_triton_options, triton_options
from graphopt.passes.choices import PROVIDER

if TYPE_CHECKING:
    from graphopt.options import Sample
    from graphopt.packaging.triton_options import TritonOptions

_FILE = click.Path(path_type=Path)
_FORMATS = (
    "kserve",
    "mlserver",
    "triton",
)  # graphopt.packaging.formats has them, and imports onnx_ir


@click.command()
@click.argument("model", type=_FILE)
@click.option(
    "--format", "kind", type=click.Choice(_FORMATS), required=True, help="The server it is for."
)
@click.option("-o", "--output", type=_FILE, required=True, help="Folder to write; it must be new.")
@click.option("--name", default="", help="What the server calls the model. [default: MODEL's]")
@click.option(
    "--original",
    type=_FILE,
    metavar="FILE",
    help="Take the right answers from this model, which MODEL was made from.",
)
@choice_option(PROVIDER, help="Execution provider that the server runs it on.")
@click.option(
    "--threads", type=click.IntRange(min=0), default=1, show_default=True, help="0 is all cores."
)
@click.option(
    "--library/--no-library",
    default=None,
    help="Take the native kernels along. [default: where MODEL has operators for them]",
)
@click.option(
    "--session-option",
    "session_options",
    multiple=True,
    callback=parsed(to_entries),
    metavar="KEY=VALUE",
    help="Configuration entry of the session, by ONNX Runtime's name. Repeatable.",
)
@triton_options
@sample_options
def package(
    model: Path,
    kind: str,
    output: Path,
    name: str,
    original: Path | None,
    provider: str,
    threads: int,
    library: bool | None,
    session_options: dict[str, str],
    triton: TritonOptions,
    sample: Sample,
) -> None:
    """Write a folder that a server takes: MODEL, settings, kernels, golden requests.

    The requests, with the outputs that MODEL (or its original) gives, are in golden.npz: "graphopt
    verify --endpoint" replays them on the running server. The folder appears whole or not at all.
    """
    from graphopt.packaging.formats import needs
    from graphopt.packaging.job import PackageOptions, write_package

    if kind != "triton":
        refuse_triton_options()
    options = PackageOptions(name, provider, threads, library, session_options, original, triton)
    made = write_package(model, kind, output, options, sample)
    click.echo(f"{output}: model {made.name!r} for {kind}")
    for line in needs(kind, made):
        click.echo(line)
