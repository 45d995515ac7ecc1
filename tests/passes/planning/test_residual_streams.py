"""Where the residual streams of a plan are written and read."""

from __future__ import annotations

import itertools

import pytest

from graphopt.passes.report import Place, PlanSummary
from tests.passes.graphs import graph, optimized

TABLES = "t[5,8] pos[3,8] g[8] c[8] m[8,8] w[8,8] b[8]"
IDS = "int64[B,3] ids"
EMBED = "e = Gather(t, ids) x0 = Add(e, pos)"


def plan(body: str, *, outputs: str = "float[B,3,8] y", **options: object) -> PlanSummary:
    model = graph(body, TABLES, inputs=IDS, outputs=outputs)
    return optimized(model, **options).summary


def places(found: PlanSummary) -> list[list[Place]]:
    return [list(stream.places) for stream in found.streams]


PRE_LN = f"""{EMBED}
    n1 = LayerNormalization(x0, g, c) h1 = MatMul(n1, m) a1 = Add(h1, b) x1 = Add(x0, a1)
    n2 = LayerNormalization(x1, g, c) y = MatMul(n2, w)"""

RECENTRED = f"""{EMBED} r = Tanh(x0)
    n1 = LayerNormalization(x0, g, c) h1 = MatMul(n1, m) a1 = Add(h1, b) z1 = Relu(a1)
    n2 = LayerNormalization(x0, c, g) h2 = MatMul(n2, m) a2 = Add(h2, b) z2 = Relu(a2)
    n3 = LayerNormalization(x0, b, g) h3 = MatMul(n3, w) a3 = Add(h3, b) z3 = Relu(a3)
    y = Sum(r, z1, z2, z3)"""


def test_a_stream_of_sums_is_one_line_of_places() -> None:
    found = plan(PRE_LN)
    assert places(found) == [
        [
            Place("x0", "centred", absorbing=("t", "pos"), norms=("n1",)),
            Place("x1", "centred", after=(0,), absorbing=("m", "b"), norms=("n2",)),
        ]
    ]
    assert (found.streams[0].axis, found.streams[0].size) == (2, 8)


def test_who_needs_the_mean_stands_where_it_reads() -> None:
    found = plan(f"{PRE_LN} z = Tanh(x1)", outputs="float[B,3,8] y, float[B,3,8] z")
    first, second = (place for (stream,) in [places(found)] for place in stream)
    assert (first.state, first.readers, first.others) == ("raw", (), ("t", "pos"))
    assert (second.state, second.readers, second.others) == ("raw", ("Tanh z",), ("m", "b"))


def test_a_recentring_stands_at_the_place_whose_copy_it_makes() -> None:
    found = plan(RECENTRED)
    assert places(found) == [
        [
            Place(
                "x0",
                "raw",
                others=("t", "pos"),
                norms=("n1", "n2", "n3"),
                readers=("Tanh r",),
                recentrings=("x0",),
            )
        ]
    ]


def test_a_stream_goes_on_behind_a_norm_whose_output_is_added_up() -> None:
    found = plan(
        f"""{EMBED} n1 = LayerNormalization(x0, g, c) h1 = MatMul(n1, m) x1 = Add(n1, h1)
        n2 = LayerNormalization(x1, g, c) h2 = MatMul(n2, w) x2 = Add(n2, h2)
        y = LayerNormalization(x2, g, c)"""
    )
    assert places(found) == [
        [
            Place("x0", "centred", absorbing=("t", "pos"), norms=("n1",)),
            Place("n1", "raw", after=(0,), norm_outputs=("n1",), readers=("MatMul h1",)),
            Place("x1", "raw", after=(1,), others=("m",), norms=("n2",)),
            Place("n2", "raw", after=(2,), norm_outputs=("n2",), readers=("MatMul h2",)),
            Place("x2", "raw", after=(3,), others=("w",), norms=("y",)),
        ]
    ]


def test_twin_norms_read_one_place_and_parallel_maps_write_one() -> None:
    found = plan(
        f"""{EMBED} n1 = LayerNormalization(x0, g, c) n2 = LayerNormalization(x0, c, g)
        h1 = MatMul(n1, m) h2 = MatMul(n2, w) s = Add(x0, h1) x1 = Add(s, h2)
        y = LayerNormalization(x1, g, c)"""
    )
    assert places(found) == [
        [
            Place("x0", "centred", absorbing=("t", "pos"), norms=("n1", "n2")),
            Place("x1", "centred", after=(0,), absorbing=("m", "w"), norms=("y",)),
        ]
    ]


def test_streams_that_share_nothing_are_apart() -> None:
    found = plan(
        f"""{EMBED} n1 = LayerNormalization(x0, g, c) h1 = MatMul(n1, m)
        n2 = LayerNormalization(h1, g, c) r = Relu(n2) y = LayerNormalization(r, g, c)"""
    )
    assert places(found) == [
        [Place("x0", "centred", absorbing=("t", "pos"), norms=("n1",))],
        [Place("h1", "centred", absorbing=("m",), norms=("n2",))],
        [Place("r", "raw", sources=("Relu r writes it",), norms=("y",))],
    ]


def test_what_is_cut_out_of_a_place_for_other_readers_is_no_place() -> None:
    found = plan(
        f"""{EMBED} y = LayerNormalization(x0, g, c)
        zero = Constant<value_ints = [0]>() one = Constant<value_ints = [1]>()
        first = Slice(x0, zero, one, one) z = Tanh(first)""",
        outputs="float[B,3,8] y, float[B,1,8] z",
    )
    ((place,),) = places(found)
    assert (place.value, place.readers, place.norms) == ("x0", ("Tanh z",), ("y",))


def test_a_fork_says_what_each_place_adds_to() -> None:
    found = plan(
        f"""{EMBED} n1 = LayerNormalization(x0, g, c) h1 = MatMul(n1, m) h2 = MatMul(n1, w)
        x1 = Add(x0, h1) x2 = Add(x0, h2)
        n2 = LayerNormalization(x1, g, c) n3 = LayerNormalization(x2, g, c) y = Add(n2, n3)"""
    )
    ((start, one, other),) = places(found)
    assert (start.value, one.value, other.value) == ("x0", "x1", "x2")
    assert (one.after, other.after) == ((0,), (0,))


def test_a_compressed_stream_says_so_and_where_its_basis_changes() -> None:
    found = plan(PRE_LN, variant="crms")
    assert {place.state for place in itertools.chain(*places(found))} == {"compressed"}
    changed = {name for place in itertools.chain(*places(found)) for name in place.basis_changes}
    assert changed == {change.value for change in found.basis_changes}


@pytest.mark.parametrize("variant", ["rms", "crms"])
@pytest.mark.parametrize(
    "body",
    [
        PRE_LN,
        f"{EMBED} n1 = LayerNormalization(x0, g, c) h1 = MatMul(n1, m) x1 = Add(n1, h1) "
        "y = LayerNormalization(x1, g, c)",
        RECENTRED,
    ],
    ids=["pre-ln", "post-ln", "recentred"],
)
def test_the_streams_say_what_the_decisions_say(body: str, variant: str) -> None:
    found = plan(body, variant=variant)
    all_places = [place for stream in found.streams for place in stream.places]
    of_places = [name for place in all_places for name in place.norms]
    assert sorted(of_places) == sorted(norm.name for norm in found.norms)
    absorbing = {name for place in all_places for name in place.absorbing}
    assert absorbing == {name for norm in found.norms for name in norm.absorbed_by}
    recentred = {name for place in all_places for name in place.recentrings}
    assert recentred == {recentring.value for recentring in found.recentrings}
