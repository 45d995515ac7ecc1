"""Prints the rooms that a model walks through in `graphopt optimize`, and how often it climbs.

    python benchmarks/walk.py

It runs `optimize` on a small model in this process and watches the calls of graphopt. A stay begins
where a function is handed the model: its path, the ONNX message or the `onnx_ir` model. A room is
what stands directly in graphopt/, a folder or a file; a move is a stay in another room than the one
before. A move goes back up where the room it goes to imports the one it comes from, itself or
through others.
"""

from __future__ import annotations

import ast
import contextlib
import io
import itertools
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import onnx
import onnx_ir as ir

import graphopt
from graphopt.cli import main as graphopt_main

PACKAGE = Path(graphopt.__file__).resolve().parent
FOLDERS = {child.resolve(): child.name for child in PACKAGE.iterdir() if child.is_dir()}
MODEL = """<ir_version: 8, opset_import: ["" : 17]>
g (float[batch, 4] x) => (float[batch, 4] y)
<
    float[4, 4] w = {1, 2, 0, 1, 0, 1, 3, 1, 2, 1, 1, 0, 1, 0, 1, 2},
    float[4] scale = {1.5, 0.5, 2, 1},
    float[4] bias = {1, 2, 3, 4}
>
{
    stream = MatMul (x, w)
    norm = LayerNormalization (stream, scale, bias)
    branch = MatMul (norm, w)
    sum = Add (stream, branch)
    last = LayerNormalization (sum, scale, bias)
    y = MatMul (last, w)
}"""


def room_of(file: str) -> str | None:
    """The room of a source file, or None outside graphopt; passes/ and models/ may be links."""
    path = Path(file).resolve()
    for folder in path.parents:
        if folder in FOLDERS:
            return FOLDERS[folder]
        if folder == PACKAGE:
            return path.stem
    return None


def stays(model: Path, run: Callable[[], object]) -> list[str]:
    """The room of each call that is handed the model while ``run`` runs, without repetitions."""
    found: list[str] = []
    rooms: dict[str, str | None] = {}

    def watch(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event != "call":
            return
        if code.co_filename not in rooms:
            rooms[code.co_filename] = room_of(code.co_filename)
        room = rooms[code.co_filename]
        if room is None or code.co_name == "<module>":
            return
        count = code.co_argcount + code.co_kwonlyargcount
        handed = (frame.f_locals.get(name) for name in code.co_varnames[:count])
        if any(is_model(value, model) for value in handed) and found[-1:] != [room]:
            found.append(room)

    sys.setprofile(watch)
    try:
        run()
    finally:
        sys.setprofile(None)
    return found


def is_model(value: object, path: Path) -> bool:
    """True for the model in any of its forms."""
    if isinstance(value, str | Path):
        return str(value) == str(path)
    return isinstance(value, onnx.ModelProto | ir.Model)


def imports() -> dict[str, set[str]]:
    """For each room those that it imports, itself or through others."""
    direct: dict[str, set[str]] = {}
    for path in {*PACKAGE.rglob("*.py"), *(f for folder in FOLDERS for f in folder.rglob("*.py"))}:
        room = room_of(str(path))
        if room is not None and not room.startswith("__"):
            names = set(imported(ast.parse(path.read_text(encoding="utf-8"))))
            direct.setdefault(room, set()).update(names - {room})
    for middle, room in itertools.product(list(direct), list(direct)):
        if middle in direct[room]:
            direct[room] |= direct[middle]
    return direct


def imported(tree: ast.AST) -> Iterator[str]:
    """The rooms that a file names in its imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "graphopt":
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and str(node.module).startswith("graphopt."):
            yield str(node.module).split(".")[1]
        elif isinstance(node, ast.Import):
            yield from (a.name.split(".")[1] for a in node.names if a.name.startswith("graphopt."))


def main() -> None:
    """Prints the counts and the walk."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        ir.save(ir.from_onnx_text(MODEL), path)

        def optimize() -> None:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
                graphopt_main(["optimize", str(path), "--quiet", "--force"])

        optimize()  # what is imported late is imported now
        walk = stays(path, optimize)
    below = imports()
    moves = list(itertools.pairwise(walk))
    climbs = [(one, other) for one, other in moves if one in below.get(other, ())]
    print(f"{len(set(walk))} rooms, {len(moves)} moves, {len(climbs)} of them back up")
    print(" -> ".join(walk))


if __name__ == "__main__":
    main()
