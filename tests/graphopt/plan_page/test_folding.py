"""What repeats is folded, and nothing else."""

from __future__ import annotations

import pytest

from graphopt.plan_page.folding import folded


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
    found = folded(items, items)
    assert [
        "".join(run.blocks[0]) + (f"*{run.times}" if run.times > 1 else "") for run in found
    ] == runs
    assert "".join("".join(block) for run in found for block in run.blocks) == items


def test_alike_items_need_not_be_equal() -> None:
    (run,) = folded(["a1", "b1", "a2", "b2"], ["a", "b", "a", "b"])
    assert run.alike == [("a1", "a2"), ("b1", "b2")]
