"""Asks NVIDIA's tool about the first visible GPU."""

from __future__ import annotations

__all__ = ["describe_gpu", "device_memory", "free_memory"]

import os
import shutil
import subprocess


def describe_gpu() -> str:
    """Model and driver, as far as they are known."""
    name, _, driver = _query("name,driver_version").partition(", ")
    return f"{name} (driver {driver})" if driver else "a GPU that nvidia-smi does not name"


def device_memory() -> int | None:
    """Bytes in use, by whatever process, or None where nobody says."""
    return _bytes("memory.used")


def free_memory() -> int | None:
    """Bytes that are free, or None where nobody says."""
    return _bytes("memory.free")


def _bytes(field: str) -> int | None:
    megabytes = _query(field)
    return 2**20 * int(megabytes) if megabytes.isdecimal() else None


def _query(fields: str) -> str:
    """The answer in one line, or "" where there is none."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ""
    first = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")[0] or "0"
    options = [f"--query-gpu={fields}", "--format=csv,noheader,nounits", f"--id={first}"]
    done = subprocess.run([tool, *options], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""
