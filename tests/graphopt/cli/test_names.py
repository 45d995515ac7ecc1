"""How names are shown: whole in a pipe, shortened in a terminal, and never as markup."""

from __future__ import annotations

from pathlib import Path

import pytest

from graphopt.printing import console, reports
from graphopt.printing.names import joined_names
from tests.graphopt.cli.command_line import run
from tests.graphopt.model_files import block, save_inline

LONG_NAME = "/encoder/layers.11/" + "a_module_with_a_long_name/" * 4 + "LayerNormalization"


def test_long_names_are_whole_in_a_pipe_and_lose_their_middle_in_a_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    long = block()
    long.graph.node[2].name = LONG_NAME
    path = save_inline(long, tmp_path / "model.onnx")
    monkeypatch.delenv("COLUMNS", raising=False)
    assert LONG_NAME in run(capsys, "inspect", "-v", path)[1]

    monkeypatch.setenv("COLUMNS", "80")
    for options in ([], ["-v"]):
        _, out, _ = run(capsys, "inspect", path, *options)
        assert max(map(len, out.splitlines())) <= 80
    name = next(line.split("  ")[0] for line in out.splitlines() if line.startswith("/encoder"))
    assert len(name) == 80 // 3
    head, _, tail = name.partition("...")
    assert LONG_NAME.startswith(head)
    assert LONG_NAME.endswith(tail)


def test_names_are_not_markup(capsys: pytest.CaptureFixture[str]) -> None:
    reports.console().print(console.table("[bold]a[/bold]"), end="")
    assert "[bold]a[/bold]" in capsys.readouterr().out


COMMANDS = "\x1b[2J\x07\r\n\u202e\x9b"
"""Erases the screen, rings, overwrites the line, begins another, turns the text around."""
ESCAPED = r"\x1b[2J\x07\r\n\u202e\x9b"


@pytest.mark.parametrize("options", [[], ["-v"]])
def test_names_do_not_command_the_terminal(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = block()
    for node in model.graph.node:
        node.name = node.op_type + COMMANDS
    size = model.graph.input[0].type.tensor_type.shape.dim[0]
    size.dim_param = "batch" + COMMANDS
    path = save_inline(model, tmp_path / "model.onnx")
    code, out, _ = run(capsys, "optimize", path, *options)
    assert code == 0
    assert f"batch{ESCAPED}=" in out
    assert not set(COMMANDS) - {"\n"} & set(out) - set("[2J")

    model.graph.node[0].input[0] = "nowhere"
    model.graph.node[0].op_type = "No" + COMMANDS
    _, _, error = run(capsys, "inspect", save_inline(model, path))
    assert error.count("\n") == 1
    assert "\x1b" not in error


@pytest.mark.parametrize(
    ("names", "joined"),
    [
        (["h.0.c.weight", "h.0.c.bias"], "h.0.c.{weight,bias}"),
        (["h.0.c.weight", "wte", "h.0.c.bias"], "h.0.c.{weight,bias}, wte"),
        (["wte", "wpe"], "wte, wpe"),
        (["val_1"], "val_1"),
    ],
)
def test_weights_of_one_module_share_braces(names: list[str], joined: str) -> None:
    assert joined_names(names) == joined
