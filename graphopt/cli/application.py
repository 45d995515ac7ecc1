"""The command line: options in, exit code out. What a command does is imported when it runs."""

from __future__ import annotations

__all__ = ["cli", "main"]

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from graphopt.cli import exit_codes
from graphopt.cli.parameters import (
    input_options,
    read_arrays,
    target_options,
    to_dim_lists,
    to_dims,
    to_integers,
    to_shape_lists,
    to_shapes,
    tolerance_options,
    verbosity_options,
)
from graphopt.options import OPERATOR_SETS, PROVIDERS, REFERENCES

_FILE = click.Path(path_type=Path)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit."""
    arguments = sys.argv[1:] if arguments is None else arguments
    exit_codes.prepare_process(arguments)
    sys.exit(exit_codes.run(cli, arguments))


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="graphopt", message="%(prog)s %(version)s")
def cli() -> None:
    """Convert the LayerNorms of an ONNX transformer to RMSNorms, exactly, ahead of time.

    Exit codes: 0 done; 1 verification failed; 2 bad usage or model; 3 environment (no ONNX
    Runtime, disk, permission); 70 a defect of graphopt; 130 interrupted.
    """


@cli.command()
@click.argument("model", type=_FILE)
@click.option(
    "-o", "--output", type=_FILE, help="File to write. [default: MODEL.VARIANT.onnx beside MODEL]"
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
@tolerance_options
@input_options
@click.option(
    "--measure",
    is_flag=True,
    help="Compare the latency with the input's, and crms with rms; takes about 20 seconds.",
)
@click.option("--report", type=_FILE, metavar="FILE.json", help="Write the report as JSON.")
@verbosity_options
def optimize(
    model: Path,
    output: Path | None,
    report: Path | None,
    force: bool,
    inputs: Sequence[str],
    shapes: Sequence[str],
    dims: Sequence[str],
    quiet: bool,
    verbose: bool,
    **options: Any,
) -> None:
    """Optimize MODEL into a new file that computes the same function.

    A norm that cannot be converted is kept, and the table says why. MODEL is never touched.
    """
    from graphopt.cli import commands

    commands.optimize(
        model,
        output=output,
        report_path=report,
        force=force,
        inputs=read_arrays(inputs),
        input_shapes=to_shapes(shapes),
        dims=to_dims(dims),
        quiet=quiet,
        verbose=verbose,
        **options,
    )


@cli.command()
@click.argument("model", type=_FILE)
@target_options
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
def inspect(model: Path, as_json: bool, **options: Any) -> None:
    """Print what optimize would do to MODEL, and why, without doing it."""
    from graphopt.cli import commands

    commands.inspect(model, as_json=as_json, **options)


@cli.command()
@click.argument("base", type=_FILE)
@click.argument("candidate", type=_FILE)
@click.option(
    "--reference",
    type=click.Choice(REFERENCES),
    default="ort",
    show_default=True,
    help="ort: both in ONNX Runtime, within a tolerance. float64: the candidate's error may be "
    "twice the base's, each against the base evaluated in float64.",
)
@click.option(
    "--provider",
    type=click.Choice(PROVIDERS),
    default="cpu",
    show_default=True,
    help="Execution provider to run on.",
)
@click.option("--kernels", is_flag=True, help="Run CANDIDATE with graphopt's native kernels.")
@tolerance_options
@input_options
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def verify(
    base: Path,
    candidate: Path,
    inputs: Sequence[str],
    shapes: Sequence[str],
    dims: Sequence[str],
    as_json: bool,
    **options: Any,
) -> None:
    """Check that CANDIDATE computes the same function as BASE.

    Exits with 1 where it does not. A pair that could not be compared is said to be so, and exits
    with 0.
    """
    from graphopt.cli import commands

    commands.verify(
        base,
        candidate,
        as_json=as_json,
        inputs=read_arrays(inputs),
        shapes=to_shapes(shapes),
        dims=to_dims(dims),
        **options,
    )


@cli.command()
@click.argument("models", nargs=-1, type=_FILE, metavar="MODEL [CANDIDATE]...")
@click.option(
    "--provider",
    "providers",
    type=click.Choice(PROVIDERS),
    multiple=True,
    default=("cpu",),
    show_default=True,
    help="Execution provider to run on. Repeatable.",
)
@click.option(
    "--threads",
    type=to_integers,
    default="1",
    show_default=True,
    metavar="N[,N...]",
    help="Threads; 0 is all cores.",
)
@click.option(
    "--dtype",
    "dtypes",
    type=click.Choice(("float32", "float16")),
    multiple=True,
    help="Type of the weights; MODEL is converted to float16 first. Repeatable. [default: MODEL's]",
)
@click.option(
    "--batch",
    "batches",
    type=to_integers,
    default="",
    metavar="N[,N...]",
    help="Batch sizes. [default: 1]",
)
@click.option(
    "--seq", "lengths", type=to_integers, default="", metavar="N[,N...]", help="Sequence lengths."
)
@click.option(
    "--dim",
    "dims",
    multiple=True,
    metavar="NAME=N[,N...]",
    help="Sizes of a symbolic dimension. Repeatable.",
)
@click.option(
    "--input-shape",
    "shapes",
    multiple=True,
    metavar="NAME:1,128",
    help="Shape of a generated input. Repeatable, for one input too.",
)
@click.option(
    "--input",
    "inputs",
    multiple=True,
    metavar="NAME:FILE.npy",
    help="Array for an input; the others are generated. Repeatable.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of all that is random.")
@click.option(
    "--duration",
    type=float,
    default=20.0,
    show_default=True,
    help="Seconds to aim at for each combination of sizes, threads, provider and type.",
)
@click.option("--iterations", type=int, help="Timed calls of each model, instead of --duration.")
@click.option(
    "--sessions",
    "openings",
    type=int,
    default=20,
    show_default=True,
    help="The most sessions of each model, one after the other; at least 6.",
)
@click.option(
    "--warmup",
    type=int,
    default=2,
    show_default=True,
    help="Calls between two looks at whether they still get faster.",
)
@click.option(
    "--clock",
    type=click.Choice(("wall", "thread_cpu")),
    default="wall",
    show_default=True,
    help="thread_cpu is steadier, and sees one thread on the CPU.",
)
@click.option(
    "--library/--no-library",
    default=None,
    help="Register the native kernels. [default: where they were built]",
)
@click.option(
    "--ops", type=click.Choice(OPERATOR_SETS), help="As for optimize. [default: its default]"
)
@click.option("--baseline", metavar="NAME", help="What the others are divided by. [default: MODEL]")
@click.option(
    "--floor/--no-floor",
    default=True,
    show_default=True,
    help="Measure MODEL without its norms too: the limit of what can be gained.",
)
@click.option("--peers", is_flag=True, help="Measure what other optimizers make of MODEL too.")
@click.option(
    "--ort-model-type",
    "model_type",
    default="bert",
    show_default=True,
    metavar="TYPE",
    help="What onnxruntime.transformers is told that MODEL is, for --peers.",
)
@click.option("--profile", is_flag=True, help="Time by operator, and the share of the norms.")
@click.option("--cuda-graph", is_flag=True, help="Replay CUDA graphs.")
@click.option("--tf32/--no-tf32", default=True, show_default=True, help="TF32 on CUDA.")
@click.option("--json", type=_FILE, metavar="FILE", help="Write everything, samples included.")
@click.option("--csv", type=_FILE, metavar="FILE", help="Write the rows.")
@click.option("--html", type=_FILE, metavar="FILE", help="Write a report with plots.")
@click.option("--force", is_flag=True, help="Replace existing files.")
@click.option(
    "--compare",
    nargs=2,
    type=_FILE,
    metavar="A.json B.json",
    help="Compare two saved benchmarks of one machine instead.",
)
def bench(
    models: Sequence[Path],
    inputs: Sequence[str],
    shapes: Sequence[str],
    dims: Sequence[str],
    compare: tuple[Path, Path] | None,
    **options: Any,
) -> None:
    """Compare the latency of MODEL and CANDIDATEs in ONNX Runtime.

    Without a CANDIDATE they are made of MODEL: one for each variant of optimize. Models are timed
    side by side, in interleaved rounds; a ratio whose 95% interval contains 1 is no difference.
    """
    from graphopt.cli import bench

    if compare is not None:
        if models:
            raise click.UsageError("--compare takes two saved benchmarks and no MODEL")
        bench.compare_files(*compare)
        return
    if not models:
        raise click.UsageError("Missing argument 'MODEL'")
    bench.bench(
        models,
        inputs=read_arrays(inputs),
        shapes=to_shape_lists(shapes),
        dims=to_dim_lists(dims),
        **options,
    )


@cli.command()
@click.argument("name", required=False)
@click.option("-o", "--output", type=_FILE, help="File to write. [default: NAME.onnx]")
@click.option("--force", is_flag=True, help="Replace an existing output.")
@click.option("--list", "list_models", is_flag=True, help="List the models instead.")
@click.option("--exporter", type=click.Choice(("dynamo", "torchscript")))
@click.option("--opset", type=int, help="ONNX opset. [default: the exporter's]")
@click.option(
    "--dtype",
    type=click.Choice(("float32", "float16")),
    default="float32",
    show_default=True,
    help="Type of the weights.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of random weights.")
@click.option(
    "--from", "weights", type=_FILE, metavar="DIR", help="Local Hugging Face directory of weights."
)
def export(name: str | None, output: Path | None, list_models: bool, **options: Any) -> None:
    """Export the model NAME of the zoo to ONNX."""
    from graphopt.cli import commands

    if list_models:
        commands.list_models()
        return
    if name is None:
        raise click.UsageError("Missing argument 'NAME'; --list shows the names")
    commands.export(name, output or Path(f"{name}.onnx"), **options)


@cli.command()
@target_options
def passes(**options: Any) -> None:
    """Print the pipeline, and which of its passes may be skipped."""
    from graphopt.cli import commands

    commands.passes(**options)


@cli.command()
def doctor() -> None:
    """Report what works here: ONNX Runtime, providers, kernels, compilers."""
    from graphopt.cli import commands

    commands.doctor()
