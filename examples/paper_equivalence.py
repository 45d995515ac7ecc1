"""The paper's equivalence, shown on one exported model: Pre-LN = Pre-RMSNorm = Pre-CRMSNorm.

    python examples/paper_equivalence.py

"Pre-RMSNorm and Pre-CRMSNorm Transformers" (arXiv 2305.14858) takes a Pre-LN Transformer through
three steps that change what is computed inside, and not the result. Here graphopt's passes take
them on an ONNX graph, a small ViT (4 blocks, width 64, 32 x 32 images):

1. zero-mean Pre-LN: what writes the residual stream is recentred, the LayerNorms stay;
2. Pre-RMSNorm: a LayerNorm of a zero-mean stream is an RMSNorm;
3. Pre-CRMSNorm: a zero-mean vector of d features is held in d - 1. The paper drops the last
   feature; graphopt's own default, an orthonormal basis, needs no operator but RMSNorm.

Weights are random, with gamma, beta and biases far from 1 and 0. The first table shows what each
step did, with the largest mean of a token in the stream. The second shows how far the logits of
each two models are apart: the largest difference as a share of the largest logit, in float64 and,
for information, in float32 in ONNX Runtime.
"""

from __future__ import annotations

import dataclasses
import itertools
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import onnx_ir as ir
import onnxruntime
from rich import box
from rich.console import Console
from rich.table import Table

import graphopt
from graphopt.models import export
from graphopt.passes import pipeline
from graphopt.passes.make_plan import MakePlan

BATCH = 64
TOLERANCE = 1e-12
"""Largest difference in float64 that counts as equal, as a share of the largest logit."""

# Fused, a norm and the residual sum before it are one operator: left apart, the norms are seen.
PLAIN = frozenset({"fuse-custom-norms"})
CONVERTED = {
    "Pre-RMSNorm": pipeline.Options(variant="rms", ops="custom", skip=PLAIN),
    "Pre-CRMSNorm": pipeline.Options(variant="crms", basis="drop", ops="custom", skip=PLAIN),
    "Pre-CRMSNorm, orthonormal": pipeline.Options(variant="crms", ops="custom", skip=PLAIN),
}


@dataclasses.dataclass(frozen=True)
class Variant:
    """One of the equivalent models.

    Attributes:
        model: The model.
        streams: Names of the values that its norms read: the residual stream, at each norm.
    """

    model: ir.Model
    streams: tuple[str, ...]

    def norms(self) -> Counter[str]:
        """How many nodes of each norm operator the graph has."""
        return Counter(node.op_type for node in self.model.graph if "Norm" in node.op_type)


def make_variants(model: ir.Model) -> dict[str, Variant]:
    """``model``, a Pre-LN Transformer, and its equivalents by name; it is not changed."""
    summary = pipeline.analyse(model.clone(), pipeline.Options())
    streams = tuple(norm.value for norm in summary.norms)
    variants = {"Pre-LN": model.clone(), "zero-mean Pre-LN": recentred(model)}
    for name, options in CONVERTED.items():
        variants[name] = model.clone()
        pipeline.run(variants[name], options)
    return {name: Variant(variant, streams) for name, variant in variants.items()}


def recentred(model: ir.Model) -> ir.Model:
    """A copy of ``model`` that has gone through the pipeline without the conversion of norms."""
    copy, plan = model.clone(), None
    options = pipeline.Options(ops="standard", skip=frozenset({"fold-affine"}))
    for step in pipeline.steps(options):
        if step.name == "convert-norms":
            continue
        made = step.build(options, plan)
        made(copy)
        if isinstance(made, MakePlan):
            plan = made.plan
    return copy


def run(model: ir.Model, inputs: dict[str, np.ndarray]) -> np.ndarray:
    """The logits of ``model`` in ONNX Runtime."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "model.onnx"
        graphopt.save(model, path)
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        return session.run(["logits"], inputs)[0]


def differences(logits: dict[str, np.ndarray]) -> dict[tuple[str, str], float]:
    """For each two models the largest difference, as a share of the largest logit of all."""
    largest = max(np.abs(array).max() for array in logits.values())
    return {
        (one, other): float(np.abs(logits[one] - logits[other]).max() / largest)
        for one, other in itertools.combinations(logits, 2)
    }


def table(*headings: str) -> Table:
    """An empty table, numbers to the right."""
    empty = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    for heading in headings:
        empty.add_column(heading, justify="left" if heading == headings[0] else "right")
    return empty


def main() -> None:
    """Exports the model, makes the variants, and compares them; exits with 1 where two differ."""
    with tempfile.TemporaryDirectory() as directory:
        path = export("paper-vit-demo", Path(directory) / "vit.onnx")
        original = graphopt.load(path)
        single = make_variants(original)
        double = make_variants(graphopt.cast_to_float64(original))
        images = graphopt.generate_inputs(original, dims={"batch": BATCH}).arrays

        made = table("model", "LayerNorm", "RMSNorm", "CRMSNorm", "features", "mean")
        logits, logits_of_float32 = {}, {}
        for name, variant in double.items():
            values = graphopt.evaluate(variant.model, images, ["logits", *variant.streams])
            logits[name] = values.pop("logits")
            logits_of_float32[name] = run(single[name].model, images)
            norms = variant.norms()
            counts = [norms[kind] for kind in ("LayerNormalization", "RMSNorm", "CRMSNorm")]
            features = sorted({array.shape[-1] for array in values.values()})
            mean = max(np.abs(array.mean(axis=-1)).max() for array in values.values())
            cells = [*counts, ", ".join(map(str, features)), f"{mean:.1e}"]
            made.add_row(name, *(str(cell) if cell else "" for cell in cells))

    compared = table("pair", "float64", "float32")
    errors, errors_of_float32 = differences(logits), differences(logits_of_float32)
    for pair, error in errors.items():
        compared.add_row(" = ".join(pair), f"{error:.1e}", f"{errors_of_float32[pair]:.1e}")
    equal = sum(error <= TOLERANCE for error in errors.values())
    console = Console()
    console.print(made)
    console.print()
    console.print(compared)
    console.print(f"\n{equal} of {len(errors)} pairs are equal in float64 (within {TOLERANCE:.0e})")
    sys.exit(equal < len(errors))


if __name__ == "__main__":
    main()
