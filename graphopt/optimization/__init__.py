"""The main job, from a file to a file: load, optimize, write, verify, publish, report."""

from __future__ import annotations

__all__ = ["OutputRejected", "Result", "inspect", "inspect_for", "optimize", "optimize_for"]

from graphopt.optimization.checking import OutputRejected
from graphopt.optimization.functions import inspect, optimize
from graphopt.optimization.job import Result, inspect_for, optimize_for
