"""What nodes and values are called in messages, where exporters number them."""

from __future__ import annotations

import onnx_ir as ir
import pytest

from graphopt.passes.graph.naming import node_words
from graphopt.passes.graph.titles import module_of, title

MODULES = {"pkg.torch.onnx.name_scopes": "['', 'model', 'model.h.3', 'model.h.3.mlp', 'linear']"}


def model(product: str = "") -> ir.Model:
    """x, a product of it with a constant, and a sum of that with another; ``product`` is a name."""
    made = ir.from_onnx_text(
        """<ir_version: 8, opset_import: ["" : 17]>
        g (float[N, 2] x) => (float[N, 2] y)
        <float[2, 2] val_1 = {1, 2, 3, 4}, float[2] val_2 = {1, 2}> {
            val_3 = MatMul (x, val_1)
            y = Add (val_3, val_2)
        }"""
    )
    made.graph[0].name = product
    return made


def test_a_node_without_a_name_is_what_it_makes() -> None:
    node = model().graph[0]
    node.outputs[0].name = "/h/3/out"
    assert node_words(node) == "the MatMul that makes /h/3/out"
    node.name = "product"
    assert node_words(node) == "MatMul product"


def test_a_numbered_node_has_the_module_that_it_is_from() -> None:
    node = model("node_MatMul_1").graph[0]
    node.metadata_props.update(MODULES)
    assert node_words(node) == "MatMul node_MatMul_1 (in model.h.3.mlp)"
    node.name = "/h/3/mlp/MatMul"
    assert node_words(node) == "MatMul /h/3/mlp/MatMul"


@pytest.mark.parametrize("scopes", ["", "[", "['']", "{'a': 1}", "[1, 2]", "f()"])
def test_what_is_no_list_of_modules_names_none(scopes: str) -> None:
    node = model().graph[0]
    node.metadata_props["pkg.torch.onnx.name_scopes"] = scopes
    assert module_of(node) == ""


@pytest.mark.parametrize(
    ("name", "modules", "titles"),
    [
        ("/h/3/MatMul", {}, ["weight of /h/3/MatMul", "bias of the Add that makes y", "val_3"]),
        ("MatMul_1", {}, ["weight of the MatMul that makes val_3", None, "val_3"]),
        ("MatMul_1", MODULES, ["weight of model.h.3.mlp", None, "val_3 (in model.h.3.mlp)"]),
    ],
)
def test_a_value_that_was_counted_is_what_it_is_for(
    name: str, modules: dict[str, str], titles: list[str | None]
) -> None:
    made = model(name)
    product, added = made.graph
    product.metadata_props.update(modules)
    values = (product.inputs[1], added.inputs[1], product.outputs[0])
    for value, expected in zip(values, titles, strict=True):
        assert value is not None
        if expected is not None:
            assert title(value) == expected


@pytest.mark.parametrize("name", ["h.3.mlp.weight", "hidden_state_1", "add_12", "onnx::x"])
def test_a_value_with_a_name_keeps_it(name: str) -> None:
    weight = model().graph.initializers["val_1"]
    weight.name = name
    assert title(weight) == name
