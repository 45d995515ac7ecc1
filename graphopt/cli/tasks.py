"""What ``graphopt --help`` shows: the commands by task, each with an example."""

from __future__ import annotations

__all__ = ["TASKS", "TaskGroup"]

from collections.abc import Mapping

import click

TASKS: Mapping[str, Mapping[str, str]] = {
    "Optimize a model": {
        "inspect": "graphopt inspect model.onnx",
        "optimize": "graphopt optimize model.onnx -o fast.onnx",
    },
    "Check and measure it": {
        "verify": "graphopt verify model.onnx fast.onnx",
        "bench": "graphopt bench model.onnx --seq 128 --threads 1,2",
    },
    "Deploy it": {
        "package": "graphopt package fast.onnx --format mlserver -o served",
    },
    "Try things out": {
        "export": "graphopt export synthetic --kind vit -o vit.onnx",
        "passes": "graphopt passes --ops ort --provider cuda",
        "doctor": "graphopt doctor",
    },
}
"""An example of each command, by its name, by the task that it is for."""


class TaskGroup(click.Group):
    """A group whose help lists the commands by task, and whose commands end theirs with an example.

    A command of no task is not listed: a test holds that each has one.
    """

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        """Add ``cmd``, with its example below its options."""
        super().add_command(cmd, name)
        for examples in TASKS.values():
            example = examples.get(name or cmd.name or "")
            if example is not None:
                cmd.epilog = f"\b\nExample:\n  {example}"

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what each command does and its example, under the task that it is for."""
        width = formatter.width  # more than what a sentence may be cut to
        for task, examples in TASKS.items():
            rows = []
            for name, example in examples.items():
                rows += [(name, self.commands[name].get_short_help_str(2 * width))]
                rows += [("", f"$ {example}")]
            with formatter.section(task):
                formatter.write_dl(rows)
