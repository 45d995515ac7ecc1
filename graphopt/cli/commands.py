"""What the commands do: run the job, then print and save what came of it."""

from __future__ import annotations

__all__ = [
    "doctor",
    "inspect",
    "optimize",
    "passes",
    "verify",
]

import contextlib
import dataclasses
import functools
from pathlib import Path
from typing import TYPE_CHECKING

from graphopt.cli.progress import Bar, progress_bar
from graphopt.errors import EnvironmentFailure, GraphoptError, VerificationFailed, printable
from graphopt.files.text_files import check_targets, write_text

if TYPE_CHECKING:
    from graphopt.options import Check, Reference, Sample
    from graphopt.passes.pipeline import Options
    from graphopt.passes.report import PlanSummary, Progress
    from graphopt.reporting import Report, Tuning
    from graphopt.verification import Original


def optimize(
    model: Path,
    options: Options,
    check: Check,
    *,
    verify: bool,
    measure: bool,
    only_if_faster: bool,
    tune: bool,
    output: Path | None,
    report_path: Path | None,
    force: bool,
    quiet: bool,
    verbose: bool,
) -> None:
    """Optimize ``model`` into ``output``, print the report and save it."""
    from graphopt import optimization
    from graphopt.printing import reports

    target = output or _default_output(model, options.variant)
    if report_path is not None:
        from graphopt.files.external_data import files_of
        from graphopt.files.serializing import DATA_SUFFIX

        data = target.with_name(target.name + DATA_SUFFIX)
        check_targets({"--report": report_path}, (*files_of(model), target, data), force)
    console = reports.console()
    try:
        with contextlib.ExitStack() as files, progress_bar(quiet=quiet) as progress:

            def announce(plan: PlanSummary) -> None:
                # Who reads no further still gets the file: at the end the pipe is broken, too.
                with contextlib.suppress(BrokenPipeError), _nothing_drawn(progress):
                    reports.print_plan(console, plan, verbose=verbose)

            original, tuning = None, None
            if tune:
                from graphopt.verification import Original

                original = files.enter_context(Original(model, check.sample))
                options, tuning = _tuned(
                    original, model, target, options, check, force=force, progress=progress
                )

            def accept(report: Report, candidate: Path) -> Report:
                from graphopt.benchmarking.speedup import refuse_unless_faster

                timed = _measured(model, candidate, report, options, check.sample, progress)
                assert timed.speedup is not None
                refuse_unless_faster(model, timed.speedup, options.variant)
                return timed

            result = optimization.optimize_for(
                model,
                options,
                check=check if verify else None,
                output=target,
                force=force,
                progress=progress,
                original=original,
                announce=None if quiet else announce,
                accept=accept if only_if_faster else None,
            )
            report = dataclasses.replace(result.report, tuning=tuning)
            unmeasured: GraphoptError | None = None
            if measure and not only_if_faster:
                try:
                    report = _measured(model, target, report, options, check.sample, progress)
                except GraphoptError as error:
                    unmeasured = error  # the result is there, and is reported before this is
    except optimization.OutputRejected as error:
        if not quiet:
            reports.print_report(console, error.report, verbose=verbose)
        if report_path is not None:
            write_text(report_path, error.report.to_json())
        raise
    if report_path is not None:
        write_text(report_path, report.to_json())
    if quiet:
        print(target)
        _warn_if_slower(report)
    else:
        failed = unmeasured is not None
        reports.print_report(console, report, verbose=verbose, failed_to_measure=failed)
    if unmeasured is not None:
        raise unmeasured


def _nothing_drawn(bar: Bar | None) -> contextlib.AbstractContextManager[None]:
    """The time in which a bar, where there is one, leaves the screen to what is printed."""
    return contextlib.nullcontext() if bar is None else bar.hidden()


def _warn_if_slower(report: Report) -> None:
    """Say on standard error what was measured to be slower: the path alone would hide it."""
    import click

    from graphopt.printing.forecasts import measured_line

    if report.speedup is not None:
        line, verdict = measured_line(report.speedup, report.variant)
        if verdict == "slower":
            click.echo(f"graphopt: warning: {printable(line)}", err=True)


def _tuned(
    original: Original,
    model: Path,
    target: Path,
    options: Options,
    check: Check,
    *,
    force: bool,
    progress: Progress | None,
) -> tuple[Options, Tuning]:
    """The options that make the fastest result, and what was measured."""
    from graphopt.benchmarking.tuning import tune
    from graphopt.files import saving

    saving.check_target(original.model, target, force=force)
    told = progress and functools.partial(progress, "tune")
    return tune(original, model, options, check, progress=told)


def _measured(
    model: Path,
    output: Path,
    report: Report,
    options: Options,
    sample: Sample,
    progress: Progress | None,
) -> Report:
    """The report with the latencies of the output and the input."""
    from graphopt.benchmarking.speedup import measure_speedup

    speedup = measure_speedup(
        model,
        output,
        report,
        options,
        sample=sample,
        progress=progress and functools.partial(progress, "measure"),
    )
    return dataclasses.replace(report, speedup=speedup)


def inspect(
    model: Path,
    options: Options,
    *,
    as_json: bool,
    html: Path | None,
    force: bool,
    verbose: bool,
) -> None:
    """Print the plan for ``model``, and draw it where a page is asked for."""
    from graphopt import optimization, reporting
    from graphopt.files import loading
    from graphopt.json_values import to_json
    from graphopt.printing import reports

    if html is not None:
        from graphopt.files.external_data import files_of

        check_targets({"--html": html}, files_of(model), force)
        # A missing plotting library is said before the work, not after it.
        from graphopt.plan_page import write_html
    loaded = loading.load(model)
    plan = optimization.inspect_for(loaded, options)
    made = {
        key: value for key, value in loaded.metadata_props.items() if key.startswith("graphopt.")
    }
    found = {"schema": reporting.PLAN_SCHEMA, "plan": plan, "metadata": made}
    if html is not None:
        write_html(plan, model.name, html, as_json=to_json(found))
    if as_json:
        print(to_json(found), end="")
    else:
        reports.print_metadata(reports.console(), made, verbose=verbose)
        reports.print_plan(reports.console(), plan, verbose=verbose)


def verify(
    base: Path,
    candidate: Path,
    check: Check,
    *,
    reference: Reference,
    provider: str,
    kernels: bool,
    as_json: bool,
) -> None:
    """Compare two models and print the errors; raise where they differ."""
    from graphopt import reporting, verification
    from graphopt.json_values import to_json
    from graphopt.printing import reports
    from graphopt.runtime.library import library_path

    checked = verification.verify(
        base,
        candidate,
        inputs=check.sample.inputs,
        input_shapes=check.sample.input_shapes,
        dims=check.sample.dims,
        seed=check.sample.seed,
        rtol=check.rtol,
        atol=check.atol,
        reference=reference,
        provider=provider,
        library=library_path(provider) if kernels else None,
        custom_op_libraries=check.sample.custom_op_libraries,
    )
    if as_json:
        print(to_json({"schema": reporting.VERIFICATION_SCHEMA, "result": checked}), end="")
    else:
        reports.print_verification(reports.console(), checked)
    if checked.status == "failed":
        raise VerificationFailed(
            f"{candidate} is not the same function as {base}: keep the original"
        )


def passes(options: Options) -> None:
    """Print the pipeline for a target."""
    from graphopt.passes import pipeline
    from graphopt.printing import reports

    reports.print_steps(reports.console(), pipeline.steps(options))


def doctor() -> None:
    """Print what works on this machine; raises where something does not."""
    from graphopt.printing import reports
    from graphopt.runtime.doctor import examine

    findings = examine()
    reports.print_findings(reports.console(), findings)
    broken = [finding.subject for finding in findings if finding.status == "problem"]
    if broken:
        raise EnvironmentFailure(f"{broken[0]} does not work here: see the advice in its line")


def _default_output(model: Path, variant: str) -> Path:
    return model.with_name(f"{model.name.removesuffix('.onnx')}.{variant}.onnx")
