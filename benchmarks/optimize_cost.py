"""What optimizing costs: seconds and memory for GPT-2 small, beside other optimizers.

    python benchmarks/optimize_cost.py

GPT-2 small is exported once (dynamo, float32, 0.5 GB, random weights) into .model-cache/benchmarks,
as a graph with external data and as one inline file. Each optimizer runs in a process of its own;
memory is the maximum resident set size of that process, mapped pages included, as
/usr/bin/time -v says.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

# Nothing large may be imported here: a child's maximum starts at the size of its parent.

CACHE = Path(__file__).parent.parent / ".model-cache" / "benchmarks"
MODEL = CACHE / "gpt2" / "gpt2.onnx"
INLINE = CACHE / "gpt2-inline" / "gpt2.onnx"

WRITE_INLINE = f"""
import onnx_ir as ir
model = ir.load({str(MODEL)!r})
ir.external_data.load_to_model(model)
ir.save(model, {str(INLINE)!r})
"""

SESSION = f"""
import sys
import onnxruntime
options = onnxruntime.SessionOptions()
options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
options.optimized_model_filepath = sys.argv[1]
onnxruntime.InferenceSession({str(MODEL)!r}, options, providers=["CPUExecutionProvider"])
"""


def optimizers(directory: Path) -> dict[str, list[str]]:
    """The commands to compare, by label."""
    python, scripts = sys.executable, Path(sys.executable).parent
    graphopt = [str(scripts / "graphopt"), "optimize", "--variant", "rms", "--no-verify", "--quiet"]
    transformers = [python, "-m", "onnxruntime.transformers.optimizer", "--model_type", "gpt2"]
    transformers += ["--num_heads", "12", "--hidden_size", "768", "--use_external_data_format"]
    onnxslim = [str(scripts / "onnxslim"), str(MODEL), str(directory / "slim.onnx")]
    return {
        "graphopt, external data": [*graphopt, str(MODEL), "-o", str(directory / "rms.onnx")],
        "graphopt, one inline file": [*graphopt, str(INLINE), "-o", str(directory / "inline.onnx")],
        "onnxruntime session": [python, "-c", SESSION, str(directory / "session.onnx")],
        "onnxruntime.transformers": [
            *transformers,
            *("--input", str(MODEL), "--output", str(directory / "transformers.onnx")),
        ],
        "onnxslim": [*onnxslim, "--save-as-external-data"],
    }


class Cost(NamedTuple):
    """What a command took.

    Attributes:
        seconds: wall time.
        processor: seconds of processor time, which other processes change less.
        megabytes: maximum resident set size.
        error: why it failed; empty where it did not.
    """

    seconds: float
    processor: float
    megabytes: float
    error: str


def measure(command: list[str], limit: float | None = None) -> Cost:
    """Runs a command in a process of its own, and says what it took.

    Args:
        command: What is run.
        limit: MB of memory of its own, thus without mapped files, at which it is stopped (Linux).
    """
    with tempfile.TemporaryFile("w+") as log:
        begin = time.perf_counter()
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        stopped = limit is not None and _stopped_at(limit, process)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        log.seek(0)
        lines = log.read().strip().splitlines()
    error = ""
    if stopped:
        error = f"stopped: it took more than {limit / 1e3:.0f} GB"
    elif process.returncode:
        error = lines[-1] if lines else f"exit code {process.returncode}"
    unit = 1e6 if sys.platform == "darwin" else 1e3
    processor = usage.ru_utime + usage.ru_stime
    return Cost(seconds, processor, usage.ru_maxrss / unit, error)


def _stopped_at(limit: float, process: subprocess.Popen[str]) -> bool:
    """Watch a process until it ends, and end it where it takes more than ``limit`` MB."""
    status = Path("/proc", str(process.pid), "status")
    # Waited for without collecting it: the caller asks what it used.
    while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        taken = re.search(r"RssAnon:\s+(\d+) kB", status.read_text())
        if taken and int(taken[1]) / 1e3 > limit:
            process.kill()
            return True
        time.sleep(0.02)
    return False


def export() -> None:
    """Writes both forms of the model, where they are not in the cache."""
    for file in (MODEL, INLINE):
        file.parent.mkdir(parents=True, exist_ok=True)
    if not MODEL.exists():
        scripts = Path(sys.executable).parent
        command = [str(scripts / "graphopt"), "export", "gpt2", "-o", str(MODEL)]
        subprocess.run([*command, "--exporter", "dynamo"], check=True)
    if not INLINE.exists():
        subprocess.run([sys.executable, "-c", WRITE_INLINE], check=True)


def main() -> None:
    """Prints one row for each optimizer: the median of the repetitions."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=3, help="runs of each optimizer (default 3)")
    repeat = parser.parse_args().repeat
    export()
    print("| optimizer | seconds | maximum RSS, MB |")
    print("| --- | --- | --- |")
    with tempfile.TemporaryDirectory(dir=CACHE) as directory:
        for label in optimizers(Path(directory)):
            runs = []
            for number in range(repeat):
                fresh = Path(directory) / f"{number}"
                fresh.mkdir(exist_ok=True)
                runs.append(measure(optimizers(fresh)[label]))
                for file in fresh.iterdir():
                    file.unlink()
            seconds, _, megabytes, error = sorted(runs)[repeat // 2]
            figures = error or f"{seconds:.1f} | {megabytes:.0f}"
            print(f"| {label} | {figures} |", flush=True)


if __name__ == "__main__":
    main()
