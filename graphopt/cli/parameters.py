"""Option groups that commands share; each reaches its command as one value, checked."""

from __future__ import annotations

__all__ = [
    "check_options",
    "choice_option",
    "gathered",
    "input_option",
    "library_option",
    "parsed",
    "sample_options",
    "target_options",
    "verbosity_options",
]

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from graphopt.cli.parsing import existing_files, read_arrays, to_dims, to_shapes
from graphopt.options import Check, Sample
from graphopt.passes.choices import (
    BASIS,
    FUSE,
    MAX_GROWTH,
    OPS,
    PROVIDER,
    SKIP,
    TARGET,
    VARIANT,
    Choice,
)

if TYPE_CHECKING:
    import numpy as np

    from graphopt.passes.pipeline import Options

Command = Callable[..., None]
Decorator = Callable[[Command], Command]
Text = TypeVar("Text")
Value = TypeVar("Value")


def target_options(command: Command) -> Command:
    """Add what the model is optimized for; the command gets ``options``."""
    return gathered(
        "options",
        _to_options,
        choice_option(VARIANT),
        click.option(
            "--basis",
            type=click.Choice(BASIS.values),  # None, so that one that is given for rms is an error
            help=f"{BASIS.help}  [default: {BASIS.default}]",
        ),
        click.option(
            "--ops",
            type=click.Choice(OPS.values),  # None, so that a target can tell what was given
            help=f"{OPS.help}  [default: {OPS.default}]",
        ),
        click.option("--target", type=click.Choice(TARGET.values), help=TARGET.help),
        choice_option(PROVIDER),
        click.option(
            "--max-growth",
            type=float,
            default=MAX_GROWTH.default,
            metavar="SHARE",
            help=f"{MAX_GROWTH.help} [default: no bound]",
        ),
        click.option("--fuse/--no-fuse", default=FUSE.default, show_default=True, help=FUSE.help),
        click.option("--skip", multiple=True, metavar="PASS", help=f"{SKIP.help} Repeatable."),
    )(command)


def check_options(command: Command) -> Command:
    """Add what models are compared on, and how strictly; the command gets ``check``."""
    return gathered(
        "check",
        _to_check,
        click.option(
            "--rtol",
            type=float,
            help="Relative tolerance. [default: by the coarsest type that computes the output]",
        ),
        click.option(
            "--atol", type=float, help="Absolute tolerance. [default: RTOL x the mean magnitude]"
        ),
        *_sample_options(),
    )(command)


def sample_options(command: Command) -> Command:
    """Add what a model is run on; the command gets ``sample``."""
    return gathered("sample", _to_sample, *_sample_options())(command)


def _sample_options() -> tuple[Decorator, ...]:
    return (
        input_option(),
        click.option(
            "--input-shape",
            "input_shapes",
            multiple=True,
            callback=parsed(to_shapes),
            metavar="NAME:1,128",
            help="Shape of a generated input. Repeatable.",
        ),
        click.option(
            "--dim",
            "dims",
            multiple=True,
            callback=parsed(to_dims),
            metavar="NAME=N",
            help="Size of a symbolic dimension. Repeatable.",
        ),
        click.option(
            "--seed", type=int, default=0, show_default=True, help="Seed of generated inputs."
        ),
        library_option(),
    )


def verbosity_options(command: Command) -> Command:
    """Add --quiet and --verbose."""
    for option in (
        click.option("-v", "--verbose", is_flag=True, help="Print what each pass did."),
        click.option("-q", "--quiet", is_flag=True, help="Print the path of the result only."),
    ):
        command = option(command)
    return command


def choice_option(choice: Choice[str], help: str = "") -> Decorator:
    """The option of a choice among names."""
    return click.option(
        f"--{choice.name}",
        type=click.Choice(choice.values),
        default=choice.default,
        show_default=True,
        help=help or choice.help,
    )


def input_option() -> Decorator:
    """The option --input, whose value is arrays by name."""
    return click.option(
        "--input",
        "inputs",
        multiple=True,
        callback=parsed(read_arrays),
        metavar="NAME:FILE.npy",
        help="Array for an input; the others are generated. Repeatable.",
    )


def library_option() -> Decorator:
    """The option --custom-op-library, whose value is paths."""
    return click.option(
        "--custom-op-library",
        "custom_op_libraries",
        type=click.Path(path_type=Path),
        multiple=True,
        callback=parsed(existing_files),
        metavar="FILE",
        help="Library of operators of your own, for every session of ONNX Runtime. Repeatable.",
    )


def parsed(
    parse: Callable[[Text], Value],
) -> Callable[[click.Context, click.Parameter, Text], Value]:
    """A callback that gives an option the value of its text, or of its texts."""
    return lambda context, parameter, text: parse(text)


def gathered(parameter: str, make: Callable[..., object], *options: Decorator) -> Decorator:
    """Add options that reach the command as one value.

    Args:
        parameter: The command's parameter for it.
        make: Makes it; its parameters have the names of the options.
        options: The options, in the order of the help.
    """

    names = tuple(inspect.signature(make).parameters)

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def called(**values: object) -> None:
            given = {name: values.pop(name) for name in names}
            command(**{**values, parameter: make(**given)})

        wrapped: Command = called
        for option in reversed(options):
            wrapped = option(wrapped)
        return wrapped

    return decorate


def _to_options(
    variant: str,
    basis: str | None,
    ops: str | None,
    target: str | None,
    provider: str,
    max_growth: float | None,
    skip: Sequence[str],
    fuse: bool,
) -> Options:
    from graphopt.passes.pipeline import Options

    return Options(variant, basis, ops, provider, max_growth, frozenset(skip), fuse, target)


def _to_check(
    rtol: float | None,
    atol: float | None,
    inputs: Mapping[str, np.ndarray],
    input_shapes: Mapping[str, Sequence[int]],
    dims: Mapping[str, int],
    seed: int,
    custom_op_libraries: Sequence[Path],
) -> Check:
    return Check(_to_sample(inputs, input_shapes, dims, seed, custom_op_libraries), rtol, atol)


def _to_sample(
    inputs: Mapping[str, np.ndarray],
    input_shapes: Mapping[str, Sequence[int]],
    dims: Mapping[str, int],
    seed: int,
    custom_op_libraries: Sequence[Path],
) -> Sample:
    return Sample(inputs, input_shapes, dims, seed, custom_op_libraries)
