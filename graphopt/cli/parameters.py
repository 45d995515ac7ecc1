"""Option groups that commands share, and the values that are written NAME:VALUE."""

from __future__ import annotations

__all__ = [
    "input_options",
    "read_arrays",
    "target_options",
    "to_dim_lists",
    "to_dims",
    "to_integers",
    "to_shape_lists",
    "to_shapes",
    "tolerance_options",
    "verbosity_options",
]

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from graphopt.errors import EnvironmentFailure, UsageError
from graphopt.options import BASES, OPERATOR_SETS, PROVIDERS, VARIANTS

if TYPE_CHECKING:
    import numpy as np

Function = TypeVar("Function", bound=Callable[..., Any])


def target_options(command: Function) -> Function:
    """Add what the model is optimized for."""
    return _add(
        command,
        click.option(
            "--variant",
            type=click.Choice(VARIANTS),
            default="rms",
            show_default=True,
            help="What LayerNorms become: RMSNorms, or RMSNorms on streams that are compressed to "
            "d - 1 features.",
        ),
        click.option(
            "--basis",
            type=click.Choice(BASES),
            help="How crms represents d centred features by d - 1; drop leaves the last one out, "
            "and needs CRMSNorms.  [default: orthonormal]",
        ),
        click.option(
            "--ops",
            type=click.Choice(OPERATOR_SETS),
            default="custom",
            show_default=True,
            help="Operators of the result: graphopt's own too, which have bodies in ONNX's and "
            "native kernels; ONNX's alone; or ONNX Runtime's own too.",
        ),
        click.option(
            "--provider",
            type=click.Choice(PROVIDERS),
            default="cpu",
            show_default=True,
            help="Execution provider that the result is lowered for.",
        ),
        click.option(
            "--max-growth",
            type=float,
            metavar="SHARE",
            help="Largest bytes of copied weights, as a share of all weights. [default: no bound]",
        ),
        click.option(
            "--skip",
            multiple=True,
            metavar="PASS",
            help="Leave out an optional pass (graphopt passes lists them). Repeatable.",
        ),
    )


def tolerance_options(command: Function) -> Function:
    """Add the tolerances of a verification."""
    return _add(
        command,
        click.option(
            "--rtol", type=float, help="Relative tolerance. [default: by the output's type]"
        ),
        click.option(
            "--atol", type=float, help="Absolute tolerance. [default: by the output's type]"
        ),
    )


def input_options(command: Function) -> Function:
    """Add what a model is run on."""
    return _add(
        command,
        click.option(
            "--input",
            "inputs",
            multiple=True,
            metavar="NAME:FILE.npy",
            help="Array for an input; the others are generated. Repeatable.",
        ),
        click.option(
            "--input-shape",
            "shapes",
            multiple=True,
            metavar="NAME:1,128",
            help="Shape of a generated input. Repeatable.",
        ),
        click.option(
            "--dim",
            "dims",
            multiple=True,
            metavar="NAME=N",
            help="Size of a symbolic dimension. Repeatable.",
        ),
        click.option(
            "--seed", type=int, default=0, show_default=True, help="Seed of generated inputs."
        ),
    )


def verbosity_options(command: Function) -> Function:
    """Add --quiet and --verbose."""
    return _add(
        command,
        click.option("-q", "--quiet", is_flag=True, help="Print the path of the result only."),
        click.option("-v", "--verbose", is_flag=True, help="Print what each pass did."),
    )


def _add(command: Function, *options: Callable[[Function], Function]) -> Function:
    for option in reversed(options):
        command = option(command)
    return command


def to_shapes(texts: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Parse ``NAME:1,128`` (``NAME:`` is a scalar's).

    Raises:
        UsageError: A text of another form, or a negative size.
    """
    shapes = {}
    for text in texts:
        # The last colon: names such as "input:0" have their own.
        name, separator, sizes = text.rpartition(":")
        try:
            shape = tuple(int(size) for size in sizes.split(",") if size.strip())
        except ValueError:
            shape = (-1,)
        if not separator or not name or min(shape, default=0) < 0:
            raise UsageError(f"--input-shape {text!r}: write it as NAME:1,128")
        shapes[name] = shape
    return shapes


def to_dims(texts: Sequence[str]) -> dict[str, int]:
    """Parse ``NAME=N``.

    Raises:
        UsageError: A text of another form, or a size below 1.
    """
    dims = {}
    for text in texts:
        name, _, size = text.rpartition("=")
        if not name or not size.strip().isdecimal() or int(size) < 1:
            raise UsageError(f"--dim {text!r}: write it as NAME=N with N at least 1")
        dims[name] = int(size)
    return dims


def read_arrays(texts: Sequence[str]) -> dict[str, np.ndarray]:
    """Read the files of ``NAME:FILE.npy``.

    Raises:
        UsageError: A text of another form, or a file that is missing or holds no array.
        EnvironmentFailure: The file cannot be read.
    """
    if not texts:
        return {}
    import numpy as np

    arrays = {}
    for text in texts:
        name, _, file = text.rpartition(":")
        if not name or not file:
            raise UsageError(f"--input {text!r}: write it as NAME:FILE.npy")
        path = Path(file)
        if not path.is_file():
            raise UsageError(f"--input {name}: no such file: {path}")
        try:
            array = np.load(path, allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise UsageError(f"--input {name}: {path} holds no plain NumPy array") from error
        except OSError as error:
            raise EnvironmentFailure(f"{path}: cannot be read: {error.strerror}") from error
        if not isinstance(array, np.ndarray):
            raise UsageError(f"--input {name}: {path} holds several arrays: give one .npy file")
        arrays[name] = array
    return arrays


def to_integers(text: str) -> tuple[int, ...]:
    """Parse ``1,8,32``; nothing is no integer.

    Raises:
        UsageError: A text of another form.
    """
    parts = [part.strip() for part in text.split(",")] if text else []
    if not all(part.isdecimal() for part in parts):
        raise UsageError(f"{text!r} is no list of numbers: write it as 1,8,32")
    return tuple(int(part) for part in parts)


def to_dim_lists(texts: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Parse ``NAME=N[,N...]``.

    Raises:
        UsageError: A text of another form, a size below 1, or a name given twice.
    """
    lists: dict[str, tuple[int, ...]] = {}
    for text in texts:
        name, _, sizes = text.rpartition("=")
        if name in lists:
            raise UsageError(f"--dim {text!r}: give all sizes of {name!r} at once: NAME=1,8,32")
        parts = [part.strip() for part in sizes.split(",")]
        if not name or not all(part.isdecimal() and int(part) for part in parts):
            raise UsageError(f"--dim {text!r}: write it as NAME=N or NAME=N,N with N at least 1")
        lists[name] = tuple(int(part) for part in parts)
    return lists


def to_shape_lists(texts: Sequence[str]) -> dict[str, list[tuple[int, ...]]]:
    """Parse ``NAME:1,128``; a name that comes again has several shapes.

    Raises:
        UsageError: A text of another form, or a negative size.
    """
    lists: dict[str, list[tuple[int, ...]]] = {}
    for text in texts:
        for name, shape in to_shapes([text]).items():
            lists.setdefault(name, []).append(shape)
    return lists
