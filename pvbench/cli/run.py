"""`pvbench run` and `pvbench report`."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from pvbench.cli.options import (
    INTERRUPTED,
    WORKERS_HELP,
    AddressOption,
    ClassNounOption,
    DeviceOption,
    ExecutorOption,
    FailUnderOption,
    IdentitiesOption,
    JsonOption,
    MethodsOption,
    MetricsOption,
    OutOption,
    ProfileOption,
    PromptsOption,
    RefinedOption,
    RunWeightsOption,
    SeedsOption,
    SplitOption,
    console,
    error_console,
    show_numbers,
    talking,
    to_look_at,
)

if TYPE_CHECKING:
    from pvbench.runner.result import RunResult


def run(
    methods: MethodsOption = None,
    identities: IdentitiesOption = None,
    class_noun: ClassNounOption = None,
    prompts: PromptsOption = None,
    seeds: SeedsOption = None,
    metrics: MetricsOption = None,
    split: SplitOption = "benchmark",
    profile: ProfileOption = "mini",
    weights: RunWeightsOption = None,
    refined: RefinedOption = None,
    out: OutOption = None,
    device: DeviceOption = "auto",
    workers: Annotated[int | None, typer.Option(min=1, help=WORKERS_HELP, show_default=False)] = None,
    executor: ExecutorOption = "local",
    address: AddressOption = None,
    fail_under: FailUnderOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tune, generate, measure and report a grid of methods, identities, prompts and seeds.

    Stopped at any moment and started again, it goes on where it was. Exit status 1: some cells failed, which are listed
    and tried again by the next run, a photo was left out, or a bar of --fail-under is not cleared. Exit status 2: an
    input cannot be used, or every cell failed.
    """
    from pvbench.report.gate import read_bars
    from pvbench.runner.place import run_at
    from pvbench.runner.plan import Choice, make_plan
    from pvbench.runner.progress import RichObserver
    from pvbench.store import Store

    # A scheduler's polite end is as good a moment to stop as Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    bars = fail_under or []
    read_bars(bars)  # before hours of work
    try:
        plan = make_plan(
            Choice(
                profile, methods, identities, prompts, seeds, split, metrics, tuple(weights or ()), refined, class_noun
            )
        )
        store = Store(out or Path("runs") / plan.default_folder)
        with talking(as_json):
            result = run_at(executor, address, plan, store, RichObserver(console), device, workers)
            failed = _report(result, as_json, bars, anew=False) or any(one.left_out for one in plan.identities)
    except KeyboardInterrupt:
        error_console.print("[yellow]stopped[/]; what was made is kept: run the same command again to go on")
        raise typer.Exit(INTERRUPTED) from None
    if failed:
        raise typer.Exit(1 if result.survey.measured else 2)


def report(
    folder: Annotated[Path, typer.Argument(help="Folder of a run or of a measuring.")],
    keep: Annotated[
        Path | None,
        typer.Option(
            help="Copy the report there, to be published: of a complete run of the benchmark's people only.",
            show_default=False,
        ),
    ] = None,
    fail_under: FailUnderOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the report of a run or a measuring again, from the features that are there."""
    from pvbench.report.gate import read_bars
    from pvbench.runner.plan import plan_from_summary
    from pvbench.runner.report import keep_report
    from pvbench.runner.result import collect
    from pvbench.store import Store

    store, bars = Store(folder), fail_under or []
    read_bars(bars)
    if not (folder / "plan.json").is_file() and _measured_anew(folder, keep, as_json, bars):
        return
    plan = plan_from_summary(store.read_plan(), store.folder / "plan.json")
    with talking(as_json), store.locked():
        result = collect(plan, store)
        failed = _report(result, as_json, bars, anew=True)
        if keep is not None:
            console.print(f"kept in [cyan]{escape(str(keep_report(result, keep)))}[/]")
    if failed:
        raise typer.Exit(1)


def _measured_anew(folder: Path, keep: Path | None, as_json: bool, bars: Sequence[str]) -> bool:
    """Whether the folder is that of a measuring, whose report then is written again."""
    import contextlib

    from pvbench.cli import app
    from pvbench.errors import ReportError
    from pvbench.measuring.measure import made_anew

    own = [*(["--json"] if as_json else []), *(part for bar in bars for part in ("--fail-under", bar))]
    given = sys.argv
    with made_anew(folder) as again:
        if again is None:
            return False
        if keep is not None:
            raise ReportError(f"--keep: {folder} holds a measuring; only the report of a run is kept")
        (program, *arguments), place = again
        sys.argv = [program, *arguments]
        try:
            with contextlib.chdir(place):
                status = app([*arguments, *own], standalone_mode=False)
        finally:
            sys.argv = given
    if status:
        raise typer.Exit(status)
    return True


def _report(result: RunResult, as_json: bool, bars: Sequence[str], *, anew: bool) -> bool:
    """Whether cells failed or a bar is not cleared; the report is written, and its numbers and failures printed."""
    from pvbench.runner.progress import failure_table
    from pvbench.runner.report import report_run

    folder, refused = report_run(result, anew=anew)
    cleared = show_numbers(folder, as_json, bars)
    console.print(f"report in [cyan]{escape(str(folder / 'report.md'))}[/]{to_look_at(folder)}")
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
    return not result.complete or bool(refused) or not cleared
