"""Of a few results the fastest is kept, of equals the simplest, unless the input is faster."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import graphopt
from graphopt.benchmarking import tuning
from graphopt.benchmarking.tuning import NotFaster, choose, tune
from graphopt.cli.application import cli
from graphopt.files import saving
from graphopt.measuring.rounds import Samples
from graphopt.options import Check, Sample
from graphopt.passes.pipeline import Options
from graphopt.verification import Original
from tests.graphopt.benchmarking.simulated_samples import samples
from tests.passes.graphs import graph

NAMES = ["--no-fuse", "without attention operators", "as chosen"]


@pytest.mark.parametrize(
    ("seconds", "kept"),
    [
        ([1.0, 0.9, 0.8, 0.7], "as chosen"),
        ([1.0, 0.9, 0.7, 0.7], "without attention operators"),
        ([1.0, 0.7, 0.7, 0.7], "--no-fuse"),
        ([1.0, 0.7, 0.9, 0.8], "--no-fuse"),
        ([1.0, 0.9, 0.7, 0.8], "without attention operators"),
        ([1.0, 1.2, 1.1, 1.1], "without attention operators"),
    ],
)
def test_the_fastest_is_kept_and_of_equals_the_simplest(seconds: list[float], kept: str) -> None:
    found = samples(dict(zip(["input", *NAMES], seconds, strict=True)))
    assert choose(found, NAMES) == kept


def timed(monkeypatch: pytest.MonkeyPatch, seconds: dict[str, float]) -> list[str]:
    """Let the models take so long; returns the list of what is timed."""
    seen: list[str] = []

    def time_models(models: dict[str, Path], *_: object) -> tuple[Samples, None]:
        assert all(path.exists() for path in models.values())
        seen.extend(models)
        return samples({name: seconds[name] for name in models}), None

    monkeypatch.setattr(tuning, "time_models", time_models)
    return seen


def run(path: Path, options: Options) -> tuple[Options, tuning.Tuning]:
    with Original(path, Sample()) as original:
        return tune(original, path, options, Check(Sample()))


def attention(path: Path) -> Path:
    """Attention with biases, which one step takes, and without a mask, which another takes."""
    model = graph(
        """
        q0 = MatMul(x, wq) q1 = Add(q0, bq) q2 = Reshape(q1, split)
        k0 = MatMul(x, wk) k1 = Reshape(k0, split) v0 = MatMul(x, wv) v1 = Reshape(v0, split)
        q = Transpose<perm=[0,2,1,3]>(q2) kt = Transpose<perm=[0,2,3,1]>(k1)
        v = Transpose<perm=[0,2,1,3]>(v1)
        s = MatMul(q, kt) p = Softmax<axis=-1>(s) o = MatMul(p, v)
        o1 = Transpose<perm=[0,2,1,3]>(o) o2 = Reshape(o1, join) y = MatMul(o2, wo)
        """,
        "wq[8,8] wk[8,8] wv[8,8] wo[8,8] bq[8]",
        inputs="float[B,3,8] x",
        outputs="float y",
        constants={"split": np.array([-1, 3, 2, 4]), "join": np.array([-1, 3, 8])},
        float64=False,
    )
    saving.save(model, path)
    return path


def test_what_is_tried_and_what_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = timed(monkeypatch, {"input": 1.0, **dict(zip(NAMES, (0.9, 0.7, 0.8), strict=True))})
    options, found = run(attention(tmp_path / "model.onnx"), Options())
    assert sorted(seen) == sorted(["input", *NAMES])
    assert (found.kept, options.skip, options.fuse) == (NAMES[1], {"fuse-attention"}, True)
    assert [row.name for row in found.rows] == ["input", *NAMES]
    assert found.rejected == {}


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (Options(fuse=False), ["input", "as chosen"]),
        (Options(ops="standard"), ["input", "--no-fuse", "as chosen"]),
        (Options(skip={"fuse-attention"}), ["input", "--no-fuse", "as chosen"]),
    ],
)
def test_what_would_be_the_same_model_is_not_tried(
    options: Options, names: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = timed(monkeypatch, dict.fromkeys(["input", *NAMES], 1.0))
    _, found = run(attention(tmp_path / "model.onnx"), options)
    assert sorted(seen) == sorted(names)
    assert found.kept == names[1]


def test_an_input_that_is_faster_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, output = attention(tmp_path / "model.onnx"), tmp_path / "out.onnx"
    timed(monkeypatch, {"input": 1.0, **dict.fromkeys(NAMES, 1.3)})
    with pytest.raises(NotFaster, match=r"model.onnx is faster .* takes 1\.\d+ \[.* nothing"):
        run(model, Options())
    result = CliRunner().invoke(cli, ["optimize", str(model), "-o", str(output), "--tune"])
    assert isinstance(result.exception, NotFaster)
    assert result.exception.exit_code == 4
    assert not output.exists()


def test_the_command_writes_what_is_kept_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, output = attention(tmp_path / "model.onnx"), tmp_path / "out.onnx"
    timed(monkeypatch, {"input": 1.0, **dict(zip(NAMES, (0.5, 0.6, 0.7), strict=True))})
    command = ["optimize", str(model), "-o", str(output), "--tune", "--report"]
    result = CliRunner().invoke(cli, [*command, str(tmp_path / "report.json")])
    assert result.exit_code == 0, result.output
    assert any("--no-fuse" in line and "kept" in line for line in result.output.splitlines())
    plain = graphopt.optimize(model, fuse=False)
    assert [node.op_type for node in graphopt.load(output).graph] == [
        node.op_type for node in plain.model.graph
    ]
    assert '"kept": "--no-fuse"' in (tmp_path / "report.json").read_text()


def test_an_output_that_exists_is_refused_before_anything_is_timed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, output = attention(tmp_path / "model.onnx"), tmp_path / "out.onnx"
    output.write_text("mine")
    seen = timed(monkeypatch, {})
    result = CliRunner().invoke(cli, ["optimize", str(model), "-o", str(output), "--tune"])
    assert "exists" in str(result.exception)
    assert (seen, output.read_text()) == ([], "mine")


def test_unverified_results_are_not_tuned(tmp_path: Path) -> None:
    model = attention(tmp_path / "model.onnx")
    result = CliRunner().invoke(cli, ["optimize", str(model), "--tune", "--no-verify"])
    assert result.exit_code == 2
    assert "--tune keeps what is verified: leave out --no-verify" in result.output


def test_it_times_for_real(tmp_path: Path) -> None:
    model = attention(tmp_path / "model.onnx")
    with Original(model, Sample()) as original:
        try:
            _, found = tune(original, model, Options(), Check(Sample()), seconds=0.1)
        except NotFaster:
            return  # a graph of a few numbers need not gain
    assert all(np.isfinite(row.median) and row.median > 0 for row in found.rows)
