"""No parameter keeps a value that would hide a lost term."""

from __future__ import annotations

import pytest
import torch

from graphopt.models import names
from graphopt.models.building import SIZES, build, feed
from graphopt.models.registry import find

TINY = [name for name in names() if name.endswith("-tiny")]


@pytest.mark.parametrize("name", TINY)
def test_vectors_are_distinct_and_neither_zero_nor_one(name: str) -> None:
    model = build(find(name), name, seed=0, weights=None)
    vectors = [p for p in model.parameters() if p.ndim == 1 and p.numel() > 1]
    for vector in vectors:
        assert vector.std() > 0.01
        assert vector.abs().max() > 0.05
    assert len({tuple(vector.tolist()) for vector in vectors}) == len(vectors)


@pytest.mark.parametrize("name", TINY)
def test_tables_and_tokens_are_not_zero(name: str) -> None:
    model = build(find(name), name, seed=0, weights=None)
    assert all(p.std() > 0.01 for p in model.parameters() if p.numel() > 1)


@pytest.mark.parametrize("name", TINY)
def test_outputs_are_neither_vanishing_nor_exploding(name: str) -> None:
    model = build(find(name), name, seed=0, weights=None)
    tensors = feed(model.inputs, SIZES, seed=1, dtype=torch.float32)
    with torch.no_grad():
        outputs = model(*tensors.values())
    assert all(0.1 < output.std() < 10 for output in outputs)


def test_seed_decides_the_weights() -> None:
    first, again, other = (
        build(find("gpt2-tiny"), "gpt2-tiny", seed=seed, weights=None).state_dict()
        for seed in (3, 3, 4)
    )
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["model.lm_head.weight"], other["model.lm_head.weight"])


def test_tied_weights_stay_tied() -> None:
    model = build(find("gpt2-tiny"), "gpt2-tiny", seed=0, weights=None).model
    assert model.lm_head.weight is model.transformer.wte.weight
