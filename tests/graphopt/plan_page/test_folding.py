"""What repeats is folded, and nothing else."""

from __future__ import annotations

import pytest

from graphopt.plan_page.folding import common_name, folded


@pytest.mark.parametrize(
    ("items", "runs"),
    [
        ("", []),
        ("abc", ["a", "b", "c"]),
        ("aab", ["a*2", "b"]),
        ("xababab", ["x", "ab*3"]),
        ("xabcdabcdy", ["x", "abcd*2", "y"]),
        ("aaaabaaaab", ["aaaab*2"]),  # the block that covers most
        ("abab" * 50, ["ab*100"]),
        ("abacab", ["a", "b", "a", "c", "a", "b"]),
    ],
)
def test_the_block_is_taken_that_covers_most(items: str, runs: list[str]) -> None:
    found = folded(items, items, [None] * len(items))
    assert [
        "".join(run.blocks[0]) + (f"*{run.times}" if run.times > 1 else "") for run in found
    ] == runs
    assert "".join("".join(block) for run in found for block in run.blocks) == items


def test_alike_items_need_not_be_equal() -> None:
    (run,) = folded(["a1", "b1", "a2", "b2"], ["a", "b", "a", "b"], [None] * 4)
    assert run.alike == [("a1", "a2"), ("b1", "b2")]


@pytest.mark.parametrize(
    ("items", "groups", "runs"),
    [
        ("xbabababy", "001122334", ["x", "b", "ab*3", "y"]),  # a begins the group
        ("abababa", "0011223", ["ab*3", "a"]),
        ("babab", "01122", ["b", "ab*2"]),
        ("baba", "0112", ["ba*2"]),  # else it would not be repeated
        ("baba", "0123", ["ba*2"]),
    ],
)
def test_a_block_begins_where_its_group_begins(items: str, groups: str, runs: list[str]) -> None:
    found = folded(items, items, groups)
    assert [
        "".join(run.blocks[0]) + (f"*{run.times}" if run.times > 1 else "") for run in found
    ] == runs


@pytest.mark.parametrize(
    ("names", "common"),
    [
        (["h.0.ln_1", "h.1.ln_1"], "h.*.ln_1"),
        (["h.10.ln_1"], "h.10.ln_1"),
        (["h.3.a4", "h.3.a5"], "h.3.a*"),
        (["layer_norm_7", "layer_norm"], "layer_norm_*"),
    ],
)
def test_a_star_stands_for_what_tells_names_apart(names: list[str], common: str) -> None:
    assert common_name(names) == common
