"""Files are read in a thread, while something else is done."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from graphopt.files.digests import Digests


def test_each_file_has_its_digest(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("b", "a")]
    for file in files:
        file.write_bytes(file.name.encode() * 100_000)
    expected = tuple(hashlib.sha256(file.read_bytes()).hexdigest() for file in files)
    digests = Digests(files)
    assert digests.wait() == digests.wait() == expected
    assert Digests([]).wait() == ()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_nobody_waits_before_the_digests_are_asked_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    digests = Digests([pipe])
    pipe.write_bytes(b"late")  # opening either end waits for the other
    assert digests.wait() == (hashlib.sha256(b"late").hexdigest(),)


def test_a_file_that_is_gone_is_said_where_one_waits(tmp_path: Path) -> None:
    digests = Digests([tmp_path / "gone"])
    with pytest.raises(FileNotFoundError, match="gone"):
        digests.wait()
