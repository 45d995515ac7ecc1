"""The command line; the entry point is ``graphopt.cli:main``."""

from __future__ import annotations

from graphopt.cli.application import cli, main

__all__ = ["cli", "main"]
