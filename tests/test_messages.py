"""Every error, and every reason why a norm stays, says what it must, in few words."""

from __future__ import annotations

import re

import pytest

from graphopt.errors import listed, shortened, shortened_name
from tests.message_table import (
    ERRORS,
    KEPT,
    VERDICTS,
    errors_of_the_code,
    filled,
    is_of_a_row,
    plain,
    reasons_of_the_code,
    verdicts_of_the_code,
)

LONGEST = 300


def test_every_error_and_reason_has_a_row_and_every_row_an_error_or_reason() -> None:
    for of_table, of_code in (
        (ERRORS, errors_of_the_code()),
        (KEPT, reasons_of_the_code()),
        (VERDICTS, verdicts_of_the_code()),
    ):
        in_table = {(file, plain(row)) for file, row in of_table}
        assert set(of_code) - in_table == set()
        assert in_table - set(of_code) == set()


@pytest.mark.parametrize(("file", "row"), ERRORS, ids=lambda text: plain(text)[:60])
def test_an_error_says_where_what_was_found_and_what_to_do(file: str, row: str) -> None:
    where = re.search("«(.*?)»", row)
    assert where is not None, row
    to_do = re.search("⟦(.+?)⟧", row)
    assert to_do is not None, row
    assert "\n" not in row


@pytest.mark.parametrize(
    "row", [row for _, row in VERDICTS if "«" in row], ids=lambda text: plain(text)[:60]
)
def test_what_is_unverified_says_what_was_found_and_what_to_do(row: str) -> None:
    """Rows without a place are put into others; a candidate that failed is itself the place."""
    assert "⟦" in row or row.startswith(("«the candidate»", "output «"))


@pytest.mark.parametrize(
    ("file", "row"), ERRORS + KEPT + VERDICTS, ids=lambda text: plain(text)[:60]
)
def test_a_message_is_short_where_names_are_long(file: str, row: str) -> None:
    message = filled(row)
    cut = " ".join(shortened_name(word, 60) for word in message.split(" "))
    assert len(cut) <= LONGEST, (len(cut), cut)
    assert len(shortened(message)) <= LONGEST


def test_a_message_is_cut_in_its_names_first_and_keeps_what_to_do() -> None:
    name, names = "/a/module" * 20, [f"/h.{i}/" + "a_name" * 15 for i in range(9)]
    short = shortened(f"{name}: reads {name}, which nothing produces: export the model again")
    assert short.count("...") == 2
    assert short.endswith("/a/module, which nothing produces: export the model again")
    whole = f"{name}: has {', '.join(names)}: give others"
    assert shortened(whole).endswith(": give others")
    assert f" ... ({len(whole)} characters) ... " in shortened(whole)
    assert len(shortened(whole)) == LONGEST
    assert shortened("short " * 40) == "short " * 40


def test_a_list_of_names_ends_where_it_is_long() -> None:
    assert listed(["a", "b"]) == "a, b"
    assert listed(str(i) for i in range(9)) == "0, 1, 2, 3 and 5 more"
    assert listed([]) == "none"


def test_a_message_without_a_row_is_found() -> None:
    assert is_of_a_row("a.onnx: no such file: check the path")
    assert not is_of_a_row("a.onnx: it is no good")
