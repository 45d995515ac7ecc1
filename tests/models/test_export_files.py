"""What `export` writes, refuses and leaves behind."""

from __future__ import annotations

import re

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import transformers

from graphopt import models
from graphopt.errors import EnvironmentFailure, GraphoptError, ModelError, UsageError
from graphopt.models import building, exporting
from graphopt.models.building import SIZES, build, feed
from graphopt.models.registry import find

TORCHSCRIPT = {"exporter": "torchscript"}  # ten times faster than dynamo


@pytest.mark.parametrize("exporter", ["dynamo", "torchscript"])
def test_large_weights_go_to_one_file_beside_the_model(exporter, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(exporting, "EXTERNAL_BYTES", dict.fromkeys(models.EXPORTERS, 1000))
    path = models.export("vit-ti-16-tiny", tmp_path / "vit.onnx", exporter=exporter)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["vit.onnx", "vit.onnx.data"]
    tensors = onnx.load(path, load_external_data=False).graph.initializer
    assert {e.value for t in tensors for e in t.external_data if e.key == "location"} == {
        "vit.onnx.data"
    }
    onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def test_small_weights_stay_inside(tmp_path) -> None:
    models.export("vit-ti-16-tiny", tmp_path / "vit.onnx", **TORCHSCRIPT)
    assert [file.name for file in tmp_path.iterdir()] == ["vit.onnx"]


@pytest.mark.parametrize("options", [{"opset": 99}, {"opset": 5} | TORCHSCRIPT])
def test_failed_export_leaves_the_old_file_and_prints_nothing(options, tmp_path, capfd) -> None:
    path = tmp_path / "vit.onnx"
    path.write_bytes(b"old")
    with pytest.raises(ModelError) as failure:
        models.export("vit-ti-16-tiny", path, **options)
    assert "\n" not in str(failure.value)
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("vit.onnx", b"old")]
    assert capfd.readouterr() == ("", "")


def test_frozen_size_is_refused(tmp_path, monkeypatch) -> None:
    # So short a sound leaves one frame, a size that torch.export takes for a constant.
    monkeypatch.setitem(building.SIZES, "samples", 40)
    path = tmp_path / "model.onnx"
    with pytest.raises(ModelError, match="instead of \\('batch', 'samples'\\)"):
        models.export("wav2vec2-large-tiny", path, exporter="dynamo")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"name": "vit-ti"}, UsageError, "unknown model 'vit-ti': did you mean vit-ti-16"),
        ({"name": "?"}, UsageError, "unknown model '?': see graphopt export --list"),
        ({"exporter": "onnx"}, UsageError, "unknown exporter 'onnx': choose dynamo or torchscript"),
        ({"dtype": "int8"}, UsageError, "unknown dtype 'int8': choose float32 or float16"),
        (
            {"exporter": "torchscript", "dtype": "float16"},
            UsageError,
            "torchscript cannot export gpt2-tiny in float16: .*; choose dynamo",
        ),
        ({"path": "absent/model.onnx"}, UsageError, "absent is not a directory: create it first"),
        ({"weights": "absent"}, UsageError, "absent has no config.json"),
        (
            {"name": "paper-gpt-s-tiny", "weights": "absent"},
            UsageError,
            "paper GPT has no Hugging Face class: leave out --from",
        ),
    ],
)
def test_what_cannot_be_used_is_said_in_one_line(arguments, error, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = {"name": "gpt2-tiny", "path": "model.onnx"} | arguments
    with pytest.raises(error, match=message.replace("?", re.escape("?"))) as failure:
        models.export(given.pop("name"), given.pop("path"), **given)
    assert "\n" not in str(failure.value)
    assert not list(tmp_path.iterdir())


def test_missing_torch_is_an_environment_failure(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(models, "_installed", lambda module: module != "torch")
    with pytest.raises(EnvironmentFailure, match=r'needs torch: pip install "graphopt\[export\]"'):
        models.export("gpt2-tiny", tmp_path / "model.onnx")


class TestRealWeights:
    def saved(self, directory, config, kind):
        torch.manual_seed(5)
        kind(config).save_pretrained(directory)
        return directory

    def gpt2(self):
        return transformers.GPT2Config(
            n_embd=32, n_layer=1, n_head=2, n_positions=32, vocab_size=60
        )

    def test_configuration_and_weights_come_from_the_directory(self, tmp_path) -> None:
        saved = self.saved(tmp_path / "hub", self.gpt2(), transformers.GPT2LMHeadModel)
        path = models.export("gpt2", tmp_path / "gpt2.onnx", weights=saved, **TORCHSCRIPT)
        inputs = build(find("gpt2"), "gpt2", seed=0, weights=saved).inputs
        tensors = feed(inputs, SIZES, seed=1, dtype=torch.float32)
        original = transformers.GPT2LMHeadModel.from_pretrained(saved).eval()
        with torch.no_grad():
            expected = original(**tensors).logits.numpy()
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        (actual,) = session.run(None, {key: value.numpy() for key, value in tensors.items()})
        np.testing.assert_allclose(actual, expected, rtol=1e-3, atol=1e-4)

    def test_tower_of_a_pair(self, tmp_path) -> None:
        tower = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
        config = transformers.CLIPConfig(
            text_config=tower | {"vocab_size": 60, "intermediate_size": 64},
            vision_config=tower | {"image_size": 16, "patch_size": 8, "intermediate_size": 64},
        )
        saved = self.saved(tmp_path / "hub", config, transformers.CLIPModel)
        path = models.export(
            "clip-vit-b-32-vision", tmp_path / "clip.onnx", weights=saved, **TORCHSCRIPT
        )
        shape = onnx.load(path).graph.input[0].type.tensor_type.shape
        assert [dim.dim_value for dim in shape.dim] == [0, 3, 16, 16]

    def refused(self, name, saved, tmp_path) -> GraphoptError:
        with pytest.raises(GraphoptError) as failure:
            models.export(name, tmp_path / "model.onnx", weights=saved, **TORCHSCRIPT)
        assert "\n" not in str(failure.value)
        assert not (tmp_path / "model.onnx").exists()
        return failure.value

    def test_another_architecture_is_refused(self, tmp_path) -> None:
        saved = self.saved(tmp_path / "hub", self.gpt2(), transformers.GPT2LMHeadModel)
        error = self.refused("vit-ti-16", saved, tmp_path)
        assert isinstance(error, UsageError)
        assert "holds a 'gpt2' model, the recipe takes 'vit'" in str(error)

    def test_missing_weights_are_refused(self, tmp_path) -> None:
        size = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
        config = transformers.ViTConfig(**size, image_size=16, patch_size=8, intermediate_size=64)
        saved = self.saved(tmp_path / "hub", config, transformers.ViTModel)
        error = self.refused("vit-ti-16", saved, tmp_path)
        assert isinstance(error, ModelError)
        assert "lacks 2 weights of ViTForImageClassification, first classifier.bias" in str(error)

    def test_truncated_weights_are_refused(self, tmp_path) -> None:
        saved = self.saved(tmp_path / "hub", self.gpt2(), transformers.GPT2LMHeadModel)
        weights = saved / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:100])
        assert isinstance(self.refused("gpt2", saved, tmp_path), ModelError)

    def test_absent_weights_are_refused(self, tmp_path) -> None:
        saved = self.saved(tmp_path / "hub", self.gpt2(), transformers.GPT2LMHeadModel)
        (saved / "model.safetensors").unlink()
        assert isinstance(self.refused("gpt2", saved, tmp_path), ModelError)
