"""Norms as exporters and other optimizers really write them."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import onnxslim
import pytest
import torch
from onnx_ir.passes.common import RemoveUnusedNodesPass
from onnxruntime.transformers import optimizer
from onnxscript.rewriter.ort_fusions import optimize_for_ort

from graphopt.evaluation import evaluate
from graphopt.evaluation.float64 import cast_to_float64
from graphopt.passes.canonicalize_norms import CanonicalizeNorms
from graphopt.passes.infer_shapes import InferShapes
from graphopt.passes.norms.original_spelling import SPELLING
from graphopt.passes.norms.recognition import other_norms
from graphopt.passes.restore_norms import RestoreNorms
from graphopt.passes.unfuse_skip_norms import UnfuseSkipNorms


class _Norms(torch.nn.Module):
    """Eleven LayerNorms in a row, each written in another way, and one norm that is none."""

    count = 11

    def __init__(self) -> None:
        super().__init__()
        self.plain = torch.nn.LayerNorm(8)
        self.no_bias = torch.nn.LayerNorm(8, bias=False)
        self.no_affine = torch.nn.LayerNorm(8, elementwise_affine=False)
        self.gamma = torch.nn.Parameter(torch.empty(4, 8))
        self.beta = torch.nn.Parameter(torch.empty(4, 8))
        for parameter in self.parameters():
            torch.nn.init.normal_(parameter, 0.5, 1.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.no_affine(self.no_bias(self.plain(x)))
        mean = x.mean(-1, keepdim=True)
        x = (x - mean) / torch.sqrt((x - mean).pow(2).mean(-1, keepdim=True) + 1e-3)
        x = self.gamma[0] * x + self.beta[0]
        variance = x.var(-1, correction=0, keepdim=True)
        x = (x - x.mean(-1, keepdim=True)) * torch.rsqrt(variance + 1e-3) * self.gamma[1]
        variance = x.var(-1, unbiased=False, keepdim=True)
        x = self.gamma[2] * (x - x.mean(-1, keepdim=True)) / torch.sqrt(variance + 1e-3)
        variance, mean = torch.var_mean(x, -1, correction=0, keepdim=True)
        x = (x - mean) / (variance + 1e-3).sqrt() + self.beta[2]
        sample = x.var(-1, keepdim=True)  # Bessel's correction: not a LayerNorm
        x = (x - x.mean(-1, keepdim=True)) * torch.rsqrt(sample + 1e-3)
        x = torch.nn.functional.layer_norm(x, (3, 8) if x.shape[1] == 3 else (8,))
        d = x - x.mean(-1, keepdim=True)
        x = d * (d * d).mean(-1, keepdim=True).add(1e-3).rsqrt() * self.gamma[3] + self.beta[3]
        inverse = torch.rsqrt(x.var(-1, correction=0, keepdim=True) + 1e-3) * self.gamma[0]
        x = x * inverse + (self.beta[1] - x.mean(-1, keepdim=True) * inverse)
        half = torch.nn.functional.layer_norm(x.float(), (8,), self.plain.weight.float())
        return half.to(x.dtype)


def _export(exporter: str, opset: int, dtype: torch.dtype) -> ir.Model:
    torch.manual_seed(0)
    module, x = _Norms().eval().to(dtype), torch.randn(2, 5, 8).to(dtype)
    if exporter == "dynamo":
        sizes = ({0: torch.export.Dim("B"), 1: torch.export.Dim("S")},)
        program = torch.onnx.export(
            module, (x,), dynamo=True, opset_version=opset, dynamic_shapes=sizes, verbose=False
        )
        return ir.from_proto(program.model_proto)
    file = io.BytesIO()
    names = {"input_names": ["x"], "dynamic_axes": {"x": {0: "B", 1: "S"}}}
    torch.onnx.export(module, (x,), file, dynamo=False, opset_version=opset, **names)
    return ir.from_proto(onnx.load_from_string(file.getvalue()))


@pytest.fixture(scope="module")
def exported() -> Callable[[str, int, torch.dtype], ir.Model]:
    cache: dict[tuple[str, int, torch.dtype], ir.Model] = {}

    def model(exporter: str, opset: int, dtype: torch.dtype) -> ir.Model:
        key = (exporter, opset, dtype)
        if key not in cache:
            cache[key] = _export(*key)
        copy = cache[key].clone()
        InferShapes()(copy)
        return copy

    return model


@pytest.mark.parametrize(
    ("exporter", "opset", "dtype", "operators"),
    [
        ("torchscript", 13, torch.float32, 0),
        ("torchscript", 13, torch.float16, 0),
        ("torchscript", 17, torch.float32, 5),
        ("dynamo", 18, torch.float32, 5),
    ],
)
def test_every_layer_norm_of_an_export_is_found(
    exported: Callable[[str, int, torch.dtype], ir.Model],
    exporter: str,
    opset: int,
    dtype: torch.dtype,
    operators: int,
) -> None:
    model = exported(exporter, opset, dtype)
    # float16 arithmetic of the export and of the canonical form differ; in float64 they do not
    wide = cast_to_float64(model)
    name = model.graph.inputs[0].name
    x = {name: np.random.default_rng(1).normal(0.5, 1.0, (2, 5, 8))}
    before = list(evaluate(wide, x).values())
    for candidate in (model, wide):
        canonicalize = CanonicalizeNorms()
        canonicalize(candidate)
        found = canonicalize.record
        assert found == {"LayerNormalization": operators, "decomposed": _Norms.count - operators}
    after = list(evaluate(wide, x).values())
    np.testing.assert_allclose(after, before, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("exporter", "opset"), [("torchscript", 13), ("dynamo", 18)])
def test_a_kept_export_is_written_as_it_was(
    exported: Callable[[str, int, torch.dtype], ir.Model], exporter: str, opset: int
) -> None:
    model = exported(exporter, opset, torch.float32)
    RemoveUnusedNodesPass()(model)
    original = ir.to_proto(model).graph.node
    CanonicalizeNorms()(model)
    RestoreNorms()(model)
    RemoveUnusedNodesPass()(model)
    restored = ir.to_proto(model).graph.node
    assert sorted(map(str, restored)) == sorted(map(str, original))


def _ort(path: Path, folder: Path) -> ir.Model:
    """ONNX Runtime's transformer optimizer: Attention, BiasGelu, SkipLayerNormalization."""
    model_type = "bert" if "bert" in path.name else "gpt2" if "gpt2" in path.name else "vit"
    optimized = optimizer.optimize_model(
        str(path), model_type=model_type, num_heads=2, hidden_size=0, opt_level=0
    )
    optimized.save_model_to_file(str(folder / "ort.onnx"))
    return ir.load(folder / "ort.onnx")


def _onnxslim(path: Path, folder: Path) -> ir.Model:
    return ir.from_proto(onnxslim.slim(str(path)))


def _onnxscript(path: Path, folder: Path) -> ir.Model:
    optimized = optimize_for_ort(ir.load(path))
    return optimized[0] if isinstance(optimized, tuple) else optimized


@pytest.mark.parametrize("rewrite", [_ort, _onnxslim, _onnxscript])
@pytest.mark.parametrize(
    ("name", "exporter", "opset", "norms"),
    [
        ("gpt2-tiny", "torchscript", 14, 5),
        ("bert-base-tiny", "torchscript", 14, 7),
        ("vit-ti-16-tiny", "torchscript", 14, 5),
    ],
)
def test_graphs_that_other_optimizers_wrote(
    zoo_model, rewrite, name: str, exporter: str, opset: int, norms: int, tmp_path: Path
) -> None:
    model = rewrite(zoo_model(name, exporter=exporter, opset=opset), tmp_path)
    InferShapes()(model)
    UnfuseSkipNorms()(model)
    CanonicalizeNorms()(model)
    assert sum(SPELLING in node.meta for node in model.graph.all_nodes()) == norms
    assert other_norms(model) == ()
