"""The table of messages, ``messages.txt``, and what the code has of them.

A line of the table is a message of the code. In «» stands where it is (a file, an option, a node
or value), in ⟦⟧ what to do; the rest is what was found. Empty «» is for what the caller names in
front, or what is about the call as a whole.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from graphopt.errors import listed

__all__ = [
    "ERRORS",
    "KEPT",
    "VERDICTS",
    "errors_of_the_code",
    "filled",
    "is_of_a_row",
    "plain",
    "reasons_of_the_code",
    "verdicts_of_the_code",
]

ROOT = Path(__file__).parent.parent
FOLDERS = ("graphopt", "models", "passes")
TABLE = Path(__file__).parent / "messages.txt"
REASONS = (
    "passes/planning/reasons.py",
    "passes/norms/recognition.py",
    "passes/streams/trace.py",
    "passes/streams/affine.py",
    "passes/planning/compression.py",
    "passes/planning/plan.py",
    "passes/crms/sizes.py",
    "passes/graph/overflow.py",
)
"""The files that say why a norm stays, or why its beta or its size does."""
JUDGES = (
    "graphopt/verification/equivalence.py",
    "graphopt/verification/evidence.py",
    "graphopt/verification/exercise.py",
    "graphopt/verification/interface.py",
    "graphopt/verification/original.py",
)
"""The files that say why nothing could be verified, or what failed beyond numbers."""
INTERNAL = {"EvaluationFailed", "ProcessFailed", "RuntimeRefused"}
"""Errors, with what is derived of them, that are caught and put into a message or a verdict."""


def plain(row: str) -> str:
    """The message as it stands in the code."""
    return re.sub("[«»⟦⟧]", "", row)


def template(node: ast.expr) -> str:
    """A text with the expressions that are put into it in braces."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if not isinstance(node, ast.JoinedStr):
        return f"{{{ast.unparse(node)}}}"
    return "".join(
        f"{{{ast.unparse(part.value)}}}" if isinstance(part, ast.FormattedValue) else template(part)
        for part in node.values
    )


def sources() -> Iterator[tuple[str, ast.Module]]:
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            if not name.startswith(("graphopt/passes/", "graphopt/models/")):  # links
                yield name, ast.parse(path.read_text(encoding="utf-8"))


def error_classes() -> set[str]:
    """GraphoptError and what is derived from it, by name."""
    bases = {
        node.name: {base.id for base in node.bases if isinstance(base, ast.Name)}
        for _, tree in sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }
    found = {"GraphoptError"}
    while more := {name for name in bases if bases[name] & found} - found - INTERNAL:
        found |= more
    return found


def errors_of_the_code() -> list[tuple[str, str]]:
    """The file and the template of each error that is made anywhere."""
    classes = error_classes()
    found = []
    for name, tree in sources():
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args]
        made = [c for c in calls if isinstance(c.func, ast.Name) and c.func.id in classes]
        found += [(name, template(c.args[0])) for c in sorted(made, key=lambda c: c.lineno)]
    return list(dict.fromkeys(found))


def reasons_of_the_code() -> list[tuple[str, str]]:
    """The file and the template of each text in the files that say why a norm stays."""
    return texts_of(REASONS)


def verdicts_of_the_code() -> list[tuple[str, str]]:
    """The file and the template of each text in the files of verdicts that is no error."""
    errors = errors_of_the_code()
    return [found for found in texts_of(JUDGES) if found not in errors]


def texts_of(files: Sequence[str]) -> list[tuple[str, str]]:
    """The file and the template of each text of several words in these files."""
    found = []
    for name in files:
        tree = ast.parse((ROOT / name).read_text(encoding="utf-8"))
        docstrings = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)}
        parts = {
            id(part)
            for n in ast.walk(tree)
            if isinstance(n, ast.JoinedStr)
            for part in ast.walk(n)
            if part is not n
        }
        texts = [
            node
            for node in ast.walk(tree)
            if isinstance(node, ast.JoinedStr | ast.Constant)
            and id(node) not in docstrings | parts
            and " " in template(node).strip(" ,;")
        ]
        found += [(name, template(n)) for n in sorted(texts, key=lambda n: n.lineno)]
    return list(dict.fromkeys(found))


def rows() -> dict[str, list[tuple[str, str]]]:
    """The file and the row of each message, by its section of the table."""
    file, section = "", "errors"
    found: dict[str, list[tuple[str, str]]] = {"errors": [], "reasons": [], "verdicts": []}
    for line in TABLE.read_text(encoding="utf-8").splitlines() if TABLE.exists() else []:
        if line in found:
            section = line
        elif line.startswith("    "):
            found[section].append((file, line[4:]))
        elif line and not line.startswith("#"):
            file = line
    return found


ERRORS, KEPT, VERDICTS = rows().values()

NAME = "/model/transformer/h.11/a_module_with_a_long_name/another_one/self_attention/proj/MatMul"
PATH = "/home/somebody/models/exported/2026-11/whisper-large-v3-turbo/onnx/decoder_with_past.onnx"
SAMPLES = (
    (r"listed\(|^known$|^said$|^cycle$", listed(f"hidden_state_{i}" for i in range(40))),
    (r"' or '|join\(", "custom or standard or ort"),
    (r"error|reason|problem|difference", "[ONNXRuntimeError] : 1 : FAIL : Load model failed"),
    (
        r"^(len|min|max|list)\(|\.(value|low|high)\b|size|count|rows|version|opset|:\.3g|bytes|seconds",
        "1024",
    ),
    (r"^found$", "makes no difference"),
    (r"url", "grpc://inference.models.svc.cluster.local:8001"),
    (r"^key$|^what$|_VOCABULARY", "max_position_embeddings"),
    (r"_ADVICE|^advice$|^way_out$", "give a file that graphopt bench --json wrote, or another"),
    (r"path|file|folder|directory|output|where|target|candidate|^model|description|weights", PATH),
    (r"dtype|type|kind|variant|provider|exporter|ops\b|extra|suffix|unit", "float32"),
)
"""What the expressions of messages come to where things have long names."""


def filled(row: str) -> str:
    """A message with long names in it."""

    def sample(match: re.Match[str]) -> str:
        return next((text for what, text in SAMPLES if re.search(what, match[1])), NAME)

    return re.sub(r"\{((?:[^{}]|\{[^{}]*\})*)\}", sample, plain(row))


def is_of_a_row(message: str) -> bool:
    """Whether some row of the errors, with some names in it, is this message."""
    for _, row in ERRORS:
        texts = re.split(r"\{(?:[^{}]|\{[^{}]*\})*\}", plain(row))
        known = sum(map(len, texts))
        if known > len(": ()") and re.fullmatch(
            ".*".join(map(re.escape, texts)), message, re.DOTALL
        ):
            return True
    return False
