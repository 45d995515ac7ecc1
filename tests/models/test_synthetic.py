"""Synthetic models: real Pre-LN graphs, of any size, whose norms all convert."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest

import graphopt
from graphopt.cli import cli, exit_codes
from graphopt.errors import UsageError
from graphopt.evaluation import evaluate
from graphopt.evaluation.float64 import cast_to_float64
from graphopt.files import saving, serializing
from graphopt.models import synthetic
from graphopt.models.synthetic import KINDS, SIZES, Size
from graphopt.models.synthetic.weights import BIAS, GAMMA, TABLE, Draw, linear, values
from graphopt.passes import pipeline

TINY = Size(layers=2, hidden=24, heads=3, vocab=31, positions=16, image=16, patch=8)
NORMS = 2 * TINY.layers + 1
OWN_HEAD = dataclasses.replace(TINY, tied=False)
ALL = pytest.mark.parametrize(
    ("kind", "size"), [("gpt", TINY), ("gpt", OWN_HEAD), ("vit", TINY)], ids=["tied", "own", "vit"]
)


def written(kind: str, size: Size, folder: Path, dtype: str = "float32") -> Path:
    path = folder / f"{kind}.onnx"
    saving.save(synthetic.build(kind, size, dtype=dtype), path)
    return path


@ALL
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_every_norm_converts_and_the_result_is_verified(
    kind: str, size: Size, dtype: str, tmp_path: Path
) -> None:
    path = written(kind, size, tmp_path, dtype)
    onnx.checker.check_model(path, full_check=True)
    report = graphopt.optimize(path).report
    assert (report.plan.converted, len(report.plan.norms)) == (NORMS, NORMS)
    assert report.verification is not None
    assert report.verification.status == "passed", report.verification


@ALL
@pytest.mark.parametrize("variant", ["rms", "crms"])
def test_the_result_is_the_same_function_in_float64(
    kind: str, size: Size, variant: str, tmp_path: Path
) -> None:
    path = written(kind, size, tmp_path)
    base, candidate = (cast_to_float64(ir.load(path)) for _ in range(2))
    summary, _ = pipeline.run(candidate, pipeline.Options(variant=variant, ops="standard"))
    assert summary.converted == NORMS
    inputs = graphopt.generate_inputs(base).arrays
    expected, found = (evaluate(model, inputs)["logits"] for model in (base, candidate))
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max())


def test_a_sequence_sees_nothing_that_comes_after_it(tmp_path: Path) -> None:
    path = written("gpt", TINY, tmp_path)
    ids = np.random.default_rng(0).integers(0, TINY.vocab, (2, 9))
    changed = ids.copy()
    changed[:, 5:] = (changed[:, 5:] + 1) % TINY.vocab
    model = ir.load(path)
    first, second = (evaluate(model, {"input_ids": array})["logits"] for array in (ids, changed))
    np.testing.assert_allclose(first[:, :5], second[:, :5], rtol=1e-4, atol=1e-5)
    assert np.abs(first - second)[:, 5:].max(axis=-1).min() > 1e-2


@ALL
def test_the_sizes_that_vary_are_symbols(kind: str, size: Size, tmp_path: Path) -> None:
    graph = onnx.load(written(kind, size, tmp_path)).graph
    expected = {
        "gpt": (["batch", "sequence"], ["batch", "sequence", size.vocab]),
        "vit": (["batch", 3, size.image, size.image], ["batch", size.vocab]),
    }[kind]
    for value, dims in zip((*graph.input, *graph.output), expected, strict=True):
        shape = value.type.tensor_type.shape
        assert [dim.dim_param or dim.dim_value for dim in shape.dim] == dims
    heads = [tensor for tensor in graph.initializer if tensor.name == "head.weight"]
    assert len(heads) == (size is OWN_HEAD)


def test_a_weight_depends_on_its_name_and_the_seed_alone() -> None:
    dtype = np.dtype(np.float32)
    weight = values("a", (8, 5), TABLE, dtype, seed=1)
    np.testing.assert_array_equal(weight, values("a", (8, 5), TABLE, dtype, seed=1))
    for other in (values("b", (8, 5), TABLE, dtype, seed=1), values("a", (8, 5), TABLE, dtype, 2)):
        assert (weight != other).mean() > 0.9


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize(
    ("draw", "mean", "deviation"),
    [(GAMMA, 1, 0.2), (BIAS, 0.05, 0.1), (linear(400), 0, 0.05), (TABLE, 0, np.hypot(0.15, 0.1))],
)
def test_weights_are_spread_as_those_of_the_zoo(
    draw: Draw, mean: float, deviation: float, dtype: str
) -> None:
    # More than a chunk of them, with rows that do not fill one evenly.
    weight = values("w", (3000, 700), draw, np.dtype(dtype), seed=0).astype(np.float64)
    assert weight.mean() == pytest.approx(mean, abs=0.01)
    assert weight.std() == pytest.approx(deviation, rel=0.02)
    assert weight.mean(axis=1).std() == pytest.approx(draw.row_deviation, abs=0.01)
    assert len(np.unique(weight[:2], axis=0)) == len(np.unique(weight[-2:], axis=0)) == 2


def test_no_norm_is_one_that_an_optimizer_could_lose(tmp_path: Path) -> None:
    tensors = onnx.load(written("vit", TINY, tmp_path)).graph.initializer
    weights = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in tensors}
    vectors = {k: v for k, v in weights.items() if k.endswith(("norm.weight", ".bias"))}
    assert len(vectors) == 2 * NORMS + 4 * TINY.layers + 2
    for name, vector in vectors.items():
        assert np.unique(vector).size > len(vector) / 2, name
        assert abs(vector.mean()) > 1e-3, name


def test_a_model_is_written_in_the_memory_of_its_largest_weight(tmp_path: Path) -> None:
    size = Size(layers=8, hidden=512, heads=8, vocab=8000)
    model = synthetic.build("gpt", size, dtype="float16")
    largest = 2 * size.vocab * size.hidden
    path = tmp_path / "model.onnx"
    tracemalloc.start()
    serializing.write(model, path, external=True)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < largest + 8_000_000
    assert path.with_name("model.onnx.data").stat().st_size > 3 * (largest + 8_000_000)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layers": 0}, "layers is 0: give at least 1"),
        ({"vocab": -1}, "vocab is -1: give at least 1"),
        ({"hidden": 2, "heads": 1}, "hidden is 2: give at least 3"),
        ({"heads": 5}, "hidden is 24 and heads is 5: 5 heads cannot share the features evenly"),
        ({"patch": 5}, "image is 16 and patch is 5: choose a divisor"),
        ({"kind": "bert"}, "unknown kind 'bert': choose gpt or vit"),
        ({"dtype": "int8"}, "unknown dtype 'int8': choose float32 or float16"),
        ({"seed": -1}, "the seed is -1: give 0 or more"),
    ],
)
def test_what_no_transformer_has_is_refused_in_one_line(
    change: dict[str, object], message: str
) -> None:
    fields = {field.name for field in dataclasses.fields(Size)}
    size = dataclasses.replace(TINY, **{k: v for k, v in change.items() if k in fields})
    given = {k: v for k, v in change.items() if k not in fields}
    with pytest.raises(UsageError, match=re.escape(message)) as failure:
        synthetic.build(**{"kind": "vit", "size": size} | given)
    assert "\n" not in str(failure.value)


class TestCommand:
    """`graphopt export synthetic`."""

    def run(
        self, capsys: pytest.CaptureFixture[str], *arguments: str | Path
    ) -> tuple[int, str, str]:
        code = exit_codes.run(cli, ["export", *(str(argument) for argument in arguments)])
        return code, *capsys.readouterr()

    TINY_OPTIONS = ("--layers=1", "--hidden=24", "--heads=3", "--vocab=31")

    def test_the_options_say_what_is_written(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for kind, own in (("gpt", "--own-head"), ("gpt", "--tied"), ("vit", "--dtype=float16")):
            path = tmp_path / f"{kind}{own}.onnx"
            options = (f"--kind={kind}", *self.TINY_OPTIONS, own, "--seed=4")
            code, out, _ = self.run(capsys, "synthetic", *options, "-o", path)
            assert (code, out) == (0, f"{path}\n")
            dtype = "float16" if own == "--dtype=float16" else "float32"
            size = Size(1, 24, 3, 31, tied=own != "--own-head")
            expected = tmp_path / "expected.onnx"
            saving.save(synthetic.build(kind, size, dtype=dtype, seed=4), expected, force=True)
            assert path.read_bytes() == expected.read_bytes()

    def test_the_kinds_are_those_that_can_be_built(self) -> None:
        (option,) = (p for p in cli.commands["export"].params if p.name == "kind")
        assert tuple(option.type.choices) == KINDS == tuple(SIZES)

    def test_the_help_names_the_sizes_that_are_taken(self) -> None:
        helps = {p.name: getattr(p, "help", "") for p in cli.commands["export"].params}
        for name in ("layers", "hidden", "heads", "vocab"):
            for size in SIZES.values():
                assert str(getattr(size, name)) in helps[name]

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["synthetic", "--opset", "17"], "--opset is for the zoo: leave it out for"),
            (["synthetic", "--exporter", "dynamo"], "--exporter is for the zoo"),
            (["synthetic", "--from", "."], "--from is for the zoo"),
            (["gpt2-tiny", "--layers", "2"], "--layers is for the model 'synthetic': leave it out"),
            (
                ["synthetic", "--kind", "vit", "--own-head"],
                "only a gpt has a head that can be tied",
            ),
            (["synthetic", "--heads", "7"], "7 heads cannot share the features evenly"),
            (["synthetic", "--layers", "0"], "0 is not in the range x>=1"),
            (["synthetic", "-o", "none/m.onnx"], "none: is not a directory: create it first"),
        ],
    )
    def test_bad_usage_is_one_line_and_writes_nothing(
        self,
        arguments: list[str],
        message: str,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.chdir(tmp_path)
        code, out, error = self.run(capsys, *arguments)
        assert (code, out, error.count("\n")) == (2, "", 1)
        assert message in error
        assert not list(tmp_path.iterdir())

    def test_an_existing_file_is_replaced_by_force_alone(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = tmp_path / "m.onnx"
        path.write_text("something of the user's")
        code, _, error = self.run(capsys, "synthetic", *self.TINY_OPTIONS, "-o", path)
        assert (code, path.read_text()) == (2, "something of the user's")
        assert "exists: choose another output, or replace it (--force)" in error
        assert self.run(capsys, "synthetic", *self.TINY_OPTIONS, "-o", path, "--force")[0] == 0
        onnx.checker.check_model(path)


def test_no_torch_is_needed(tmp_path: Path) -> None:
    options = [*TestCommand.TINY_OPTIONS, "-o", str(tmp_path / "m.onnx")]
    program = (
        "import sys; from graphopt.cli import exit_codes, cli;"
        f"code = exit_codes.run(cli, ['export', 'synthetic', *{options}]);"
        "print(code, [m for m in ('torch', 'transformers') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.splitlines()[1:] == ["0 []"], done.stderr
