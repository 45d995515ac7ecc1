"""What ``graphopt export`` does: write a model of the zoo, or a synthetic one."""

from __future__ import annotations

__all__ = ["export", "export_synthetic", "list_models"]

import dataclasses
import os
from pathlib import Path
from typing import Any

from graphopt.errors import UsageError
from graphopt.files.regular_files import refuse_other_than_files


def export(
    name: str,
    output: Path,
    *,
    force: bool,
    exporter: str | None,
    opset: int | None,
    dtype: str,
    seed: int,
    weights: Path | None,
) -> None:
    """Export a model of the zoo and print its path."""
    from graphopt import models

    refuse_other_than_files(output)
    if os.path.lexists(output) and not force:
        raise UsageError(f"{output}: exists: choose another output, or replace it (--force)")
    made = models.export(
        name, output, exporter=exporter, opset=opset, dtype=dtype, seed=seed, weights=weights
    )
    print(made)


def export_synthetic(
    output: Path, given: dict[str, Any], *, force: bool, dtype: str, seed: int
) -> None:
    """Write a synthetic model and print its path.

    Args:
        output: The file to write.
        given: Its kind, and the fields of its size that are not those of the kind.
        force: Replace an existing file.
        dtype: "float32" or "float16".
        seed: Seed of the weights.
    """
    from graphopt.files import saving
    from graphopt.models import synthetic

    kind = given.pop("kind", "gpt")
    if kind != "gpt" and "tied" in given:
        raise UsageError(f"only a gpt has a head that can be tied: leave that out for a {kind}")
    size = dataclasses.replace(synthetic.SIZES[kind], **given)
    saving.save(synthetic.build(kind, size, dtype=dtype, seed=seed), output, force=force)
    print(output)


def list_models() -> None:
    """Print the names of the zoo."""
    from graphopt import models
    from graphopt.printing import reports

    reports.print_models(reports.console(), models.describe())
