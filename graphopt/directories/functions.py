"""The Python function: each choice a keyword."""

from __future__ import annotations

__all__ = ["optimize_directory"]

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from graphopt.directories.job import optimize_directory_for
from graphopt.directories.report import DirectoryReport
from graphopt.options import Check, Sample
from graphopt.passes.choices import FUSE, MAX_GROWTH, OPS, PROVIDER, SKIP, VARIANT
from graphopt.passes.pipeline import Options
from graphopt.passes.report import Progress


def optimize_directory(
    directory: str | os.PathLike[str],
    output: str | os.PathLike[str],
    variant: str = VARIANT.default,
    *,
    basis: str | None = None,
    ops: str = OPS.default,
    provider: str = PROVIDER.default,
    verify: bool = True,
    force: bool = False,
    rtol: float | None = None,
    atol: float | None = None,
    dims: Mapping[str, int] | None = None,
    seed: int = 0,
    custom_op_libraries: Sequence[str | os.PathLike[str]] = (),
    max_growth: float | None = MAX_GROWTH.default,
    skip: Iterable[str] = SKIP.default,
    fuse: bool = FUSE.default,
    progress: Progress | None = None,
) -> DirectoryReport:
    """Optimize the models of a directory, as optimum, sentence-transformers, transformers.js or
    onnxruntime-genai write it, into a new directory that they read in its place.

    Models are the .onnx files of the directory and of its folder ``onnx``. Each keeps its name, and
    so does its data file; one in which nothing converts, or which is quantized, is copied byte by
    byte. All other files are copied. For onnxruntime-genai, with the operators ``custom``, the
    kernel library is put beside the models and named in ``genai_config.json``.

    Each model is verified as :func:`graphopt.optimize` does; those of which one is handed what
    another gives (encoder and decoder, a cache) are run together too.

    Args:
        directory: The directory; it is not changed.
        output: The directory to make; it appears whole or not at all.
        variant: As in :func:`graphopt.optimize`, like all that is not explained here.
        basis: As there.
        ops: As there.
        provider: As there.
        verify: Verify the results.
        force: Replace an existing directory of models.
        rtol: As there.
        atol: As there.
        dims: Sizes of symbolic dimensions, by name, for the models that have them.
        seed: As there.
        custom_op_libraries: As there.
        max_growth: As there.
        skip: As there.
        fuse: As there.
        progress: As there.

    Raises:
        UsageError: An option or the output cannot be used.
        ModelError: There is no model, one cannot be read, a configuration is broken or is that of
            another model, or two files would get one name.
        DirectoryRejected: A result is not the same function within the tolerance.
        EnvironmentFailure: No ONNX Runtime, a full disk, a missing permission.
    """
    options = Options(variant, basis, ops, provider, max_growth, frozenset(skip), fuse)
    sample = Sample({}, {}, dims or {}, seed, tuple(custom_op_libraries))
    check = Check(sample, rtol, atol) if verify else None
    return optimize_directory_for(
        Path(directory), Path(output), options, check=check, force=force, progress=progress
    )
