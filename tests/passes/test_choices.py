"""Each choice and each target stands in one place: what is written elsewhere follows from it."""

from __future__ import annotations

import dataclasses
import inspect
import re
from pathlib import Path

import onnxruntime
import pytest
from click.testing import CliRunner

import graphopt
from graphopt.benchmarking.settings import Settings
from graphopt.cli import cli
from graphopt.errors import UsageError
from graphopt.native import build
from graphopt.passes import choices
from graphopt.passes.choices import BASIS, OPS, PROVIDER, VARIANT, Choice
from graphopt.passes.pipeline import Options, steps
from graphopt.passes.targets import OPERATOR_SETS, PROVIDERS, operator_set_named, provider_named
from graphopt.reporting import Report

_ROOT = Path(__file__).parent.parent.parent
_CHOICES = {value.name: value for value in vars(choices).values() if isinstance(value, Choice)}
_NAMED = [VARIANT, BASIS, OPS, PROVIDER]


def test_the_options_are_the_choices() -> None:
    fields = {field.name: field.default for field in dataclasses.fields(Options)}
    assert fields.keys() == _CHOICES.keys()
    # A basis is for crms alone, so that it has its default there and not in the field; and a target
    # chooses operators.
    expected = {name: choice.default for name, choice in _CHOICES.items()}
    expected |= {"basis": None, "ops": None}
    assert fields == expected
    assert Options(variant="crms").basis == BASIS.default
    assert Options().ops == OPS.default


@pytest.mark.parametrize("function", [graphopt.optimize, graphopt.inspect])
def test_the_python_functions_have_the_choices_and_their_defaults(function: object) -> None:
    found = {name: p.default for name, p in inspect.signature(function).parameters.items()}
    expected = {field.name: field.default for field in dataclasses.fields(Options)}
    assert {name: found[name] for name in expected} == expected


@pytest.mark.parametrize("command", ["optimize", "inspect", "passes"])
def test_the_commands_have_the_choices_with_their_help(command: str) -> None:
    text = " ".join(CliRunner().invoke(cli, [command, "--help"]).output.split())
    for choice in _CHOICES.values():
        assert f"--{choice.name.replace('_', '-')}" in text
        assert choice.help in text
    for choice in _NAMED:
        assert f"[{'|'.join(choice.values)}]" in text
        assert f"[default: {choice.default}]" in text


def test_a_benchmark_starts_from_the_same_defaults() -> None:
    assert (Settings().ops, Settings().providers) == (OPS.default, (PROVIDER.default,))


@pytest.mark.parametrize("choice", _NAMED, ids=lambda choice: choice.name)
def test_the_page_names_every_value(choice: Choice) -> None:
    text = (_ROOT / "docs" / "use.md").read_text()
    for value in choice.values:
        assert re.search(rf"`{value}`|`--{choice.name} {value}`", text), value


def test_help_says_what_each_operator_set_is() -> None:
    for row in OPERATOR_SETS.values():
        assert f"{row.name}, {row.meaning}" in OPS.help


def test_a_provider_is_what_onnx_runtime_calls_it() -> None:
    known = onnxruntime.get_all_providers()
    for row in PROVIDERS.values():
        assert row.runtime in known
        assert row.checked_as in {field.name for field in dataclasses.fields(Report)}
        assert build.library_name(row.name)


def test_a_row_is_found_by_its_name() -> None:
    assert [provider_named(name).name for name in PROVIDERS] == list(PROVIDER.values)
    assert [operator_set_named(name).name for name in OPERATOR_SETS] == list(OPS.values)
    with pytest.raises(UsageError, match="unknown execution provider 'tpu'; choose cpu or cuda"):
        provider_named("tpu")


def test_each_operator_set_has_steps_that_write_it() -> None:
    made = {
        name: [step.name for step in steps(Options(ops=name, fuse=False))] for name in OPS.values
    }
    assert len({tuple(names) for names in made.values()}) == 2  # ort differs in what one step does
    assert {"lower-custom-norms", "fuse-custom-norms"} <= set(made["custom"])
    on_cuda = [step.name for step in steps(Options(ops="ort", provider="cuda", fuse=False))]
    assert set(on_cuda) - set(made["ort"]) == {"fuse-skip-norms"}


@pytest.mark.parametrize("name", OPS.values)
def test_what_is_not_about_norms_can_be_left_out(name: str) -> None:
    fused = {step.name for step in steps(Options(ops=name))}
    alone = {step.name for step in steps(Options(ops=name, fuse=False))}
    added = {
        "compose-transposes",
        "drop-idle-masks",
        "drop-nan-guards",
        "fold-scales",
        "fuse-biases",
        "join-heads",
        "merge-equal-nodes",
        "move-nan-guards",
        "settle-sizes",
    }
    added |= {"fuse-attention", "fuse-key-transposes"} if name != "standard" else set()
    assert fused - alone == added | (
        {"fuse-gelus", "fuse-kept-norms"} if name == "custom" else set()
    )
    assert alone <= fused
    for step in added:
        assert step not in {each.name for each in steps(Options(ops=name, skip={step}))}


def test_names_of_providers_are_compared_nowhere_else() -> None:
    """A provider is a row: code asks the row, not the name."""
    files = [
        path
        for room in ("graphopt", "passes")
        for path in (_ROOT / room).rglob("*.py")
        if "native" not in path.parts and not path.is_relative_to(_ROOT / "graphopt" / "passes")
    ]
    compared = re.compile(r"""[!=]= ["'](cpu|cuda)["']|["'](cpu|cuda)["'] (not )?in\b""")
    assert [path.name for path in files if compared.search(path.read_text())] == []


def test_what_is_skipped_of_the_fusing_need_not_be_said_without_it() -> None:
    chosen = Options(skip={"fuse-gelus", "fold-affine"}).without_fusing()
    assert (chosen.fuse, chosen.skip) == (False, {"fold-affine"})
