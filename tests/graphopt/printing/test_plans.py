"""What is printed of a plan: what comes of it, groups of norms that are alike; no long lines."""

from __future__ import annotations

import dataclasses
import io

import pytest
from rich.console import Console

from graphopt.errors import shortened_name
from graphopt.passes.report import (
    Copy,
    Forecast,
    NormDecision,
    OtherNorm,
    PlanSummary,
    Recentring,
)
from graphopt.printing.places import pattern
from graphopt.printing.plans import print_plan

BLOCKS = 50


def norm(name: str, *, converted: bool = True, **changes: object) -> NormDecision:
    made = NormDecision(name, "LayerNormalization", "x", 2, 64, converted, affine="beta folded")
    return dataclasses.replace(made, **changes)


def deep(*more: NormDecision) -> PlanSummary:
    """A model with two norms in each of 50 blocks, which all convert, and others."""
    norms = [
        norm(
            f"/h.{block}/{part}/a_module_with_a_long_name/LayerNormalization",
            absorbed_by=(f"h.{block}.{part}.out.weight", f"h.{block}.{part}.out.bias"),
            absorbed_above=block,
        )
        for block in range(BLOCKS)
        for part in ("attn", "mlp")
    ]
    forecast = Forecast((128, 128), 100.0, 0.0123)
    return PlanSummary("rms", "cpu", (*norms, *more), forecast=forecast)


def kept(name: str, reason: str, cause: str) -> NormDecision:
    return norm(name, converted=False, reason=reason, cause=cause, affine="")


def printed(plan: PlanSummary, width: int = 10_000, *, verbose: bool = False) -> list[str]:
    out = Console(file=io.StringIO(), width=width, highlight=False, emoji=False, markup=False)
    print_plan(out, plan, verbose=verbose)
    assert isinstance(out.file, io.StringIO)
    return [line.rstrip() for line in out.file.getvalue().splitlines()]


def test_norms_that_are_alike_are_one_line() -> None:
    final = norm("last", gamma="ln_f.weight", affine="beta kept: MatMul head has no bias")
    assert printed(deep(final)) == [
        "101 of 101 LayerNorms become RMSNorms",
        "forecast for the norms alone: a call takes about 1.2% less (101 norms of 128 rows)",
        "- 101 RMSNorms over 64 features (blocks 0 to 49: 2 each, ln_f): mean taken out of 200 "
        "weights: h.*.attn.out.{weight,bias}, h.*.mlp.out.{weight,bias}; beta folded (100 of "
        "101); beta kept: MatMul head has no bias (1 of 101)",
    ]


def test_what_becomes_of_betas_is_counted_where_it_differs_much() -> None:
    readers = [
        norm(f"n{i}", affine=f"beta kept: {op} n_{i} reads it") for i, op in enumerate("ABC")
    ]
    line = printed(deep(*readers))[2]
    assert line.endswith("beta folded (100 of 103); beta kept (3 of 103), -v says why")


def test_a_cause_is_named_once() -> None:
    post = [kept(f"/layer.{i}/norm", f"LayerNorm {i}: mean of y{i}", "norm output") for i in (1, 2)]
    pads = [kept(f"/layer.{i}/pad", f"Pad p_{i} needs the mean of q", "reader") for i in (1, 2, 4)]
    alone = kept("alone", "graph output y needs the mean of y", "reader")
    assert printed(PlanSummary("rms", "cpu", (*post, *pads, alone))) == [
        "0 of 6 LayerNorms become RMSNorms",
        "- 2 LayerNorms stay (blocks 1 to 2: 1 each): what they normalize adds up outputs of other "
        "LayerNorms, whose mean is not zero (as in a Post-LN network)",
        "- 3 LayerNorms stay (blocks 1, 2, 4: 1 each): Pad p_1 needs the mean of q, and 2 alike",
        "- 1 LayerNorm stays (alone): graph output y needs the mean of y",
    ]


def test_what_the_plan_adds_is_said_and_what_is_alike_is_summed() -> None:
    plan = dataclasses.replace(
        deep(),
        recentrings=(Recentring("s", 2, 64, ("a",), 1.0), Recentring("t", 2, 64, ("b",) * 9, 1.0)),
        copies=tuple(Copy(f"w{i}", 10_000, "another use needs it whole") for i in range(9)),
        other_norms=tuple(OtherNorm(f"gn{i}", "GroupNorm", "it is one") for i in range(5)),
    )
    assert printed(plan)[3:] == [
        "mean subtracted explicitly: at s (axis 2, size 64), for 1 norm: a",
        "mean subtracted explicitly: at t (axis 2, size 64), for 9 norms, b to b",
        "held twice: w0 and 8 more weights (90.0 kB more): another use needs it whole",
        "left alone: gn0 to gn4, 5 of them (GroupNorm): it is one",
    ]
    assert sum(line.startswith("held twice") for line in printed(plan, verbose=True)) == 9


@pytest.mark.parametrize("verbose", [False, True])
def test_what_was_only_counted_is_said_by_what_it_is(verbose: bool) -> None:
    plan = dataclasses.replace(
        deep(norm("n", absorbed_by=("val_12",), recentrings=("val_3",))),
        recentrings=(Recentring("val_3", 2, 64, ("n",), 1.0),),
        copies=(Copy("val_12", 10_000, "another use needs it whole"),),
        titles={"val_12": "weight of h.3.mlp", "val_3": "val_3 (in h.3)"},
    )
    text = "\n".join(printed(plan, verbose=verbose))
    for words in (
        "mean subtracted at val_3 (in h.3)",
        "weight of h.3.mlp" if verbose else "h.*.mlp.weight",
        "subtracted explicitly: at val_3 (in h.3) (axis 2",
        "held twice: weight of h.3.mlp (10.0 kB more)",
    ):
        assert words in text
    assert "val_12" not in text


@pytest.mark.parametrize("width", [80, 120, 200])
@pytest.mark.parametrize("verbose", [False, True])
def test_no_line_is_longer_than_the_terminal(width: int, verbose: bool) -> None:
    far = norm("/a_name_without_any_space" * 12, recentrings=("/recentred_far_above" * 12,))
    lines = printed(deep(far), width, verbose=verbose)
    assert max(map(len, lines)) <= width
    if not verbose:
        assert len(lines) <= 12
        assert sum(line.startswith("- ") for line in lines) == 2
    else:
        rows = [line for line in lines if line.startswith("/h.")]
        assert len(rows) == 2 * BLOCKS


def test_verbose_is_a_row_for_each_norm() -> None:
    lines = printed(deep(), verbose=True)
    rows = [line for line in lines if line.startswith("/h.")]
    assert len(rows) == 2 * BLOCKS
    assert rows[-1].endswith(
        "mean taken out of h.49.mlp.out.{weight,bias} and 49 weights of the rows above; beta folded"
    )


@pytest.mark.parametrize(
    ("forecast", "line"),
    [
        (Forecast((1, 1), 0.1, 0.2), "nothing that can be measured (100 norms of 1 row: a norm of"),
        (Forecast((16, 64), 1, 0.001), "nothing that can be measured (100 norms of 16 to 64 rows,"),
        (Forecast((16, 64), -1, -0.001), "nothing that can be measured (100 norms of 16 to 64"),
        (Forecast((16, 16), -9, -0.123), "a call takes about 12% MORE (100 norms of 16 rows)"),
        (Forecast((1, 1), -9, -0.123), "a call takes about 12% MORE (100 norms of 1 row)"),
        (Forecast((16, 16), 1, None), "unknown on cpu, measure it (100 norms of 16 rows)"),
        (Forecast((16, 16), 1, 0.123), "a call takes about 12% less (100 norms of 16 rows)"),
    ],
)
def test_a_forecast_says_where_it_does_not_pay(forecast: Forecast, line: str) -> None:
    assert printed(dataclasses.replace(deep(), forecast=forecast))[1].startswith(
        f"forecast for the norms alone: {line}"
    )


def test_without_norms_there_is_one_line() -> None:
    found = printed(PlanSummary("rms", "cpu", ()))
    assert found == ["no LayerNorm found: there is nothing to convert"]


@pytest.mark.parametrize(
    ("name", "width", "short"),
    [("short", 8, "short"), ("abcdefghijkl", 9, "ab...ijkl"), ("abcdefghijkl", 1, "a...l")],
)
def test_a_long_name_loses_its_middle(name: str, width: int, short: str) -> None:
    assert shortened_name(name, width) == short


def test_numbers_of_names_are_no_difference() -> None:
    assert pattern("h.3.fc2.bias") == "h.*.fc2.bias"
    assert pattern("onnx::MatMul_294") == "onnx::MatMul_*"
