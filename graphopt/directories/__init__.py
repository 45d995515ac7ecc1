"""The main job for a directory of models, as a serving library writes and reads it."""

from __future__ import annotations

__all__ = ["DirectoryRejected", "DirectoryReport", "optimize_directory", "optimize_directory_for"]

from graphopt.directories.checking import DirectoryRejected
from graphopt.directories.functions import optimize_directory
from graphopt.directories.job import optimize_directory_for
from graphopt.directories.report import DirectoryReport
