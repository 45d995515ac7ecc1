"""The line that stands below every table of latencies."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import onnxruntime
import pytest

from graphopt.runtime.environment import Environment, describe_environment, processor


def test_the_environment_of_this_process() -> None:
    environment = describe_environment("CUDAExecutionProvider", threads=3)
    assert environment.provider == "CUDAExecutionProvider"
    assert environment.threads == 3
    assert environment.onnxruntime == onnxruntime.__version__
    assert environment.graphopt == version("graphopt")
    assert environment.processor


@pytest.mark.parametrize(("threads", "words"), [(1, "1 thread"), (4, "4 threads")])
def test_one_line(threads: int, words: str) -> None:
    environment = Environment("Some CPU", threads, "CPUExecutionProvider", "1.31.1", "0.1.0")
    assert str(environment) == (
        f"Some CPU, {words}, ONNX Runtime 1.31.1 (CPUExecutionProvider), graphopt 0.1.0"
    )


def test_the_processor_is_read_by_its_model_name(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\n\nmodel name\t: Other\n")
    assert processor(cpuinfo) == "Some CPU @ 2 GHz"


def test_without_a_model_name_the_architecture_is_given(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\n")
    assert processor(cpuinfo)
    assert processor(tmp_path / "missing") == processor(cpuinfo)
