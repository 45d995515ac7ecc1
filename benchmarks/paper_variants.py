"""Makes the five variants of the paper's study from one size of the zoo.

| variant | what it is |
| --- | --- |
| no-norm | the same graph without its norms: not equivalent, the limit of what norms can gain |
| pre-ln | the model as it is exported |
| pre-rms | its equivalent with RMSNorms |
| pre-crms | its equivalent on a residual stream of d - 1 features |
| pre-crms-same-dim | a model of the same kind on a stream of d features, so that no size is odd |

The last one follows the authors' code (https://github.com/ZixuanJiang/pre-rmsnorm-transformer):
CRMSNorm on a stream that keeps the width d of pre-ln, whose attention and MLP keep their sizes too.
It is equivalent to a Pre-LN model of width d + 1, from which it is made and against which it is
verified, and *not* to the pre-ln beside it: only its time is to be compared.
"""

from __future__ import annotations

__all__ = [
    "BASELINE",
    "SIZES",
    "VARIANTS",
    "Workplace",
    "dimensions",
    "export_pair",
    "make_variants",
    "parameters",
    "tokens",
]

import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from graphopt.benchmarking.candidates import FLOOR, Candidate
from graphopt.benchmarking.floor import remove_all_norms
from graphopt.benchmarking.result import Failure, ModelInfo
from graphopt.errors import ModelError, VerificationFailed
from graphopt.files.loading import load
from graphopt.files.saving import save
from graphopt.models.building import build
from graphopt.models.exporting import write
from graphopt.models.paper_modules import PaperConfig, PaperGPT, PaperViT
from graphopt.models.quiet import quiet
from graphopt.models.registry import find
from graphopt.optimization import optimize
from graphopt.passes.pipeline import Options

BASELINE, SAME_DIM = "pre-ln", "pre-crms-same-dim"
VARIANTS = (FLOOR, BASELINE, "pre-rms", "pre-crms", SAME_DIM)
"""In the paper's order; the norm-free floor is its no-normalization."""

SIZES = {
    **{f"vit-{size}": f"paper-vit-{size}-16" for size in ("ti", "s", "b", "l")},
    **{f"vit-{size}": f"paper-vit-{size}-14" for size in ("h", "g")},
    **{f"gpt-{size}": f"paper-gpt-{size}" for size in ("s", "m", "l", "xl")},
    **{f"gpt-{size}": f"paper-gpt-{size}" for size in ("2.7b", "6.7b", "13b", "175b")},
}
"""The paper's sizes by our short names: their names in the zoo."""


@dataclasses.dataclass(frozen=True)
class Workplace:
    """Where variants are made, and for what.

    Attributes:
        directory: Where their files are written.
        provider: Execution provider that they are lowered for.
        ops: Operators that graphopt may use.
        basis: How a centred vector of d features is held in d - 1.
        dims: Sizes of symbolic dimensions of the inputs that variants are verified on.
    """

    directory: Path
    provider: str
    ops: str
    basis: str
    dims: Mapping[str, int]


def parameters(size: str) -> int:
    """Number of weights of a size; nothing of it is allocated."""
    with torch.device("meta"):
        model = PaperViT(_config(size)) if _is_vit(size) else PaperGPT(_config(size))
    return sum(parameter.numel() for parameter in model.parameters())


def tokens(size: str) -> int | None:
    """Tokens of an image, or None for a GPT, which takes any number."""
    config = _config(size)
    return (config.image_size // config.patch_size) ** 2 + 1 if _is_vit(size) else None


def dimensions(size: str, batch: int, length: int) -> dict[str, int]:
    """The symbolic dimensions of the inputs; ``length`` is the tokens of a GPT's item."""
    return {"batch": batch} if _is_vit(size) else {"batch": batch, "sequence": length}


def export_pair(size: str, dtype: str, directory: Path) -> tuple[Path, Path]:
    """Exports a size, and the Pre-LN model that is one feature wider.

    Weights are written one by one; no more than one copy of a model is in memory.
    """
    name = SIZES[size]
    recipe = find(name)
    arguments = {BASELINE: recipe.sizes[name], "wider": _wider(recipe.sizes[name])}
    paths = {stem: directory / f"{stem}.onnx" for stem in arguments}
    for stem, path in paths.items():
        changed = dataclasses.replace(recipe, sizes={name: arguments[stem]})
        with quiet():
            model = build(changed, name, seed=0, weights=None)
            write(model, path, recipe.exporters(dtype)[0], opset=None, dtype=dtype)
    return paths[BASELINE], paths["wider"]


def make_variants(
    original: Path, wider: Path, inputs: Mapping[str, np.ndarray], place: Workplace
) -> tuple[list[Candidate], list[Failure]]:
    """Makes and verifies the variants.

    Args:
        original: The exported model, which is the variant pre-ln.
        wider: The Pre-LN model that is one feature wider.
        inputs: What the magnitudes of the activations are measured on, for the norm-free floor.
        place: Where they are made, and for what.

    Returns:
        The variants in the paper's order, and those that could not be made or verified.
    """
    baseline = Candidate(ModelInfo(BASELINE, "original", original.name), original)
    jobs = {
        FLOOR: functools.partial(_remove_norms, original, inputs),
        "pre-rms": functools.partial(_optimize, original, "rms", None),
        "pre-crms": functools.partial(_optimize, original, "crms", place.basis),
        SAME_DIM: functools.partial(_optimize, wider, "crms", place.basis),
    }
    made, failures = {BASELINE: baseline}, []
    for name, job in jobs.items():
        try:
            made[name] = job(name, place)
        except (ModelError, VerificationFailed) as error:
            failures.append(Failure(name, str(error)))
    return [made[name] for name in VARIANTS if name in made], failures


def _wider(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """One feature more, with the attention and the MLP of the size as it is."""
    config = PaperConfig(**arguments)
    return dict(arguments) | {
        "width": config.width + 1,
        "head_size": config.head_size or config.width // config.heads,
        "hidden": config.hidden or 4 * config.width,
    }


def _config(size: str) -> PaperConfig:
    return PaperConfig(**find(SIZES[size]).sizes[SIZES[size]])


def _is_vit(size: str) -> bool:
    return find(SIZES[size]).architecture == "paper ViT"


def _remove_norms(
    source: Path, inputs: Mapping[str, np.ndarray], name: str, place: Workplace
) -> Candidate:
    model, target = load(source), place.directory / f"{name}.onnx"
    remove_all_norms(model, inputs, Options(provider=place.provider, ops=place.ops))
    save(model, target)
    return Candidate(ModelInfo(name, "floor", "the norms of pre-ln removed"), target)


def _optimize(
    source: Path, variant: str, basis: str | None, name: str, place: Workplace
) -> Candidate:
    target = place.directory / f"{name}.onnx"
    report = optimize(
        source,
        variant,
        basis=basis,
        output=target,
        provider=place.provider,
        ops=place.ops,
        dims=place.dims,
    ).report
    plan = report.plan
    changed = plan.compressed if variant == "crms" else plan.converted
    if changed < len(plan.norms) or plan.recentrings or plan.basis_changes:
        raise ModelError(
            f"{changed} of {len(plan.norms)} norms were converted, with {len(plan.recentrings)} "
            f"recentrings and {len(plan.basis_changes)} changes of basis: not the paper's model"
        )
    if report.doubt:
        raise ModelError(f"beside {source.name} it {report.doubt}")
    origin = f"{source.name} by --variant {variant}" + (f" --basis {basis}" if basis else "")
    return Candidate(ModelInfo(name, "optimized", origin), target)
