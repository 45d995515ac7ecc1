"""The page that is written of the record."""

from __future__ import annotations

from types import ModuleType

from graphopt.benchmarking.result import Failure
from tests.cuda_benchmark.machine import ELSEWHERE, HERE, ROOT, measured


def test_the_page_says_that_nothing_was_measured(scripts: dict[str, ModuleType]) -> None:
    page = scripts["cuda_page"].page(scripts["cuda_record"].Record(), [])
    assert "**Nothing has been measured yet**" in page


def test_the_page_has_all_that_is_in_the_record(scripts: dict[str, ModuleType]) -> None:
    records, steps = scripts["cuda_record"], scripts["cuda_steps"].all_steps()
    lacking = Failure("crms", "ONNX Runtime | cannot allocate\n2 GB")
    harness = "H100\n0 of 7800 cases wrong\n| type | rows |\n| ---- | ---- |\n| float32 | 197 |\n"
    tried = measured("vit", 8, rows=(), failures=(lacking,))
    outcomes = {
        "harness": records.Outcome("done", text=harness),
        "sessions": records.Outcome("skipped", "this build of ONNX Runtime has no CUDA"),
        "vit-b-16.float16.custom": records.Outcome(
            "done", benchmarks=(measured("vit", 1), tried, measured("vit", 8), tried)
        ),
        "gpt2.float32.ort": records.Outcome("failed", "it is broken", benchmarks=(tried,)),
    }
    run = records.Run(HERE, outcomes)
    page = scripts["cuda_page"].page(records.Record((records.Run(ELSEWHERE), run)), steps)
    assert "Nothing has been measured" not in page
    assert "## H100 (driver 1)" in page and "L4" not in page
    assert "H100 (driver 1), EPYC (16 cores), Linux x86_64, ONNX Runtime 1.32.0" in page
    assert "| float32 | 197 |" in page
    skipped = "skipped: this build of ONNX Runtime has no CUDA"
    assert f"| sessions and captured graphs | {skipped} |" in page
    assert (
        "| GPT-2, 128 tokens, float32, --ops ort | failed: it is broken; batch 8: no crms: ONNX "
        "Runtime / cannot allocate 2 GB |"
    ) in page
    assert "| the paper's study, vit-ti, float16 | not taken yet |" in page
    vit = "| ViT-B/16, float16, --ops custom |"
    lines = [line for line in page.splitlines() if line.startswith(vit)]
    assert lines[0] == f"{vit} done |"
    assert [line.split(" | ")[1] for line in lines[1:]] == ["batch 1", "batch 8"]
    assert "**0.953 [0.948, 0.957]** | 0.998 [0.991, 1.004]" in lines[1]


def test_the_page_in_the_docs_is_what_the_record_says(scripts: dict[str, ModuleType]) -> None:
    docs = ROOT / "docs"
    record = scripts["cuda_record"].Record.load(docs / "results-cuda.json")
    page = scripts["cuda_page"].page(record, scripts["cuda_steps"].all_steps())
    assert (docs / "results-cuda.md").read_text(encoding="utf-8") == page
