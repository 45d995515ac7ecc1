"""Other optimizers: each in a process of its own, and timed only where its model is right."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import helper

import graphopt
from graphopt.benchmarking import making
from graphopt.benchmarking.peers import PEERS, Peer, run_peer
from graphopt.files.loading import load
from graphopt.runtime.own_process import ProcessFailed
from tests.graphopt.benchmarking.benchmark_runs import QUICK, measured
from tests.graphopt.model_files import block, save_external, save_inline
from tests.versions.conditions import needs_onnxruntime

pytestmark = pytest.mark.usefixtures("trials_here")


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
