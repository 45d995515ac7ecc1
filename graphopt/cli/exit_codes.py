"""Turns whatever a command raises into one line and an exit code.

====  =============================================================================
code  meaning
====  =============================================================================
0     done, also where no norm could be converted or nothing could be verified
1     the verification failed; no output is left
2     bad usage, or a model that cannot be taken
3     the environment failed: no ONNX Runtime, a full disk, a missing permission
4     the input is faster than what would be kept of it (--tune), or the result is not certainly
      faster (--only-if-faster); no output is left
70    a defect of graphopt (EX_SOFTWARE in sysexits.h)
130   interrupted (128 + SIGINT); 143 terminated; 141 the reader of the output left
====  =============================================================================

click's own codes are not used: it gives 1 to Ctrl-C, to a broken pipe and to most of its errors.
"""

from __future__ import annotations

__all__ = ["prepare_process", "run"]

import contextlib
import io
import logging
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path

import click

from graphopt.cli.interruptions import interruptions, remember_interruptions
from graphopt.errors import GraphoptError, printable, shortened

USAGE, ENVIRONMENT, DEFECT, INTERRUPTED, BROKEN_PIPE, TERMINATED = 2, 3, 70, 130, 141, 143


def run(command: click.Command, arguments: Sequence[str]) -> int:
    """Run ``command`` and return the exit code, having printed one line for an error."""
    verbose = _is_verbose(arguments)
    interruptions.clear()
    try:
        code = command.main(list(arguments), prog_name="graphopt", standalone_mode=False)
        sys.stdout.flush()
    except (click.Abort, KeyboardInterrupt):
        return _fail("interrupted; no output was written", INTERRUPTED)
    except click.UsageError as error:
        context = error.ctx.command_path if error.ctx else "graphopt"
        return _fail(f"{error.format_message()} ({context} --help lists the options)", USAGE)
    except click.ClickException as error:
        return _fail(error.format_message(), USAGE)
    except GraphoptError as error:
        if interruptions:
            return _fail("interrupted; no output was written", INTERRUPTED)
        return _fail(str(error), error.exit_code)
    except BrokenPipeError:
        _leave_stdout()
        return BROKEN_PIPE
    except OSError as error:
        _leave_stdout()
        where = f"{error.filename}: " if error.filename else ""
        return _fail(f"{where}{error.strerror or error}: check the disk and the file", ENVIRONMENT)
    except MemoryError:
        return _fail("out of memory: use a machine with more, or a smaller model", ENVIRONMENT)
    except Exception as error:
        if verbose:
            traceback.print_exc()
        if interruptions:
            return _fail("interrupted; no output was written", INTERRUPTED)
        can_say_more = not verbose and _can_be_verbose(command, arguments)
        hint = " (-v prints the traceback)" if can_say_more else ""
        what = f"{type(error).__name__}: {error}"
        return _fail(f"a defect of graphopt, please report it{hint}: {what}", DEFECT)
    return code if isinstance(code, int) else 0


def prepare_process(arguments: Sequence[str]) -> None:
    """Quiet the libraries, let SIGTERM clean up as Ctrl-C does, and print any name of a file."""
    if sys.stdout is None:  # closed by who started the process
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  (to the end)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A path need not be text: its bytes come out as they went in.
            stream.reconfigure(errors="surrogateescape")
    if not _is_verbose(arguments):
        # What libraries log or warn of is about their use here, not about the user's model.
        logging.getLogger().addHandler(logging.NullHandler())
        warnings.simplefilter("ignore")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    remember_interruptions()


def _is_verbose(arguments: Sequence[str]) -> bool:
    """Whether ``-v`` was given, also where the arguments could not be parsed."""
    return "-v" in arguments or "--verbose" in arguments


def _can_be_verbose(command: click.Command, arguments: Sequence[str]) -> bool:
    """Whether the command that was asked for takes ``-v``."""
    if isinstance(command, click.Group):
        chosen = command.get_command(click.Context(command), next(iter(arguments), ""))
    else:
        chosen = command
    return chosen is not None and any("-v" in option.opts for option in chosen.params)


def _fail(message: str, code: int) -> int:
    line = printable(" ".join(message.splitlines()))
    with contextlib.suppress(OSError):  # nobody reads the errors
        click.echo(f"graphopt: error: {shortened(line)}", err=True)
    return code


def _leave_stdout() -> None:
    """Let what is still to be printed go nowhere: Python flushes at exit, and would complain."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
