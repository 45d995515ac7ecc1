"""The table of a latency comparison."""

from __future__ import annotations

import io

import numpy as np
from rich.console import Console
from rich.table import Table

from graphopt.latency import latency_table
from graphopt.measurement import Samples


def samples(**milliseconds: float) -> Samples:
    arrays = {name: np.full(40, value / 1e3) for name, value in milliseconds.items()}
    return Samples(arrays, "thread_cpu", warmup_rounds=10, stable=True)


def cells(table: Table) -> list[list[str]]:
    out = io.StringIO()
    Console(file=out, width=200).print(table)
    lines = [line for line in out.getvalue().splitlines() if line.startswith(("│", "┃"))]
    return [
        [cell.strip() for cell in line.strip("│┃").replace("┃", "│").split("│")] for line in lines
    ]


def test_the_table_with_a_floor() -> None:
    table = latency_table(
        samples(original=10, rms=8.5, floor=8), baseline="original", floor="floor", items=2
    )
    heading, *rows = cells(table)
    assert heading[0] == "model"
    assert heading[-1] == "captured [95%]"
    ratio, floor_ratio = "0.850 [0.850, 0.850]", "0.800 [0.800, 0.800]"
    assert rows == [
        ["original", *["10.000"] * 3, "200.0", "1", "", ""],
        ["rms", *["8.500"] * 3, "235.3", ratio, "faster", "75% [75%, 75%]"],
        ["floor", *["8.000"] * 3, "250.0", floor_ratio, "faster", ""],
    ]
    assert table.caption == "40 interleaved rounds, CPU time of the calling thread"


def test_a_floor_that_is_no_faster_gives_no_share() -> None:
    table = latency_table(samples(old=10, new=10, floor=10), baseline="old", floor="floor")
    assert [row[-2:] for row in cells(table)[1:]] == [
        ["", ""],
        ["no difference", "-"],
        ["no difference", ""],
    ]


def test_without_a_floor_there_is_no_share() -> None:
    assert cells(latency_table(samples(old=10, new=9), baseline="old"))[0][-1] == "verdict"
