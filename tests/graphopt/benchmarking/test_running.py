"""Benchmarks of a small model in ONNX Runtime. No test depends on a time that was measured."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

import graphopt
from graphopt.benchmarking import execution, making, timing
from graphopt.benchmarking.execution import Execution
from graphopt.benchmarking.making import Workshop, make_candidates
from graphopt.benchmarking.peers import PEERS, Peer, run_peer
from graphopt.benchmarking.result import Failure
from graphopt.benchmarking.settings import Settings
from graphopt.benchmarking.trial import try_model
from graphopt.errors import EnvironmentFailure, ModelError, UsageError
from graphopt.files.loading import load
from graphopt.runtime.own_process import ProcessFailed
from graphopt.verification import Original
from tests.graphopt.benchmarking.benchmark_runs import QUICK, measured, try_here
from tests.graphopt.model_files import WIDTH, block, save_external, save_inline
from tests.versions.conditions import needs_onnxruntime


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return save_external(block(), tmp_path / "model.onnx")


@pytest.fixture(autouse=True)
def _trials_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "try_model", try_here)


def test_of_one_model_the_candidates_are_made(model: Path) -> None:
    before = sorted(model.parent.iterdir())
    result = graphopt.benchmark(model, **QUICK)
    assert sorted(model.parent.iterdir()) == before
    assert measured(result) == [["original", "rms", "crms", "floor"]]
    assert [info.kind for info in result.models] == [
        *("original", "optimized", "optimized", "floor")
    ]
    assert "2 of 2 LayerNorms converted" in result.models[1].source
    assert result.title == "model"
    (point,) = result.points
    assert (point.provider, point.threads, point.dtype, point.batch) == ("cpu", 1, "float32", 1)
    assert point.dims == {"batch": 1, "rows": 4}
    assert point.shapes == {"x": (1, 4, WIDTH)}
    assert not point.failures
    assert result.environment.onnxruntime == __import__("onnxruntime").__version__
    for row in point.rows:
        assert np.shape(row.samples) == (6, 1)
        assert 0 < row.p50 <= row.p90 <= row.p99
        assert row.throughput == pytest.approx(1 / row.p50)
        assert row.memory == 1000
    assert point.rows[0].ratio.value == point.rows[0].ratio.low == point.rows[0].ratio.high == 1
    assert "batch 1 (batch) by default: --batch gives others" in result.notes


@pytest.mark.parametrize("alone", [True, False])
def test_where_attention_is_cleaned_up_the_norms_are_measured_alone_too(
    alone: bool, zoo_model: Callable[[str], Path]
) -> None:
    settings = {"iterations": 6, "openings": 6, "warmup": 1, "no_fuse": alone}
    result = graphopt.benchmark(zoo_model("vit-ti-16-tiny"), **settings)
    names = ["original", "rms", "rms no-fuse", "crms", "floor", "floor no-fuse"]
    chosen = [name for name in names if alone or "no-fuse" not in name]
    assert measured(result) == [chosen]
    rows = {row.model: row for row in result.points[0].rows}
    assert rows["rms"].captured is None
    assert rows["rms"].captured_reason.startswith("more than the norms was changed")
    if not alone:
        return
    from_floor = ("", "floor no-fuse is not significantly faster than original")
    assert rows["rms no-fuse"].captured_reason in from_floor
    sources = {info.name: info.source for info in result.models}
    assert "--no-fuse, 5 of 5 LayerNorms converted" in sources["rms no-fuse"]
    assert "--no-fuse, 5 LayerNorms removed" in sources["floor no-fuse"]


def test_the_norms_alone_are_what_optimize_writes_without_fusing(
    zoo_model: Callable[[str], Path], tmp_path: Path
) -> None:
    model = zoo_model("vit-ti-16-tiny")
    with Original(model) as original:
        workshop = Workshop(model, original, tmp_path / "made")
        made, failures = make_candidates(
            workshop,
            [],
            optimized=True,
            no_fuse=True,
            floor=True,
            peers=False,
            quantizers=(),
            announce=lambda name: None,
        )
    assert not failures
    assert {each.info.name: each.fused for each in made} == {
        "rms": True,
        "rms no-fuse": False,
        "crms": True,
        "floor": True,
        "floor no-fuse": False,
    }
    files = {each.info.name: each.path for each in made}
    graphopt.optimize(model, fuse=False, output=tmp_path / "alone.onnx")
    graphopt.optimize(model, output=tmp_path / "rms.onnx")
    assert files["rms no-fuse"].read_bytes() == (tmp_path / "alone.onnx").read_bytes()
    assert files["rms"].read_bytes() == (tmp_path / "rms.onnx").read_bytes()
    # Of a floor nothing but the norms is missing, beside what was cleaned up.
    kinds = {name: Counter(n.op_type for n in load(path).graph) for name, path in files.items()}
    assert kinds["floor no-fuse"]["Mul"] == kinds["rms no-fuse"]["Mul"]
    assert kinds["floor"]["Mul"] == kinds["rms"]["Mul"] < kinds["rms no-fuse"]["Mul"]


def test_what_is_done_can_be_kept_before_the_end(model: Path) -> None:
    kept: list[list[int]] = []
    result = graphopt.benchmark(
        model,
        batches=(2, 1),
        threads=(1, 2),
        floor=False,
        keep=lambda so_far: kept.append([point.batch for point in so_far.points]),
        **QUICK,
    )
    assert kept == [[2, 2], [2, 2, 1, 1]]
    assert [point.batch for point in result.points] == kept[-1]


def test_the_grid_has_every_combination(model: Path) -> None:
    shares: list[float] = []
    result = graphopt.benchmark(
        model,
        batches=(1, 2),
        lengths=(),
        dtypes=("float32", "float16"),
        threads=(1, 2),
        floor=False,
        progress=lambda what, share: shares.append(share),
        **QUICK,
    )
    places = [(point.dtype, point.batch, point.threads) for point in result.points]
    assert places == [
        (dtype, batch, threads)
        for dtype in ("float32", "float16")
        for batch in (1, 2)
        for threads in (1, 2)
    ]
    assert any(note.startswith("float16 by onnxruntime.transformers") for note in result.notes)
    assert result.points[0].rows[0].captured_reason == "it is one end of the scale"
    assert result.points[0].rows[1].captured_reason == "there is no floor"
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_given_inputs_fit_the_float16_form_too(model: Path) -> None:
    inputs = {"x": np.ones((2, 3, WIDTH), np.float32)}
    settings = QUICK | {"dims": {}, "inputs": inputs, "dtypes": ("float16",), "floor": False}
    (point,) = graphopt.benchmark(model, **settings).points
    assert point.shapes == {"x": (2, 3, WIDTH)}
    assert (point.batch, point.dims) == (2, {"batch": 2, "rows": 3})


def test_a_profile_is_taken_where_it_is_asked_for(model: Path) -> None:
    result = graphopt.benchmark(model, profile=True, floor=False, **QUICK)
    for row in result.points[0].rows:
        assert row.profile is not None
        assert row.profile.normalization > 0


def test_of_several_models_the_first_is_the_original(model: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    same_stem = save_external(block(), tmp_path / "other" / "model.onnx")
    third = save_external(block(), tmp_path / "third.onnx")
    result = graphopt.benchmark([model, same_stem, third], baseline="third", **QUICK)
    assert measured(result) == [[str(model), str(same_stem), "third", "floor"]]
    assert [info.kind for info in result.models] == ["original", "given", "given", "floor"]
    assert result.points[0].baseline == "third"


def test_a_candidate_with_other_inputs_is_not_timed(model: Path, tmp_path: Path) -> None:
    other = block()
    other.graph.input[0].name = "z"
    other.graph.node[0].input[0] = "z"
    other = save_external(other, tmp_path / "other.onnx")
    result = graphopt.benchmark([model, other], floor=False, **QUICK)
    assert measured(result) == [["model"]]
    (failure,) = result.points[0].failures
    assert failure.model == "other"
    assert "z" in failure.reason


def test_a_model_without_norms_has_no_floor(tmp_path: Path) -> None:
    text = """<ir_version: 8, opset_import: ["" : 17]>
        g (float[batch, 4] x) => (float[batch, 4] y) { y = Exp (x) }"""
    path = save_inline(onnx.parser.parse_model(text), tmp_path / "exp.onnx")
    result = graphopt.benchmark(path, iterations=6, openings=6, warmup=1)
    assert measured(result) == [["original"]]
    assert result.points[0].failures == (
        Failure("rms", "no LayerNorm was converted: ask graphopt inspect why"),
        Failure("crms", "no LayerNorm was converted: ask graphopt inspect why"),
        Failure("floor", "there is no LayerNorm to remove: leave it out (--no-floor)"),
    )


def fake_peer(monkeypatch: pytest.MonkeyPatch, act: Callable[[Path, Path], None]) -> None:
    """One peer, which this process runs."""

    def run(peer: Peer, source: Path, target: Path, **_: str) -> None:
        act(source, target)

    monkeypatch.setattr(making, "PEERS", (PEERS[1],))
    monkeypatch.setattr(making, "run_peer", run)


def _wrong(source: Path, target: Path) -> None:
    wrong = block()
    wrong.graph.node.append(helper.make_node("Neg", ["y"], ["minus_y"]))
    wrong.graph.node[-2].output[0] = "z"
    wrong.graph.node[-1].input[0] = "z"
    wrong.graph.node[-1].output[0] = "y"
    save_external(wrong, target)


def _invalid(source: Path, target: Path) -> None:
    invalid = block()
    invalid.graph.node[0].op_type = "Mystery"
    save_external(invalid, target)


def _raise(source: Path, target: Path) -> None:
    raise ProcessFailed("KeyError: 'Slice'")


@pytest.mark.parametrize(
    ("act", "reason"),
    [
        (_wrong, "its model is wrong (it differs in y by "),
        (_invalid, "its model is wrong (the candidate does not run: "),
        (_raise, "KeyError: 'Slice'"),
    ],
)
def test_a_peer_that_fails_is_named_and_never_timed(
    model: Path, monkeypatch: pytest.MonkeyPatch, act: Any, reason: str
) -> None:
    fake_peer(monkeypatch, act)
    result = graphopt.benchmark(model, peers=True, floor=False, **QUICK)
    assert measured(result) == [["original", "rms", "crms"]]
    (failure,) = result.points[0].failures
    assert failure.model == "onnxslim"
    assert failure.reason.startswith(reason)


MASKED = """<ir_version: 8, opset_import: ["" : 17]>
g (float[batch, n] x, int64[batch, n] attention_mask) => (float[batch, n] y) {
    mask = Cast <to = 1> (attention_mask)
    y = Mul (x, mask)
}"""


def test_a_peer_that_ignores_the_mask_is_wrong_though_one_sample_has_no_padding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = save_inline(onnx.parser.parse_model(MASKED), tmp_path / "masked.onnx")
    ignoring = MASKED.replace("Mul (x, mask)", "Where (is_set, x, x)").replace(
        "y =", "is_set = Cast <to = 9> (mask) y ="
    )
    fake_peer(monkeypatch, lambda _, target: save_inline(onnx.parser.parse_model(ignoring), target))
    settings = QUICK | {"dims": {"n": (8,)}, "peers": True, "batches": (1,)}
    (point,) = graphopt.benchmark(model, **settings).points
    reasons = {failure.model: failure.reason for failure in point.failures}
    assert reasons["onnxslim"].startswith("its model is wrong (it differs in y by ")
    assert [row.model for row in point.rows] == ["original"]


def test_a_batch_that_the_exporter_froze_is_measured_all_the_same(tmp_path: Path) -> None:
    frozen = block()
    frozen.graph.initializer.append(onnx.numpy_helper.from_array(np.array([1, 4, WIDTH]), "shape"))
    frozen.graph.node[-1].output[0] = "before"
    frozen.graph.node.append(helper.make_node("Reshape", ["before", "shape"], ["y"]))
    path = save_external(frozen, tmp_path / "frozen.onnx")
    assert measured(graphopt.benchmark(path, **QUICK)) == [["original", "rms", "crms", "floor"]]


def test_a_right_peer_is_timed_beside_the_others(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_peer(monkeypatch, lambda source, target: graphopt.save(load(source), target))
    result = graphopt.benchmark(model, peers=True, **QUICK)
    assert measured(result) == [["original", "rms", "crms", "floor", "onnxslim"]]
    peer = result.points[0].rows[-1]
    assert peer.captured is None
    assert peer.captured_reason == "other optimizers change more than the norms"
    assert result.models[-1].kind == "peer"
    assert result.models[-1].source.startswith("onnxslim ")


RELOADS = needs_onnxruntime("1.21", "an optimizer that loads what it has saved")


@pytest.mark.parametrize(
    "peer",
    [
        pytest.param(peer, marks=[RELOADS] * (peer.name == "ort-transformers"), id=peer.name)
        for peer in PEERS
    ],
)
def test_every_peer_runs_in_a_process_of_its_own(peer: Peer, model: Path, tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    target = tmp_path / "made" / "model.onnx"
    run_peer(peer, model, target, provider="cpu", model_type="bert")
    assert graphopt.verify(model, target).status == "passed"
    assert peer.source.split()[1][0].isdigit()


def test_the_message_of_a_peer_that_raises_is_kept(tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no model")
    with pytest.raises(ProcessFailed, match=r"^\w*Error: "):
        run_peer(PEERS[2], broken, tmp_path / "made.onnx", provider="cpu", model_type="bert")


def test_a_missing_peer_comes_with_advice(tmp_path: Path) -> None:
    missing = dataclasses.replace(PEERS[1], package="no-such-package")
    with pytest.raises(ProcessFailed, match=r'not installed: pip install "graphopt\[bench\]"'):
        run_peer(missing, tmp_path, tmp_path / "made.onnx", provider="cpu", model_type="bert")


def test_memory_grows_with_the_weights(tmp_path: Path) -> None:
    memory = []
    for width in (8, 2048):
        weight = np.full((width, width), 0.5, np.float32)
        text = f"""<ir_version: 8, opset_import: ["" : 17]>
            g (float[1, {width}] x) => (float[1, {width}] y) {{ y = MatMul (x, w) }}"""
        made = onnx.parser.parse_model(text)
        made.graph.initializer.append(onnx.numpy_helper.from_array(weight, "w"))
        path = save_inline(made, tmp_path / f"{width}.onnx")
        trial = try_model(path, {"x": np.ones((1, width), np.float32)}, Execution())
        assert trial.nodes == {}
        memory.append(trial.memory)
    assert memory[0] is not None
    assert memory[1] is not None
    assert memory[1] - memory[0] > 0.9 * 2048 * 2048 * 4


def test_a_trial_that_fails_says_why(model: Path) -> None:
    with pytest.raises(ProcessFailed, match="x"):
        try_model(model, {"x": np.ones((1, 4, WIDTH + 1), np.float32)}, Execution())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"providers": ("tpu",)}, "unknown provider 'tpu': choose cpu or cuda"),
        ({"dtypes": ("int8",)}, "unknown dtype 'int8': choose float32 or float16"),
        ({"quantize": ("int3",)}, "unknown quantizer 'int3': choose dynamic or matmul4"),
        ({"baseline": "rms no-fuse"}, "--baseline 'rms no-fuse': there is no such model"),
        ({"clock": "sun"}, "unknown clock 'sun': choose wall or thread_cpu"),
        ({"ops": "magic"}, "unknown ops 'magic'"),
        ({"threads": ()}, "give a provider and a thread count"),
        ({"threads": (1, -1)}, "threads -1"),
        ({"batches": (1, 0)}, "batch 0: give sizes of at least 1"),
        ({"dims": {"rows": (0,)}}, "rows 0: give sizes of at least 1"),
        ({"openings": 5}, "5 sessions of each model cannot carry a 95% interval: give at least 6"),
        ({"duration": 0.0}, "duration, iterations or warmup is not positive"),
        ({"iterations": 0}, "duration, iterations or warmup is not positive"),
        ({"clock": "thread_cpu", "threads": (1, 2)}, "sees the calling thread alone"),
        ({"cuda_graph": True}, "CUDA graphs are for the provider cuda"),
        ({"inputs": {"x": np.zeros((1, 4, WIDTH), np.float32)}}, "input 'x' is all zeros"),
        (
            {"baseline": "best"},
            "--baseline 'best': there is no such model: choose one of original, rms, crms, floor",
        ),
        ({"dims": {"columns": (1,)}}, "no symbolic dimension 'columns'"),
        ({"lengths": (4,)}, "--seq: no symbolic dimension"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(
    model: Path, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        graphopt.benchmark(model, **QUICK | settings)


@pytest.mark.parametrize(("iterations", "rounds"), [(None, None), (1, 1), (12, 1), (13, 2)])
def test_iterations_are_spread_over_the_sessions(
    iterations: int | None, rounds: int | None
) -> None:
    assert Settings(iterations=iterations, openings=12).rounds == rounds


def test_what_cannot_be_measured_is_refused(model: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="give at least one model"):
        graphopt.benchmark([])
    with pytest.raises(UsageError, match="--dtype converts the one model"):
        graphopt.benchmark([model, model], dtypes=("float16",))
    with pytest.raises(ModelError, match="absent"):
        graphopt.benchmark(tmp_path / "absent.onnx")
    with pytest.raises(TypeError, match="speed"):
        graphopt.benchmark(model, speed=11)


def test_a_baseline_that_could_not_be_made_says_why(tmp_path: Path) -> None:
    text = """<ir_version: 8, opset_import: ["" : 17]>
        g (float[batch, 4] x) => (float[batch, 4] y) { y = Exp (x) }"""
    path = save_inline(onnx.parser.parse_model(text), tmp_path / "exp.onnx")
    with pytest.raises(UsageError, match=r"--baseline 'rms': it could not be made .no LayerNorm"):
        graphopt.benchmark(path, baseline="rms")


def test_a_baseline_that_is_no_other_model_than_the_result_says_so(tmp_path: Path) -> None:
    text = """<ir_version: 8, opset_import: ["" : 17]>
        g (float[batch, 4] x) => (float[batch, 4] y) <float[4] gamma = {1, 2, 3, 4}> {
            centred = Neg (x) y = LayerNormalization <axis = -1> (centred, gamma) }"""
    path = save_inline(onnx.parser.parse_model(text), tmp_path / "norm.onnx")
    with pytest.raises(
        UsageError, match="'floor no-fuse': it was not made, because there is nothing to fuse"
    ):
        graphopt.benchmark(path, baseline="floor no-fuse")


def test_a_provider_that_does_not_start_ends_the_benchmark(model: Path) -> None:
    with pytest.raises(EnvironmentFailure, match="CUDAExecutionProvider does not start"):
        graphopt.benchmark(model, providers=("cpu", "cuda"), **QUICK)


def test_the_library_is_optional_unless_it_is_asked_for(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(provider: str) -> Path:
        raise EnvironmentFailure(f"the kernels for {provider} were not built")

    monkeypatch.setattr(execution, "library_path", missing)
    result = graphopt.benchmark(model, floor=False, **QUICK)
    assert result.environment.library == ""
    assert any(note.startswith("the kernels for cpu were not built;") for note in result.notes)
    with pytest.raises(EnvironmentFailure, match="not built"):
        graphopt.benchmark(model, library=True, **QUICK)
    quiet = graphopt.benchmark(model, library=False, floor=False, **QUICK)
    assert not any("kernels" in note for note in quiet.notes)
