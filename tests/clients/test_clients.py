"""Each client reads the directory that graphopt makes in place of its own, and says the same.

The models are tiny and random, and made by the exporter of the client itself.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from graphopt.runtime.library import find_library
from tests.clients.environments import made, optimized, said

pytestmark = pytest.mark.slow

NUMBERS = [
    ("text-classification", "use_optimum.py"),
    ("image-classification", "use_optimum.py"),
    ("sentence-transformers", "use_sentences.py"),
    ("transformers.js", "use_transformers.mjs"),
]
TOKENS = [
    ("text-generation-with-past", "use_optimum.py"),
    ("text2text-generation-with-past", "use_optimum.py"),
]


def answers(kind: str, script: str, *directories: Path) -> list[object]:
    """What the client makes of each directory, whose files must differ for this to say anything."""
    models = [sorted(directory.rglob("*.onnx")) for directory in directories]
    for before, after in zip(*models, strict=True):
        assert before.name == after.name
        assert before.read_bytes() != after.read_bytes()
    first = [kind] if script == "use_optimum.py" else []
    found: list[object] = said(kind, script, *first, *directories)
    return found


@pytest.mark.parametrize(("kind", "script"), NUMBERS)
def test_a_client_computes_the_same(tmp_path: Path, kind: str, script: str) -> None:
    source = made(kind, tmp_path / "in")
    before, after = answers(kind, script, source, optimized(source, tmp_path / "out"))
    assert np.ptp(before) > 0.1
    np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("kind", "script"), TOKENS)
def test_a_client_generates_the_same_tokens(tmp_path: Path, kind: str, script: str) -> None:
    source = made(kind, tmp_path / "in")
    before, after = answers(kind, script, source, optimized(source, tmp_path / "out"))
    assert after == before
    assert len(np.unique(before)) > 20


def test_genai_generates_the_same_tokens_with_every_operator_set(tmp_path: Path) -> None:
    source = made("genai", tmp_path / "in")
    outputs = [
        optimized(source, tmp_path / ops, "--ops", ops) for ops in ("custom", "standard", "ort")
    ]
    without = shutil.copytree(outputs[0], tmp_path / "without")
    shutil.copy(source / "genai_config.json", without)
    moved = shutil.copytree(outputs[0], tmp_path / "another folder" / "moved")
    directories = (source, *outputs, without, moved)
    before, *after = said("genai", "use_genai.py", *directories)
    assert len(np.unique(before)) > 20
    assert after == [before] * len(after)
    decoder = json.loads((moved / "genai_config.json").read_text())["model"]["decoder"]
    library = find_library("cpu")
    assert library is not None
    assert decoder["session_options"]["custom_ops_library"] == library.name


def test_genai_does_load_the_library_that_is_named(tmp_path: Path) -> None:
    source = made("genai", tmp_path / "in")
    output = optimized(source, tmp_path / "out")
    library = find_library("cpu")
    assert library is not None
    (output / library.name).write_bytes(b"no library")
    with pytest.raises(AssertionError, match=library.name):
        said("genai", "use_genai.py", output)
