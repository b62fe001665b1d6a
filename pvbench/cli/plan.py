"""`pvbench plan`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.markup import escape
from rich.table import Table

from pvbench.cli.options import (
    WORKERS_HELP,
    ClassNounOption,
    DeviceOption,
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
)

if TYPE_CHECKING:
    from pvbench.runner.forecast import Forecast


def plan(
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
    as_json: JsonOption = False,
) -> None:
    """Say what `pvbench run` with the same options would still make, and what it would take. Makes nothing.

    Exit status 1: weights are missing, all of which are named.
    """
    from pvbench.machine.devices import default_workers, resolve_device
    from pvbench.runner.forecast import forecast
    from pvbench.runner.missing import Missing
    from pvbench.runner.plan import Choice, make_plan
    from pvbench.runner.selection import notes_on
    from pvbench.store import Store

    missing = Missing(tolerated=True)
    made = make_plan(
        Choice(profile, methods, identities, prompts, seeds, split, metrics, tuple(weights or ()), refined, class_noun),
        missing,
    )
    resolved = resolve_device(device)
    folder = out or Path("runs") / made.default_folder
    found = forecast(made, Store(folder), resolved, workers or default_workers(resolved), missing)
    if as_json:
        typer.echo(json.dumps(found.in_words(), indent=1))
    else:
        _show(found, folder, resolved)
        for note in notes_on(made.identities):
            console.print(note, style="yellow", markup=False)
    if found.missing:
        raise typer.Exit(1)


def _show(found: Forecast, folder: Path, device: str) -> None:
    table = Table(box=box.SIMPLE_HEAD)
    for heading in ("stage", "row", "left", "of", "s each", "from", "worker hours"):
        table.add_column(heading, justify="left" if heading in ("stage", "row", "from") else "right", overflow="fold")
    for one in found.work:
        source = f"{one.measured} measured" if one.measured else "the profile"
        table.add_row(
            one.stage, escape(one.row), str(one.left), str(one.total), f"{one.seconds:.1f}", source, f"{one.hours:.2f}"
        )
    console.print(table)
    console.print(
        f"{found.made} of {found.cells} videos are in [cyan]{escape(str(folder))}[/]. What is left takes about "
        f"[bold]{found.worker_hours:.2f}[/] worker hours: {found.hours:.2f} hours with {found.workers} on {device}."
    )
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(there).free
    short = " [red]That is not enough.[/]" if free < found.disk_bytes else ""
    console.print(f"Disk: about {found.disk_bytes / 2**30:.2f} GiB more; {free / 2**30:.1f} are free.{short}")
    for row, need in found.gpu_gib.items():
        console.print(f"Memory of a GPU for {escape(row)}: about {need:.0f} GiB, by estimate.")
    for row, need in found.host_gib.items():
        console.print(f"Memory of the machine for {escape(row)}: about {need:.0f} GiB a worker, by estimate.")
    for part, need in found.memory_gib.items():
        console.print(f"Memory of the evaluator of {escape(part)}: about {need:g} GiB.")
    for part, terms in found.licences.items():
        console.print(f"Licence of {escape(part)}: {escape(terms)}")
    for text in found.missing:
        console.print(f"[red]Missing:[/] {escape(text)}")
