"""What an output says of itself: how, of what and for what it was made, and how it was checked."""

from __future__ import annotations

__all__ = ["KEYS", "PREFIX", "made_from", "made_with", "verified_by", "without_signature"]

import importlib.metadata
import math
from collections.abc import Mapping, Sequence

import onnx_ir as ir

from graphopt.passes.options import Options
from graphopt.readers import least_runtime
from graphopt.verification import Verification

PREFIX = "graphopt."
KEYS = {
    "version": "of graphopt",
    "variant": "what LayerNorms became",
    "basis": "of crms",
    "ops": "the operators that it may have",
    "target": "where it goes, if that was said",
    "provider": "the execution provider that it was lowered for",
    "least_onnxruntime": "the oldest ONNX Runtime that was tried and reads it",
    "least_ir": "the IR version of the file",
    "source.sha256": "of the file that it was made from",
    "source.data.sha256": "of each file of its external data, in the order of their paths",
    "verification": "passed, unverified, or not asked for",
    "verification.error": "the largest relative difference of an output",
    "verification.runtime": "what it was verified in",
}
"""What each key means, without the prefix."""


def made_with(model: ir.Model, options: Options) -> dict[str, str]:
    """What is known before the verification; nothing that differs from run to run.

    Args:
        model: The optimized model.
        options: What it was made with.
    """
    found = {
        "version": importlib.metadata.version("graphopt"),
        "variant": options.variant,
        "basis": options.basis,
        "ops": options.ops,
        "target": options.target,
        "provider": options.provider,
        "least_onnxruntime": least_runtime(model),
        "least_ir": str(model.ir_version),
    }
    return {PREFIX + key: value for key, value in found.items() if value}


def made_from(digests: Sequence[str]) -> dict[str, str]:
    """What says which files a model was made from; nothing where it was made from none.

    Args:
        digests: SHA-256 of the model file, then of each file of its external data.
    """
    if not digests:
        return {}
    found = {"source.sha256": digests[0], "source.data.sha256": " ".join(digests[1:])}
    return {PREFIX + key: value for key, value in found.items() if value}


def verified_by(checked: Verification | None) -> dict[str, str]:
    """What a verification says; None where it was not asked for."""
    if checked is None:
        return {f"{PREFIX}verification": "not asked for"}
    errors = [output.max_rel for output in checked.outputs if math.isfinite(output.max_rel)]
    found = {
        "verification": checked.status,
        "verification.error": f"{max(errors):.1e}" if errors else "",
        "verification.runtime": f"ONNX Runtime {checked.runtime}" if checked.runtime else "",
    }
    return {PREFIX + key: value for key, value in found.items() if value}


def without_signature(properties: Mapping[str, str]) -> dict[str, str]:
    """The metadata of a model without what graphopt said of an earlier run."""
    return {key: value for key, value in properties.items() if not key.startswith(PREFIX)}
