"""The command ``bench``: its options, which become the settings of a benchmark."""

from __future__ import annotations

__all__ = ["bench"]

from collections.abc import Sequence
from pathlib import Path

import click

from graphopt.benchmarking.settings import QUANTIZERS, Settings
from graphopt.cli.endpoint_options import EndpointOptions, endpoint_options, refuse_beside
from graphopt.cli.parameters import (
    choice_option,
    gathered,
    input_option,
    library_option,
    parsed,
)
from graphopt.cli.parsing import to_dim_lists, to_integers, to_shape_lists
from graphopt.passes.choices import OPS, PROVIDER

_FILE = click.Path(path_type=Path)
_WITH_ENDPOINTS = ("duration", "iterations", "openings", "warmup", "seed", "json", "force")
"""The parameters that have a meaning for servers, too."""

_settings_options = gathered(
    "settings",
    Settings,
    click.option(
        "--provider",
        "providers",
        type=click.Choice(PROVIDER.values),
        multiple=True,
        default=(PROVIDER.default,),
        show_default=True,
        help="Execution provider to run on. Repeatable.",
    ),
    click.option(
        "--threads",
        callback=parsed(to_integers),
        default="1",
        show_default=True,
        metavar="N[,N...]",
        help="Threads; 0 is all cores.",
    ),
    click.option(
        "--dtype",
        "dtypes",
        type=click.Choice(("float32", "float16")),
        multiple=True,
        help="Type of the weights; MODEL is converted to float16 first. Repeatable. "
        "[default: MODEL's]",
    ),
    click.option(
        "--batch",
        "batches",
        callback=parsed(to_integers),
        default="",
        metavar="N[,N...]",
        help="Batch sizes. [default: 1]",
    ),
    click.option(
        "--seq",
        "lengths",
        callback=parsed(to_integers),
        default="",
        metavar="N[,N...]",
        help="Sequence lengths.",
    ),
    click.option(
        "--dim",
        "dims",
        multiple=True,
        callback=parsed(to_dim_lists),
        metavar="NAME=N[,N...]",
        help="Sizes of a symbolic dimension. Repeatable.",
    ),
    click.option(
        "--input-shape",
        "input_shapes",
        multiple=True,
        callback=parsed(to_shape_lists),
        metavar="NAME:1,128",
        help="Shape of a generated input. Repeatable, for one input too.",
    ),
    input_option(),
    library_option(),
    click.option(
        "--seed",
        type=int,
        default=Settings.seed,
        show_default=True,
        help="Seed of all that is random.",
    ),
    click.option(
        "--duration",
        type=float,
        default=Settings.duration,
        show_default=True,
        help="Seconds to aim at for each combination of sizes, threads, provider and type.",
    ),
    click.option(
        "--iterations", type=int, help="Timed calls of each model, instead of --duration."
    ),
    click.option(
        "--sessions",
        "openings",
        type=int,
        default=Settings.openings,
        show_default=True,
        help="The most sessions of each model, one after the other; at least 6.",
    ),
    click.option(
        "--warmup",
        type=int,
        default=Settings.warmup,
        show_default=True,
        help="Calls between two looks at whether they still get faster.",
    ),
    click.option(
        "--clock",
        type=click.Choice(("wall", "thread_cpu")),
        default=Settings.clock,
        show_default=True,
        help="thread_cpu is steadier, and sees one thread on the CPU.",
    ),
    click.option(
        "--library/--no-library",
        default=None,
        help="Register the native kernels. [default: where they were built]",
    ),
    choice_option(OPS),
    click.option(
        "--baseline", metavar="NAME", help="What the others are divided by. [default: MODEL]"
    ),
    click.option(
        "--floor/--no-floor",
        default=Settings.floor,
        show_default=True,
        help="Measure MODEL without its norms too: the limit of what can be gained.",
    ),
    click.option(
        "--norms-alone/--no-norms-alone",
        "no_fuse",
        default=Settings.no_fuse,
        show_default=True,
        help="Where more than norms is changed, measure what the norms alone give: rms no-fuse and "
        "floor no-fuse. Without, there is no captured share then.",
    ),
    click.option(
        "--quantize",
        type=click.Choice(QUANTIZERS),
        multiple=True,
        help="Measure the quantized forms of MODEL and of each result too, by ONNX Runtime's "
        "quantizers: dynamic (8 bits) or matmul4 (4 bits). Repeatable.",
    ),
    click.option("--peers", is_flag=True, help="Measure what other optimizers make of MODEL too."),
    click.option(
        "--ort-model-type",
        "model_type",
        default=Settings.model_type,
        show_default=True,
        metavar="TYPE",
        help="What onnxruntime.transformers is told that MODEL is, for --peers.",
    ),
    click.option("--profile", is_flag=True, help="Time by operator, and the share of the norms."),
    click.option("--cuda-graph", is_flag=True, help="Replay CUDA graphs."),
    click.option(
        "--tf32/--no-tf32", default=Settings.tf32, show_default=True, help="TF32 on CUDA."
    ),
)


@click.command()
@click.argument("models", nargs=-1, type=_FILE, metavar="MODEL [CANDIDATE]...")
@_settings_options
@endpoint_options
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
    settings: Settings,
    asked: EndpointOptions | None,
    json: Path | None,
    csv: Path | None,
    html: Path | None,
    force: bool,
    compare: tuple[Path, Path] | None,
) -> None:
    """Compare the latency of MODEL and CANDIDATEs in ONNX Runtime.

    Without a CANDIDATE they are made of MODEL: one for each variant of optimize. Models are timed
    side by side, in interleaved rounds; a ratio whose 95% interval contains 1 is no difference.
    With two or more --endpoint servers are compared, by the latency that a client sees.
    """
    if asked is not None:
        from graphopt.cli.endpoints import bench_endpoints

        refuse_beside("--endpoint", _WITH_ENDPOINTS)
        bench_endpoints(asked, settings, json=json, force=force)
        return
    from graphopt.cli import bench

    if compare is not None:
        if models:
            raise click.UsageError("--compare takes two saved benchmarks and no MODEL")
        bench.compare_files(*compare)
        return
    if not models:
        raise click.UsageError("Missing argument 'MODEL'")
    bench.bench(models, settings, json=json, csv=csv, html=html, force=force)
