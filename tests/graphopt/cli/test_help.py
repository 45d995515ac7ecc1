"""Help lists every command under its task with an example that works; the shell completes them."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from graphopt.cli import cli
from graphopt.cli.tasks import TASKS

EXAMPLES = [each for examples in TASKS.values() for each in examples.items()]


def test_each_command_has_one_task() -> None:
    assert sorted(name for name, _ in EXAMPLES) == sorted(cli.commands)


@pytest.mark.parametrize(("name", "example"), EXAMPLES, ids=[name for name, _ in EXAMPLES])
def test_each_example_is_a_command_that_is_accepted(name: str, example: str) -> None:
    program, command, *arguments = shlex.split(example)
    assert (program, command) == ("graphopt", name)
    cli.commands[name].make_context(name, arguments)  # raises what the command would


def test_an_example_with_an_unknown_option_would_be_found() -> None:
    with pytest.raises(click.UsageError, match="--sideways"):
        cli.commands["inspect"].make_context("inspect", ["model.onnx", "--sideways"])


def test_help_shows_tasks_and_examples_in_80_columns() -> None:
    text = CliRunner().invoke(cli, ["--help"], terminal_width=80).output
    assert max(map(len, text.splitlines())) <= 80
    places = [text.index(f"\n{task}:\n") for task in TASKS]
    assert places == sorted(places)
    for name, example in EXAMPLES:
        assert f"\n  {name} " in text
        assert f" $ {example}\n" in text


@pytest.mark.parametrize(("name", "example"), EXAMPLES, ids=[name for name, _ in EXAMPLES])
def test_the_help_of_a_command_ends_with_its_example(name: str, example: str) -> None:
    text = CliRunner().invoke(cli, [name, "--help"]).output
    assert text.endswith(f"\n  Example:\n    {example}\n")


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("graphopt opt", {"plain,optimize"}),
        ("graphopt optimize --vari", {"plain,--variant"}),
        ("graphopt optimize --variant ", {"plain,rms", "plain,crms"}),
    ],
)
def test_the_shell_completes_commands_options_and_values(words: str, offered: set[str]) -> None:
    asked = {"_GRAPHOPT_COMPLETE": "bash_complete", "COMP_WORDS": words}
    asked["COMP_CWORD"] = str(words.count(" "))
    done = subprocess.run(
        [sys.executable, "-m", "graphopt"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **asked},
    )
    assert done.stderr == ""
    assert set(done.stdout.split()) == offered


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_a_script(shell: str) -> None:
    if shell == "bash" and shutil.which("bash") is None:
        pytest.skip("there is no bash, whose version click asks for")
    program = Path(sys.executable).with_name("graphopt")
    if not program.exists():
        pytest.skip("graphopt is not installed as a program")
    done = subprocess.run(
        [program],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "_GRAPHOPT_COMPLETE": f"{shell}_source"},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "_GRAPHOPT_COMPLETE" in done.stdout
