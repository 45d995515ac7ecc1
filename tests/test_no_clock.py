"""No test reads a clock, waits for a time or sets one: a busy machine fails none."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parent


WAIT = {
    "examples/kill_under_load.py": "prints how long calls took; looks until a replica is back",
    "examples/ray_environment.py": "looks again until Ray Serve is up; ends one that never is",
    "examples/test_ray_serve.py": "ends a run that hangs",
    "fuzzing/running.py": "ends a case that hangs; what decides is the processor time",
    "graphopt/endpoints/fake_endpoint.py": "a server that is slow, for a client that does not wait",
    "graphopt/endpoints/protocol_server.py": "the same over HTTP",
    "graphopt/runtime/test_own_process.py": "looks again for as long as it takes",
    "graphopt/serving/load.py": "prints how long a load took",
    "graphopt/serving/running.py": "looks again until a server is up; ends one that never is",
    "graphopt/serving/test_servers.py": "ends a request that hangs",
    "versions/node_environments.py": "ends an npm that hangs",
}
"""Files that wait, and why no time decides there what a test says."""


def clocks(source: str) -> Iterator[str]:
    """What in a file depends on the time that passes, with its line."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module == "time":
            yield f"{node.lineno}: a name of time, whose use would not be seen"
        if isinstance(node, ast.FunctionDef):
            decorators = {ast.unparse(d).partition("(")[0] for d in node.decorator_list}
            if "given" in decorators and "settings" not in decorators:
                yield f"{node.lineno}: Hypothesis's own deadline"
        if isinstance(node, ast.Call):
            yield from (f"{node.lineno}: {what}" for what in _of_call(node))


def _of_call(call: ast.Call) -> Iterator[str]:
    name = ast.unparse(call.func)
    keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
    if name.startswith(("time.", "threading.Timer", "signal.alarm")):
        yield name
    if "timeout" in keywords:
        yield "a timeout"
    if name == "settings" and not call.args and keywords.get("deadline") != "None":
        yield "a deadline"


def test_no_test_depends_on_the_clock() -> None:
    found = {
        str(path.relative_to(TESTS)): list(clocks(path.read_text(encoding="utf-8")))
        for path in TESTS.rglob("*.py")
    }
    assert found[Path(__file__).name] == []
    assert {path for path, what in found.items() if what} == set(WAIT)


@pytest.mark.parametrize(
    "source",
    [
        "import time\ntime.sleep(1)",
        "import time\nassert time.perf_counter() - begin < 4",
        "from time import sleep",
        "subprocess.run(command, timeout=60)",
        "settings(max_examples=10)",
        "settings(deadline=100)",
        "@given(integers())\ndef test(x): ...",
    ],
)
def test_what_depends_on_it_is_found(source: str) -> None:
    assert len(list(clocks(source))) == 1
