"""Damaged model files: real exports whose bytes, fields or graphs are changed, by a seed.

Each case is optimized in a process of its own, in bounded time and memory, and how it ended is
told apart: ``python benchmarks/damaged_files.py`` prints the table.
"""

from __future__ import annotations

__all__ = ["SOURCES"]

SOURCES = (
    ("gpt2-tiny", "dynamo", "float32"),
    ("gpt2-tiny", "dynamo", "float16"),
    ("gpt2-tiny", "torchscript", "float32"),
    ("vit-ti-16-tiny", "torchscript", "float32"),
    ("dinov2-small-tiny", "dynamo", "float32"),
    ("swin-t-tiny", "dynamo", "float32"),
    ("whisper-tiny-decoder-tiny", "dynamo", "float32"),
    ("convnext-t-tiny", "torchscript", "float32"),
    ("stablelm-2-1.6b-tiny", "torchscript", "float32"),
    ("bert-base-tiny", "dynamo", "float32"),
    ("wav2vec2-large-tiny", "torchscript", "float32"),
    ("phi-1-tiny", "dynamo", "float32"),
)
"""The exports that are damaged: name, exporter and type."""
