"""What is asked of Triton beside the model."""

from __future__ import annotations

__all__ = ["GRAPH_LEVELS", "TritonOptions"]

import dataclasses

GRAPH_LEVELS = {"all": 0, "extended": 1, "basic": -1, "disable": 2}
"""Levels of ONNX Runtime's graph optimization, and what Triton's onnxruntime backend calls them."""


@dataclasses.dataclass(frozen=True)
class TritonOptions:
    """How Triton runs a model.

    Attributes:
        max_batch_size: Rows that Triton may put into one call; 0 hands requests on as they are.
        dynamic_batching: Whether Triton joins the requests of several clients.
        instances: Copies of the model that run at once, on each GPU where it runs on GPUs.
        warmup: Whether the first golden request is run before the server says that it is ready.
        version: The model's version, at least 1.
        graph_level: One of :data:`GRAPH_LEVELS`.
        repository: Where the server finds the repository: an absolute path on its machine.
    """

    max_batch_size: int = 0
    dynamic_batching: bool = False
    instances: int = 1
    warmup: bool = False
    version: int = 1
    graph_level: str = "all"
    repository: str = "/models"
