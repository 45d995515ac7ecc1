"""Every tiny model, by every exporter that its recipe claims, computes what torch computes."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from graphopt.models import describe
from graphopt.models.building import SIZES, Exportable, build, feed
from graphopt.models.registry import find
from tests.expectations import EXPECTED, PROVEN
from tests.versions.conditions import needs_transformers

TINY = {line.name: line for line in describe() if line.name.endswith("-tiny")}
BATCH_OF_ONE = SIZES | {"batch": 1, "sequence": 1, "decoder_sequence": 1}
LARGER = {
    "batch": 3,
    "sequence": 11,
    "past_sequence": 8,
    "encoder_sequence": 6,
    "decoder_sequence": 12,
    "samples": 4801,
}
# The dynamo exporter takes seconds for a model: models beyond the results table wait for test-all.
CASES = [
    pytest.param(
        name,
        exporter,
        id=f"{name}-{exporter}",
        marks=[pytest.mark.slow] if exporter == "dynamo" and name not in PROVEN else [],
    )
    for name, line in TINY.items()
    for exporter in line.exporters
]


def model(name: str) -> Exportable:
    return build(find(name), name, seed=0, weights=None)


def run_torch(module: Exportable, tensors: dict[str, torch.Tensor]) -> list[np.ndarray]:
    with torch.no_grad():
        return [output.numpy() for output in module(*tensors.values())]


def layer_norm_calls(module: Exportable) -> int:
    """LayerNorms that one forward pass runs, by the modules' own count."""
    calls: list[nn.Module] = []
    norms = [m for m in module.modules() if "LayerNorm" in type(m).__name__]
    # A class that wraps nn.LayerNorm would count twice: StableLM's per-head norms do.
    for norm in (
        n for n in norms if not any(isinstance(c, nn.LayerNorm) for c in n.modules() if c is not n)
    ):
        norm.register_forward_hook(lambda m, *_: calls.append(m))
    run_torch(module, feed(module.inputs, SIZES, seed=0, dtype=torch.float32))
    return len(calls)


@pytest.mark.parametrize(("name", "exporter"), CASES)
def test_export_agrees_with_torch_at_sizes_that_were_not_traced(name, exporter, zoo_model) -> None:
    path = zoo_model(name, exporter)
    onnx.checker.check_model(path, full_check=True)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    module = model(name)
    for sizes in (SIZES, BATCH_OF_ONE, LARGER):
        tensors = feed(module.inputs, sizes, seed=1, dtype=torch.float32)
        expected = run_torch(module, tensors)
        actual = session.run(None, {key: value.numpy() for key, value in tensors.items()})
        assert [output.name for output in session.get_outputs()] == list(module.outputs)
        for got, want in zip(actual, expected, strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("name", "exporter"), CASES)
def test_graph_has_the_layer_norms_of_the_modules(name, exporter, zoo_model) -> None:
    graph = onnx.load(zoo_model(name, exporter)).graph
    in_graph = sum(node.op_type == "LayerNormalization" for node in graph.node)
    assert in_graph == EXPECTED[name].layer_norms == layer_norm_calls(model(name))
    assert EXPECTED[name].blocks == TINY[name].blocks


@pytest.mark.parametrize(("name", "exporter"), CASES)
def test_batch_and_sequence_are_symbolic(name, exporter, zoo_model) -> None:
    graph = onnx.load(zoo_model(name, exporter)).graph
    dims = {
        value.name: tuple(
            dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim
        )
        for value in graph.input
    }
    assert dims == {item.name: item.dims for item in model(name).inputs}
    assert all(shape[0] == "batch" for shape in dims.values())


def test_every_tiny_model_has_an_expectation() -> None:
    assert set(EXPECTED) == set(TINY)


@pytest.mark.parametrize(
    ("name", "exporter"),
    [
        ("vit-ti-16-tiny", "dynamo"),
        ("gpt2-tiny", "dynamo"),
        pytest.param(
            "vit-ti-16-tiny",
            "torchscript",
            marks=needs_transformers("5.20", "a ViT that TorchScript keeps in one float type"),
        ),
    ],
)
def test_float16(name, exporter, zoo_model) -> None:
    path = zoo_model(name, exporter, dtype="float16")
    onnx.checker.check_model(path, full_check=True)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    module = model(name)
    tensors = feed(module.inputs, LARGER, seed=1, dtype=torch.float16)
    feeds = {key: value.numpy() for key, value in tensors.items()}
    (actual,) = session.run(None, feeds)
    exact = {k: v.float() if v.is_floating_point() else v for k, v in tensors.items()}
    (expected,) = run_torch(module, exact)
    assert actual.dtype == np.float16
    np.testing.assert_allclose(actual, expected, rtol=1e-2, atol=2e-2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "exporter"),
    [(name, exporter) for name, line in TINY.items() for exporter in line.float16_exporters],
)
def test_every_claimed_float16_form_loads(name, exporter, zoo_model) -> None:
    path = zoo_model(name, exporter, dtype="float16")
    onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize(
    ("exporter", "opset", "spelling"),
    [
        ("torchscript", 16, "ReduceMean"),
        ("torchscript", 17, "LayerNormalization"),
        ("dynamo", 18, "LayerNormalization"),
        ("dynamo", 23, "LayerNormalization"),
    ],
)
def test_opset_is_the_one_asked_for(exporter, opset, spelling, zoo_model) -> None:
    exported = onnx.load(zoo_model("vit-ti-16-tiny", exporter, opset=opset))
    assert exported.opset_import[0].version == opset
    assert spelling in {node.op_type for node in exported.graph.node}
