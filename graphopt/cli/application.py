"""The command line: options in, exit code out. What a command does is imported when it runs."""

from __future__ import annotations

__all__ = ["cli", "main"]

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from graphopt.cli import exit_codes
from graphopt.cli.bench_command import bench
from graphopt.cli.endpoint_options import EndpointOptions, endpoint_options, refuse_beside
from graphopt.cli.export_command import export
from graphopt.cli.package_command import package
from graphopt.cli.parameters import (
    check_options,
    choice_option,
    target_options,
    verbosity_options,
)
from graphopt.cli.tasks import TaskGroup
from graphopt.options import REFERENCES, Check, Reference
from graphopt.passes.choices import PROVIDER

if TYPE_CHECKING:
    from graphopt.passes.pipeline import Options

_FILE = click.Path(path_type=Path)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit."""
    arguments = sys.argv[1:] if arguments is None else arguments
    exit_codes.prepare_process(arguments)
    sys.exit(exit_codes.run(cli, arguments))


@click.group(
    cls=TaskGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="graphopt", message="%(prog)s %(version)s")
def cli() -> None:
    """Convert the LayerNorms of an ONNX transformer to RMSNorms, exactly, ahead of time.

    Exit codes: 0 done; 1 verification failed; 2 bad usage or model; 3 environment (no ONNX
    Runtime, disk, permission); 4 measured, and not faster; 70 a defect of graphopt; 130
    interrupted.
    """


@cli.command()
@click.argument("model", type=_FILE)
@click.option(
    "-o",
    "--output",
    type=_FILE,
    help="File or directory to write. [default: MODEL.VARIANT.onnx, or DIRECTORY.VARIANT]",
)
@click.option("--force", is_flag=True, help="Replace an existing output or report.")
@target_options
@click.option(
    "--verify/--no-verify",
    default=True,
    show_default=True,
    help="Compare with the input in ONNX Runtime, without and with the native kernels; write "
    "nothing that differs.",
)
@check_options
@click.option(
    "--measure",
    is_flag=True,
    help="Compare the latency with the input's, and crms with rms; takes about 20 seconds.",
)
@click.option(
    "--only-if-faster",
    is_flag=True,
    help="Measure likewise, and write nothing where the result is not certainly faster: exits with "
    "4 then.",
)
@click.option(
    "--tune",
    is_flag=True,
    help="Time the result beside simpler ones (--no-fuse, without attention operators) and keep "
    "the fastest, of equals the simplest; about a minute. Exits with 4 where MODEL is faster.",
)
@click.option("--report", type=_FILE, metavar="FILE.json", help="Write the report as JSON.")
@verbosity_options
def optimize(
    model: Path,
    output: Path | None,
    force: bool,
    options: Options,
    verify: bool,
    check: Check,
    measure: bool,
    only_if_faster: bool,
    tune: bool,
    report: Path | None,
    quiet: bool,
    verbose: bool,
) -> None:
    """Optimize MODEL into a new file that computes the same function.

    A norm that cannot be converted is kept, and the table says why. MODEL is never touched. It may
    be a directory, as optimum, sentence-transformers, transformers.js or onnxruntime-genai writes
    it: its models are optimized into a new directory, with all its other files.
    """
    from graphopt.cli import commands, directory_command

    if tune and not verify:
        raise click.UsageError("--tune keeps what is verified: leave out --no-verify")
    job = directory_command.optimize_directory if model.is_dir() else commands.optimize
    job(
        model,
        options,
        check,
        verify=verify,
        measure=measure,
        only_if_faster=only_if_faster,
        tune=tune,
        output=output,
        report_path=report,
        force=force,
        quiet=quiet,
        verbose=verbose,
    )


@cli.command()
@click.argument("model", type=_FILE)
@target_options
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
@click.option(
    "--html", type=_FILE, metavar="FILE", help="Write a page with a picture of the plan, too."
)
@click.option("--force", is_flag=True, help="Replace an existing page.")
@click.option("-v", "--verbose", is_flag=True, help="Print a row for each norm.")
def inspect(
    model: Path, options: Options, as_json: bool, html: Path | None, force: bool, verbose: bool
) -> None:
    """Print what optimize would do to MODEL, and why, without doing it."""
    from graphopt.cli import commands

    commands.inspect(model, options, as_json=as_json, html=html, force=force, verbose=verbose)


@cli.command()
@click.argument("base", type=_FILE, required=False)
@click.argument("candidate", type=_FILE, required=False)
@click.option(
    "--reference",
    type=click.Choice(REFERENCES),
    default="ort",
    show_default=True,
    help="ort: both in ONNX Runtime, within a tolerance. float64: the candidate's error may be "
    "twice the base's, each against the base evaluated in float64.",
)
@choice_option(PROVIDER, help="Execution provider to run on.")
@click.option("--kernels", is_flag=True, help="Run CANDIDATE with graphopt's native kernels.")
@check_options
@endpoint_options
@click.option(
    "--repeat",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="How often each golden request is sent to --endpoint.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def verify(
    base: Path | None,
    candidate: Path | None,
    reference: Reference,
    provider: str,
    kernels: bool,
    check: Check,
    asked: EndpointOptions | None,
    repeat: int,
    as_json: bool,
) -> None:
    """Check that CANDIDATE computes the same function as BASE.

    Exits with 1 where it does not. A pair that could not be compared is said to be so, and exits
    with 0. With --endpoint no files are compared: the model of a server answers golden requests.
    """
    if asked is not None:
        from graphopt.cli.endpoints import verify_endpoint

        refuse_beside("--endpoint", ("repeat", "as_json"))
        verify_endpoint(asked, repeat, as_json=as_json)
        return
    from graphopt.cli import commands

    if base is None or candidate is None:
        raise click.UsageError(f"Missing argument '{'CANDIDATE' if base else 'BASE'}'")
    commands.verify(
        base,
        candidate,
        check,
        reference=reference,
        provider=provider,
        kernels=kernels,
        as_json=as_json,
    )


cli.add_command(bench)
cli.add_command(package)
cli.add_command(export)


@cli.command()
@target_options
def passes(options: Options) -> None:
    """Print the pipeline, and which of its passes may be skipped."""
    from graphopt.cli import commands

    commands.passes(options)


@cli.command()
def doctor() -> None:
    """Report what works here: ONNX Runtime, providers, kernels, compilers."""
    from graphopt.cli import commands

    commands.doctor()
