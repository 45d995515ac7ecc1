"""A process of its own answers, or says how it ended, and leaves nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from graphopt.runtime.own_process import OwnProcess, ProcessFailed, run_module

FOREVER = 1e6
SERVE = "from graphopt.runtime.own_process import serve\n"


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path / "answering.py"


@pytest.mark.parametrize(
    ("code", "message", "kind", "signal"),
    [
        ("os.kill(os.getpid(), 9)", "killed by SIGKILL, perhaps for want of memory", "", 9),
        ("os.kill(os.getpid(), 11)", "killed by SIGSEGV", "", 11),
        ("signal.pause()", "did not end within 1 s", "", None),
        ("os._exit(4)", "ended with 4", "", None),
        ("raise ValueError('one\\ntwo')", "ValueError: two", "ValueError", None),
        ("raise ModelError('no model')", "^no model$", "ModelError", None),
    ],
)
def test_one_that_does_not_answer_says_why(
    code: str, message: str, kind: str, signal: int | None, module: Path
) -> None:
    module.write_text(
        f"import os, signal\nfrom graphopt.errors import ModelError\n{SERVE}"
        f"def answer(request):\n    {code}\nserve(answer)\n"
    )
    with pytest.raises(ProcessFailed, match=message) as caught:
        run_module("answering", {}, seconds=1.0 if "pause" in code else FOREVER)
    assert (caught.value.kind, caught.value.signal) == (kind, signal)


@pytest.mark.parametrize(("name", "code"), [("EnvironmentFailure", 3), ("ModelError", 2)])
def test_it_has_the_exit_code_of_what_was_raised(module: Path, name: str, code: int) -> None:
    module.write_text(
        f"from graphopt.errors import {name}\n{SERVE}"
        f"def answer(request):\n    raise {name}('it')\nserve(answer)\n"
    )
    with pytest.raises(ProcessFailed, match="it") as caught:
        run_module("answering", {}, seconds=FOREVER)
    assert caught.value.exit_code == code


def test_one_that_cannot_start_says_why(module: Path) -> None:
    module.write_text("raise ImportError('no such thing')")
    with pytest.raises(ProcessFailed, match=r"^ImportError: no such thing$"):
        run_module("answering", {}, seconds=FOREVER)


def test_it_gets_its_request_and_environment_and_may_print(module: Path) -> None:
    module.write_text(
        f"import os\n{SERVE}print('noise')\ndef answer(request):\n"
        "    print('more noise'); os.system('echo and more')\n"
        "    return [request['word'], os.environ['COLOUR']]\nserve(answer)\n"
    )
    said = run_module("answering", {"word": "é"}, seconds=FOREVER, environment={"COLOUR": "red"})
    assert said == ["é", "red"]


@pytest.mark.skipif(sys.platform != "linux", reason="oom_score_adj is of Linux")
def test_where_memory_runs_out_it_is_ended_first(module: Path) -> None:
    module.write_text(
        f"from pathlib import Path\n{SERVE}"
        "serve(lambda request: Path('/proc/self/oom_score_adj').read_text())\n"
    )
    assert run_module("answering", {}, seconds=FOREVER) == "1000\n"


def test_it_answers_again_and_starts_anew_after_its_death(module: Path) -> None:
    module.write_text(
        f"import os\n{SERVE}def answer(request):\n"
        "    if request['die']: os.kill(os.getpid(), 11)\n    return os.getpid()\nserve(answer)\n"
    )
    with OwnProcess("answering") as process:
        first = process.ask({"die": False}, seconds=FOREVER)
        assert process.ask({"die": False}, seconds=FOREVER) == first != os.getpid()
        with pytest.raises(ProcessFailed):
            process.ask({"die": True}, seconds=FOREVER)
        second = process.ask({"die": False}, seconds=FOREVER)
    assert second != first
    assert not _runs(first) and not _runs(second)


def test_it_imports_nothing_of_the_working_directory(
    module: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module.write_text(f"import secrets\n{SERVE}serve(lambda request: secrets.__file__)\n")
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "secrets.py").write_text("raise ImportError('a file of the user')")
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    assert str(tmp_path) not in run_module("answering", {}, seconds=FOREVER)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="asks /proc who is alive")
def test_it_ends_with_the_process_that_asks(module: Path) -> None:
    module.write_text(
        f"import os, signal\n{SERVE}def answer(request):\n"
        "    if request['wait']: signal.pause()\n    return os.getpid()\nserve(answer)\n"
    )
    code = (
        "import os, threading; from graphopt.runtime.own_process import OwnProcess\n"
        "process = OwnProcess('answering')\n"
        "print(process.ask({'wait': False}, seconds=1e6), flush=True)\n"
        "threading.Timer(0.3, os._exit, (0,)).start()\n"
        "process.ask({'wait': True}, seconds=1e6)\n"
    )
    paths = os.pathsep.join([str(module.parent), *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=True,
    )
    while _runs(int(done.stdout)):  # for as long as it takes
        time.sleep(0.05)


def _runs(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"
