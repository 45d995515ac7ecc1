"""Names of weights that have a module, or a place, in common."""

from __future__ import annotations

import pytest

from graphopt.printing.names import gathered_names, joined_names

PLACE = "model.encoder.layers.*"


def test_the_weight_of_a_module_that_was_only_counted_is_called_as_if_it_had_a_name() -> None:
    names = ["h.3.fc2.bias", "weight of h.3.fc2", "weight of /h/3/MatMul", "bias of the Add"]
    assert joined_names(names) == "h.3.fc2.{bias,weight}, weight of /h/3/MatMul, bias of the Add"


@pytest.mark.parametrize(
    ("names", "gathered"),
    [
        (
            [f"{PLACE}.{name}" for name in ("fc2.weight", "v.bias", "v.weight", "q.weight")],
            f"fc2.weight, v.{{bias,weight}}, q.weight in {PLACE}",
        ),
        (
            [f"{PLACE}.fc2.weight", f"{PLACE}.q.weight"],
            f"{PLACE}.fc2.weight, {PLACE}.q.weight",
        ),
        (
            [f"{PLACE}.{name}.weight" for name in "abcdef"],
            f"a.weight, b.weight, c.weight, d.weight and 2 more, in {PLACE}",
        ),
        (
            [f"{PLACE}.{name}.weight" for name in "abcd"] + ["wte", "wpe"],
            ", ".join(f"{PLACE}.{name}.weight" for name in "abcd") + " and 2 more",
        ),
        (["h.q.weight", "h.k.weight", "h.v.weight"], "h.q.weight, h.k.weight, h.v.weight"),
        ([f"{PLACE}.fc2.weight"], f"{PLACE}.fc2.weight"),
        ([f"{PLACE}.fc2.weight", "wte"], f"{PLACE}.fc2.weight, wte"),
        (
            [f"/model/layers.0/{name}/MatMul_w" for name in ("q", "fc1", "fc2")],
            "q/MatMul_w, fc1/MatMul_w, fc2/MatMul_w in /model/layers.0",
        ),
        ([], ""),
    ],
)
def test_where_all_of_them_are_is_said_once_if_that_is_shorter(
    names: list[str], gathered: str
) -> None:
    assert gathered_names(names, 4) == gathered
