"""`pvbench ablate`."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from pvbench.cli.options import (
    INTERRUPTED,
    WORKERS_HELP,
    AddressOption,
    ClassNounOption,
    DeviceOption,
    ExecutorOption,
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
)
from pvbench.errors import counted


def ablate(
    studies: Annotated[
        list[str] | None,
        typer.Argument(
            help="Studies by name, or TOML files with studies of your own; `pvbench list studies` shows them "
            "[dim](default: all)[/]",
            show_default=False,
        ),
    ] = None,
    identities: Annotated[
        str | None,
        typer.Option(
            help="Names or folders by comma, a number for the first so many, or all [dim](default: each study's)[/]",
            show_default=False,
        ),
    ] = None,
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
) -> None:
    """Run ablations and print a verdict on each claim, the paper's or ours.

    Stopped at any moment and started again, it goes on where it was. The exit status says nothing of the verdicts; 1:
    some videos failed, and are tried again by the next call; 2: an input cannot be used.
    """
    from pvbench.ablation.ablate import ablate as run_studies
    from pvbench.runner.plan import Choice
    from pvbench.runner.progress import RichObserver

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    choice = Choice(
        profile, None, identities, prompts, seeds, split, metrics, tuple(weights or ()), refined, class_noun
    )
    folder = out or Path("runs") / f"{Path(profile).stem}-ablation"
    try:
        results = run_studies(
            folder,
            studies or (),
            choice,
            device=device,
            workers=workers,
            observer=RichObserver(console),
            executor=executor,
            address=address,
        )
    except KeyboardInterrupt:
        error_console.print("[yellow]stopped[/]; what was made is kept: run the same command again to go on")
        raise typer.Exit(INTERRUPTED) from None
    from pvbench.ablation.document import claim_words

    for result in results:
        for one in result.claims():
            console.print(
                f"{escape(result.study.name)}: {escape(one.claim.column)}, {escape(claim_words(one.claim))}: "
                f"[bold]{one.verdict}[/]"
            )
    console.print(f"tables in [cyan]{escape(str(folder / 'ablation' / 'ablation.md'))}[/]")
    if failed := sum(result.failed for result in results):
        error_console.print(
            f"{counted(failed, 'video')} failed: see [cyan]{escape(str(folder / 'failures'))}[/]; the same command "
            f"tries again"
        )
        raise typer.Exit(1)
