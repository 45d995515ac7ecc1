"""Listing the zoo costs nothing and tells everything."""

from __future__ import annotations

import subprocess
import sys

from graphopt.models import describe, names


def test_listing_imports_no_framework() -> None:
    program = (
        "import sys; from graphopt.models import describe, names; describe(), names();"
        "print([m for m in ('torch', 'transformers', 'onnx', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_every_line_names_architecture_blocks_and_a_working_exporter() -> None:
    lines = describe()
    assert [line.name for line in lines] == names()
    assert all(line.architecture and line.exporters and line.blocks for line in lines)


def test_every_architecture_has_one_tiny_form() -> None:
    tiny = [name for name in names() if name.endswith("-tiny")]
    assert len(tiny) == len(set(tiny)) == 37


def test_promised_names_are_there() -> None:
    promised = {
        *("vit-ti-16", "vit-s-16", "vit-b-16", "vit-l-16", "dinov2-small", "convnext-t", "swin-t"),
        *("gpt2", "gpt2-hidden", "gpt2-with-past", "opt-125m", "pythia-160m", "phi-1"),
        *("clip-vit-b-32-vision", "clip-vit-b-32-text", "bert-base", "llama-160m", "m2m100"),
        *("whisper-tiny-encoder", "whisper-tiny-decoder", "paper-vit-ti-16", "paper-gpt-s"),
    }
    assert promised <= set(names())


def test_what_fails_has_a_reason() -> None:
    line = next(line for line in describe() if line.name == "gpt2")
    assert line.float16_exporters == ("dynamo",)
    assert line.cannot == (
        "torchscript float16: it writes the masked attention in float32, an ill-typed graph",
    )
