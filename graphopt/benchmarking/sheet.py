"""A benchmark as comma-separated values, one line for each model at each point."""

from __future__ import annotations

__all__ = ["to_csv"]

import csv
import io

from graphopt.benchmarking.result import Benchmark, Row

_HEADINGS = (
    "model", "kind", "provider", "threads", "dtype", "batch", "dims", "baseline", "p50_seconds",
    "p90_seconds", "p99_seconds", "items_per_second", "memory_bytes", "ratio", "ratio_low",
    "ratio_high", "verdict", "captured", "captured_low", "captured_high", "failure", "processor",
    "gpu", "onnxruntime", "graphopt", "library", "file_bytes", "error", "quantized_baseline",
    "quantized_ratio", "quantized_ratio_low", "quantized_ratio_high",
)  # fmt: skip


def to_csv(benchmark: Benchmark) -> str:
    """The rows and the failures, without the samples; each line names its environment."""
    kinds = {model.name: model.kind for model in benchmark.models}
    where = benchmark.environment
    common = (where.processor, where.gpu, where.onnxruntime, where.graphopt, where.library)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_HEADINGS)
    for point in benchmark.points:
        dims = " ".join(f"{name}={size}" for name, size in point.dims.items())
        place = (
            point.provider, point.threads, point.dtype, point.batch, dims, point.baseline
        )  # fmt: skip
        for row in point.rows:
            share = row.captured
            captured = (share.value, share.low, share.high) if share else ("", "", "")
            times = (row.p50, row.p90, row.p99, row.throughput)
            memory = "" if row.memory is None else row.memory
            ratio = (row.ratio.value, row.ratio.low, row.ratio.high, row.verdict)
            writer.writerow(
                (
                    row.model,
                    kinds[row.model],
                    *place,
                    *times,
                    memory,
                    *ratio,
                    *captured,
                    "",
                    *common,
                    *_quantized(row),
                )
            )
        for failure in point.failures:
            blank = ("",) * 12
            line = (failure.model, "", *place, *blank, failure.reason, *common)
            writer.writerow((*line, *("",) * (len(_HEADINGS) - len(line))))
    return text.getvalue()


def _quantized(row: Row) -> tuple[object, ...]:
    """Bytes, error, and the ratio to the quantized original; "" for what there is none of."""
    ratio = row.quantized_ratio
    numbers = (ratio.value, ratio.low, ratio.high) if ratio else ("", "", "")
    known = ("" if entry is None else entry for entry in (row.file_bytes, row.error))
    return (*known, row.quantized_baseline, *numbers)
