"""The command ``export``."""

from __future__ import annotations

__all__ = ["export"]

import dataclasses
from pathlib import Path

import click

from graphopt.cli.parameters import gathered

_FILE = click.Path(path_type=Path)
_SYNTHETIC = "synthetic"
_KINDS = ("gpt", "vit")  # graphopt.models.synthetic has them, and imports onnx_ir
_COUNT = click.IntRange(min=1)


@dataclasses.dataclass(frozen=True)
class SyntheticOptions:
    """What was said about the model ``synthetic``; None is what was not."""

    kind: str | None
    layers: int | None
    hidden: int | None
    heads: int | None
    vocab: int | None
    tied: bool | None

    def given(self) -> dict[str, object]:
        """What was said, by the name of the option."""
        return {name: value for name, value in vars(self).items() if value is not None}


@click.command()
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
@gathered(
    "synthetic",
    SyntheticOptions,
    click.option("--kind", type=click.Choice(_KINDS), help="synthetic: what it is. [default: gpt]"),
    click.option("--layers", type=_COUNT, help="synthetic: number of blocks. [default: 12]"),
    click.option(
        "--hidden", type=_COUNT, help="synthetic: number of features. [default: gpt 768, vit 192]"
    ),
    click.option(
        "--heads", type=_COUNT, help="synthetic: heads of attention. [default: gpt 12, vit 3]"
    ),
    click.option(
        "--vocab",
        type=_COUNT,
        help="synthetic: tokens of a gpt, classes of a vit. [default: gpt 50257, vit 1000]",
    ),
    click.option(
        "--tied/--own-head",
        default=None,
        help="synthetic gpt: the head is the table of tokens, or a weight of its own. "
        "[default: tied]",
    ),
)
def export(
    name: str | None,
    output: Path | None,
    force: bool,
    list_models: bool,
    exporter: str | None,
    opset: int | None,
    dtype: str,
    seed: int,
    weights: Path | None,
    synthetic: SyntheticOptions,
) -> None:
    """Export the model NAME of the zoo to ONNX, or make a synthetic one.

    The zoo needs torch and transformers. NAME "synthetic" needs neither: it is a Pre-LN transformer
    of any size with random weights, written one at a time, so that 13 GB take the memory of the
    largest weight.
    """
    from graphopt.cli import exporting

    if list_models:
        exporting.list_models()
        return
    if name is None:
        raise click.UsageError("Missing argument 'NAME'; --list shows the names")
    target = output or Path(f"{name}.onnx")
    if name == _SYNTHETIC:
        _refuse({"--exporter": exporter, "--opset": opset, "--from": weights}, "the zoo", name)
        exporting.export_synthetic(target, synthetic.given(), force=force, dtype=dtype, seed=seed)
        return
    given = {f"--{option}": value for option, value in synthetic.given().items()}
    _refuse(given, f"the model {_SYNTHETIC!r}", name)
    exporting.export(
        name,
        target,
        force=force,
        exporter=exporter,
        opset=opset,
        dtype=dtype,
        seed=seed,
        weights=weights,
    )


def _refuse(given: dict[str, object], owner: str, name: str) -> None:
    """Raise for an option that says nothing about the model called ``name``."""
    for option, value in given.items():
        if value is not None:
            raise click.UsageError(f"{option} is for {owner}: leave it out for {name!r}")
