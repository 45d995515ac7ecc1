"""The paper's demo: four equivalent forms of one small ViT (arXiv 2305.14858)."""

from __future__ import annotations

import ast
import importlib
import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

import graphopt
from examples import paper_equivalence
from examples.paper_equivalence import Variant, differences, make_variants
from tests.conftest import ZooModel

WIDTH, NORMS = 64, 9  # 4 blocks of 2 norms, and the last one
PAPER = ("Pre-LN", "zero-mean Pre-LN", "Pre-RMSNorm", "Pre-CRMSNorm")
PAIRS = list(itertools.combinations((*PAPER, "Pre-CRMSNorm, orthonormal"), 2))


@pytest.fixture(scope="module")
def images(zoo_model: ZooModel) -> dict[str, np.ndarray]:
    return graphopt.generate_inputs(zoo_model("paper-vit-demo"), dims={"batch": 3}).arrays


@pytest.fixture(scope="module")
def variants(zoo_model: ZooModel) -> dict[str, Variant]:
    return make_variants(graphopt.cast_to_float64(ir.load(zoo_model("paper-vit-demo"))))


@pytest.fixture(scope="module")
def values(
    variants: dict[str, Variant], images: dict[str, np.ndarray]
) -> dict[str, dict[str, np.ndarray]]:
    """For each variant the streams and the logits, in float64."""
    return {
        name: graphopt.evaluate(variant.model, images, ["logits", *variant.streams])
        for name, variant in variants.items()
    }


def streams(values: dict[str, np.ndarray]) -> list[np.ndarray]:
    found = [array for name, array in values.items() if name != "logits"]
    assert len(found) == NORMS
    return found


def affine_of(variant: Variant) -> list[tuple[np.ndarray, np.ndarray]]:
    norms = [node for node in variant.model.graph if node.op_type == "LayerNormalization"]
    return [tuple(v.const_value.numpy() for v in norm.inputs[1:]) for norm in norms]


def test_no_parameter_is_trivial(variants: dict[str, Variant]) -> None:
    for gamma, beta in affine_of(variants["Pre-LN"]):
        assert np.std(gamma) > 0.1
        assert np.std(beta) > 0.05
        assert abs(beta.mean()) > 0.01
    constants = variants["Pre-LN"].model.graph.initializers
    biases = [array for name, array in constants.items() if name.endswith("bias")]
    assert len(biases) == 2 + 4 * 4 + NORMS  # patches and head, four in a block, and the betas
    assert all(np.all(bias.const_value.numpy() != 0) for bias in biases)


@pytest.mark.parametrize("pair", PAIRS, ids=" = ".join)
def test_each_pair_is_equal_in_float64(
    pair: tuple[str, str], values: dict[str, dict[str, np.ndarray]]
) -> None:
    logits = {name: values[name]["logits"] for name in pair}
    assert np.abs(logits[pair[0]]).max() > 1
    assert differences(logits)[pair] <= paper_equivalence.TOLERANCE == 1e-12


def test_pre_ln_has_streams_with_a_mean(values: dict[str, dict[str, np.ndarray]]) -> None:
    for stream in streams(values["Pre-LN"]):
        assert stream.shape[-1] == WIDTH
        assert np.abs(stream.mean(axis=-1)).max() > 0.1


@pytest.mark.parametrize("name", ["zero-mean Pre-LN", "Pre-RMSNorm"])
def test_recentred_streams_have_none(name: str, values: dict[str, dict[str, np.ndarray]]) -> None:
    for stream, original in zip(streams(values[name]), streams(values["Pre-LN"]), strict=True):
        assert np.abs(stream.mean(axis=-1)).max() <= 1e-14 * np.sqrt(np.mean(stream**2))
        centred = original - original.mean(axis=-1, keepdims=True)
        np.testing.assert_allclose(stream, centred, rtol=0, atol=1e-12)


def test_zero_mean_pre_ln_keeps_its_layer_norms(variants: dict[str, Variant]) -> None:
    recentred = variants["zero-mean Pre-LN"]
    assert recentred.norms() == {"LayerNormalization": NORMS}
    pairs = zip(affine_of(recentred), affine_of(variants["Pre-LN"]), strict=True)
    for (gamma, beta), (original_gamma, original_beta) in pairs:
        np.testing.assert_array_equal(gamma, original_gamma)
        np.testing.assert_array_equal(beta, original_beta)


@pytest.mark.parametrize(
    ("name", "norms"),
    [
        ("Pre-RMSNorm", {"RMSNorm": NORMS}),
        ("Pre-CRMSNorm", {"CRMSNorm": NORMS}),
        ("Pre-CRMSNorm, orthonormal", {"RMSNorm": NORMS}),
    ],
)
def test_converted_models_have_no_layer_norm(
    name: str, norms: dict[str, int], variants: dict[str, Variant]
) -> None:
    assert variants[name].norms() == norms
    # Nor is the mean subtracted in another way.
    assert not {"ReduceMean", "Sub"} & {node.op_type for node in variants[name].model.graph}


@pytest.mark.parametrize("name", ["Pre-CRMSNorm", "Pre-CRMSNorm, orthonormal"])
def test_compressed_streams_have_one_feature_less(
    name: str, values: dict[str, dict[str, np.ndarray]]
) -> None:
    assert {stream.shape[-1] for stream in streams(values[name])} == {WIDTH - 1}


def test_the_paper_drops_the_last_feature(values: dict[str, dict[str, np.ndarray]]) -> None:
    pairs = zip(streams(values["Pre-CRMSNorm"]), streams(values["Pre-RMSNorm"]), strict=True)
    for compressed, whole in pairs:
        np.testing.assert_allclose(compressed, whole[..., :-1], rtol=0, atol=1e-12)


def test_all_agree_in_float32_in_onnx_runtime(
    zoo_model: ZooModel, images: dict[str, np.ndarray]
) -> None:
    single = make_variants(ir.load(zoo_model("paper-vit-demo")))
    logits = {
        name: paper_equivalence.run(variant.model, images) for name, variant in single.items()
    }
    assert list(differences(logits)) == PAIRS
    assert max(differences(logits).values()) <= 1e-5


def test_the_examples_import_the_public_api_alone() -> None:
    """Top-level names, what serves a model, the zoo's export, the pipeline, the class of a pass."""
    for path in sorted((Path(paper_equivalence.__file__).parent).glob("*.py")):
        found = list(imported(ast.parse(path.read_text(encoding="utf-8"))))
        assert found
        assert [name for name in found if not is_public(name)] == []


def imported(tree: ast.AST) -> Iterator[str]:
    """What a file takes from graphopt, whole: imports, and attributes of the package."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("graphopt"))
        elif isinstance(node, ast.ImportFrom) and str(node.module).startswith("graphopt"):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == "graphopt":
            yield f"graphopt.{node.attr}"


def is_public(name: str) -> bool:
    if name in ("graphopt", "graphopt.models.export", "graphopt.passes.pipeline"):
        return True
    package, _, last = name.rpartition(".")
    if package == "graphopt":
        return last in graphopt.__all__
    if package == "graphopt.golden" or package.startswith("graphopt.serving."):
        return last in importlib.import_module(package).__all__
    # graphopt.passes.NAME.Class, with NAME a file of passes/ and Class the pass in it
    return package.count(".") == 2 and package.startswith("graphopt.passes.") and last[0].isupper()


@pytest.mark.parametrize(
    ("source", "public"),
    [
        ("from graphopt import optimize", True),
        ("from graphopt.passes.recentre import Recentre", True),
        ("from graphopt.golden import load_golden", True),
        ("from graphopt.golden import Array", False),
        ("from graphopt.serving.bodies import pack", True),
        ("from graphopt.serving.bodies import _pack", False),
        ("from graphopt.passes.planning.plan import Plan", False),
        ("from graphopt.passes.recentre import fold", False),
        ("from graphopt.evaluation import evaluate", False),
        ("from graphopt.models.exporting import export", False),
        ("import graphopt.files.loading", False),
        ("graphopt.evaluation", False),
    ],
)
def test_what_is_public(source: str, public: bool) -> None:
    [name] = imported(ast.parse(source))
    assert is_public(name) == public


def test_the_example_prints_its_tables(
    zoo_model: ZooModel, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = zoo_model("paper-vit-demo")
    monkeypatch.setattr(paper_equivalence, "export", lambda name, target: path)
    monkeypatch.setattr(paper_equivalence, "BATCH", 2)
    with pytest.raises(SystemExit) as ended:
        paper_equivalence.main()
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    assert "10 of 10 pairs are equal in float64" in printed
    assert all(" = ".join(pair) in printed for pair in PAIRS)
