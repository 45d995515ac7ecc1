"""Benchmarks with chosen figures, for what draws or prints them."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from graphopt.benchmarking.result import (
    Benchmark,
    BenchmarkEnvironment,
    Failure,
    Method,
    ModelInfo,
    Point,
    Row,
)
from graphopt.measuring.intervals import Estimate
from graphopt.profiling.result import OperatorTime, Profile

MODELS = (
    ModelInfo("original", "original", "vit <&> model.onnx"),
    ModelInfo("rms", "optimized", "graphopt optimize"),
    ModelInfo("crms", "optimized", "graphopt optimize"),
    ModelInfo("floor", "floor", "the original without norms"),
)
_RATIOS = {
    "original": Estimate(1.0, 1.0, 1.0),
    "rms": Estimate(0.953, 0.948, 0.957),
    "crms": Estimate(0.998, 0.991, 1.004),
    "floor": Estimate(0.921, 0.915, 0.928),
}
_CAPTURED = {"rms": Estimate(0.59, 0.51, 0.66), "crms": Estimate(0.03, -0.04, 0.12)}
_NORMS = {
    "original": ("LayerNormalization", 4e-3),
    "rms": ("graphopt.SkipRMSNorm", 1e-3),
    "crms": ("graphopt.SkipCRMSNorm", 1e-3),
    "floor": ("Identity", 0.0),
}


def profile(model: str) -> Profile:
    """40 ms and the norms."""
    norm, seconds = _NORMS[model]
    operators = (
        OperatorTime("MatMul", "CPUExecutionProvider", 72, 30e-3),
        OperatorTime("com.microsoft.Gelu", "CPUExecutionProvider", 12, 5e-3),
        OperatorTime("Add", "CPUExecutionProvider", 84, 5e-3),
        OperatorTime(norm, "CPUExecutionProvider", 25, seconds),
    )
    return Profile(operators, 40e-3 + seconds, seconds, residual=2e-3, bias=1.5e-3, calls=20)


def point(batch: int = 1, *, profiled: bool = True, **changes: Any) -> Point:
    """A point of all four models, of which ``rms`` is faster and ``crms`` is not."""
    noise = np.random.default_rng(batch).gamma(2.0, 0.005, size=(8, 5))
    rows = []
    for model in MODELS:
        ratio = _RATIOS[model.name]
        calls = 0.04 * batch * ratio.value * (1 + noise)
        p50, p90, p99 = np.quantile(calls, [0.5, 0.9, 0.99])
        rows.append(
            Row(
                model=model.name,
                samples=tuple(map(tuple, calls.tolist())),
                p50=float(p50),
                p90=float(p90),
                p99=float(p99),
                throughput=batch / float(p50),
                ratio=ratio,
                captured=_CAPTURED.get(model.name),
                memory=61_000_000,
                nodes={"CPUExecutionProvider": 240},
                profile=profile(model.name) if profiled else None,
            )
        )
    whole = Point(
        provider="cpu",
        threads=1,
        dtype="float32",
        batch=batch,
        dims={"batch": batch},
        shapes={"pixels": (batch, 3, 224, 224)},
        baseline="original",
        rows=tuple(rows),
    )
    return dataclasses.replace(whole, **changes)


def quantized_point() -> Point:
    """A point of original and rms, each quantized too."""
    original, rms, *_ = point(1, profiled=False).rows
    original = dataclasses.replace(original, file_bytes=22_500_000)
    rms = dataclasses.replace(rms, file_bytes=22_500_000, error=3.1e-7)
    changes: dict[str, Any] = {"file_bytes": 6_200_000, "quantized_baseline": "original int8"}
    changes |= {"captured": None, "captured_reason": "quantizing changes more than the norms"}
    rows = (
        original,
        rms,
        dataclasses.replace(
            original,
            model="original int8",
            ratio=Estimate(0.6, 0.59, 0.61),
            quantized_ratio=Estimate(1.0, 1.0, 1.0),
            error=0.041,
            **changes,
        ),
        dataclasses.replace(
            rms,
            model="rms int8",
            ratio=Estimate(0.5, 0.49, 0.51),
            quantized_ratio=Estimate(0.833, 0.82, 0.85),
            error=0.0402,
            **changes,
        ),
    )
    return point(1, profiled=False, rows=rows)


QUANTIZED_MODELS = (
    *MODELS[:2],
    ModelInfo("original int8", "original", "onnxruntime", "dynamic", "original"),
    ModelInfo("rms int8", "optimized", "onnxruntime", "dynamic", "rms"),
)


def benchmark(*points: Point, models: tuple[ModelInfo, ...] = MODELS) -> Benchmark:
    """A benchmark of these points; without any, of the batches 1 and 8, with a failure."""
    failed = Failure("onnxslim", "wrote a graph that <ONNX Runtime> refuses")
    return Benchmark(
        title="vit <&> model.onnx",
        created="2026-11-21T04:40:00Z",
        environment=BenchmarkEnvironment(
            processor="Example CPU",
            cores=2,
            system="Linux x86_64",
            gpu="",
            onnxruntime="1.31.1",
            graphopt="0.1.0",
            python="3.11.7",
            library="libgraphopt_cpu.so (avx512)",
        ),
        method=Method("wall", 8, 1, 0.95, 2000, 7, cuda_graph=False, tf32=False),
        models=models,
        points=points or (point(1), point(8, profiled=False, failures=(failed,))),
        notes=("batch was bound to the values of --batch.",),
    )
