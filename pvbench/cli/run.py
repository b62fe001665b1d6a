"""`pvbench run` and `pvbench report`."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from pvbench.cli.options import (
    INTERRUPTED,
    WORKERS_HELP,
    DeviceOption,
    IdentitiesOption,
    MethodsOption,
    MetricsOption,
    OutOption,
    ProfileOption,
    PromptsOption,
    SeedsOption,
    SplitOption,
    console,
    error_console,
)

if TYPE_CHECKING:
    from pvbench.runner.result import RunResult


def run(
    methods: MethodsOption = None,
    identities: IdentitiesOption = None,
    prompts: PromptsOption = None,
    seeds: SeedsOption = None,
    metrics: MetricsOption = None,
    split: SplitOption = "benchmark",
    profile: ProfileOption = "mini",
    out: OutOption = None,
    device: DeviceOption = "auto",
    workers: Annotated[int | None, typer.Option(min=1, help=WORKERS_HELP, show_default=False)] = None,
) -> None:
    """Tune, generate, measure and report a grid of methods, identities, prompts and seeds.

    Stopped at any moment and started again, it goes on where it was. Exit status 1: some cells failed; they are listed
    and tried again by the next run. Exit status 2: an input cannot be used.
    """
    from pvbench.runner.grid import run_grid
    from pvbench.runner.plan import Choice, make_plan
    from pvbench.runner.progress import RichObserver
    from pvbench.store import Store

    # A scheduler's polite end is as good a moment to stop as Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        plan = make_plan(Choice(profile, methods, identities, prompts, seeds, split, metrics))
        store = Store(out or Path("runs") / plan.default_folder)
        result = run_grid(plan, store, RichObserver(console), device=device, workers=workers)
        failed = _report(result, anew=False)
    except KeyboardInterrupt:
        error_console.print("[yellow]stopped[/]; what was made is kept: run the same command again to go on")
        raise typer.Exit(INTERRUPTED) from None
    if failed:
        raise typer.Exit(1)


def report(
    folder: Annotated[Path, typer.Argument(help="Run folder that `pvbench run` made.")],
    keep: Annotated[
        Path | None,
        typer.Option(
            help="Copy the report there, to be published: of a complete run of the benchmark's people only.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Write the report of a run folder anew, from the features that are there."""
    from pvbench.runner.plan import plan_from_summary
    from pvbench.runner.report import keep_report
    from pvbench.runner.result import collect
    from pvbench.store import Store

    store = Store(folder)
    plan = plan_from_summary(store.read_plan(), store.folder / "plan.json")
    with store.locked():
        result = collect(plan, store)
        failed = _report(result, anew=True)
        if keep is not None:
            console.print(f"kept in [cyan]{escape(str(keep_report(result, keep)))}[/]")
    if failed:
        raise typer.Exit(1)


def _report(result: RunResult, anew: bool) -> bool:
    """Whether some cells failed; the report is written, and where it lies and what failed is printed."""
    from pvbench.runner.progress import failure_table
    from pvbench.runner.report import report_run

    folder, refused = report_run(result, anew=anew)
    console.print(f"report in [cyan]{escape(str(folder / 'report.md'))}[/]")
    recorded = {failure.key: failure for failure in result.failures.values()}
    rows = [(failure.where, failure.stage, failure.message) for failure in recorded.values()]
    rows += [
        (f"{cell.variant}, {cell.identity}, {cell.prompt}, seed {cell.seed}", "score", message)
        for cell, message in refused.items()
    ]
    if rows:
        console.print(failure_table(rows))
        console.print(
            f"Details in [cyan]{escape(str(result.store.folder / 'failures'))}[/]; the same command tries them again."
        )
    return not result.complete or bool(refused)
