"""The command line. Everything heavy is imported by the command that needs it: `--help` answers at once."""

from __future__ import annotations

import shlex
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.markup import escape

from pvbench import __version__
from pvbench.errors import PvbenchError
from pvbench.world import commands as world_commands

if TYPE_CHECKING:
    from pvbench.runner.result import RunResult

app = typer.Typer(
    help="Does a text-to-video method keep the person's face without freezing the video or ignoring the prompt?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(world_commands.app, name="world")
console = Console(highlight=False)
error_console = Console(stderr=True, highlight=False)

_INTERRUPTED = 130

ProfileOption = Annotated[str, typer.Option(help="Name of a profile, or path of a TOML file.")]
OutOption = Annotated[Path | None, typer.Option(help="Run folder [dim](default: runs/PROFILE)[/]", show_default=False)]
WeightsOption = Annotated[
    list[str] | None,
    typer.Option(
        help="NAME=PATH: a file of your own for one evaluator (raft, i3d, face, clip, hps, dino); may be given several "
        "times.",
        show_default=False,
    ),
]
_WORKERS_HELP = "Worker processes [dim](default: one a core, on CUDA one a GPU)[/]"
MetricsOption = Annotated[
    str | None,
    typer.Option(
        help="Metrics by comma: all for the six of the paper, and others besides; `pvbench list metrics` shows them "
        "[dim](default: all)[/]",
        show_default=False,
    ),
]
SplitOption = Annotated[
    Literal["benchmark", "development"],
    typer.Option(
        help="Whose people and prompts: those that are scored and published, or those on whom settings are chosen."
    ),
]
DeviceOption = Annotated[str, typer.Option(help="cpu, cuda, or auto: CUDA where there is one.")]


def main() -> None:
    """Runs the command line; a user's mistake ends in one message and exit status 2."""
    try:
        app()
    except PvbenchError as error:
        error_console.print(f"[bold red]error:[/] {escape(str(error))}", soft_wrap=True)
        sys.exit(error.exit_status)


@app.callback(invoke_without_command=True)
def options(
    version: Annotated[bool, typer.Option("--version", help="Print the version and end.")] = False,
) -> None:
    """Options before a command."""
    if version:
        console.print(f"pvbench {__version__}")
        raise typer.Exit


@app.command()
def run(
    methods: Annotated[
        str | None,
        typer.Option(
            help="Methods by comma, with settings as in [cyan]personalvideo[scr=off,span=0.5][/], or all "
            "[dim](default: the profile's)[/]".replace("[scr=", r"\[scr="),
            show_default=False,
        ),
    ] = None,
    identities: Annotated[
        str | None,
        typer.Option(
            help="Names or folders by comma, a number for the first so many, or all [dim](default: the profile's)[/]",
            show_default=False,
        ),
    ] = None,
    prompts: Annotated[
        str | None,
        typer.Option(
            help="Ids by comma, a number for the first so many, or all [dim](default: the profile's)[/]",
            show_default=False,
        ),
    ] = None,
    seeds: Annotated[
        str | None,
        typer.Option(
            help="A number for the first so many from 0, or seeds by comma [dim](default: the profile's)[/]",
            show_default=False,
        ),
    ] = None,
    metrics: MetricsOption = None,
    split: SplitOption = "benchmark",
    profile: ProfileOption = "mini",
    out: OutOption = None,
    device: DeviceOption = "auto",
    workers: Annotated[int | None, typer.Option(min=1, help=_WORKERS_HELP, show_default=False)] = None,
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
        raise typer.Exit(_INTERRUPTED) from None
    if failed:
        raise typer.Exit(1)


@app.command()
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


@app.command("list")
def list_(
    what: Annotated[
        Literal["methods", "identities", "prompts", "metrics", "profiles", "backbones", "rewards", "evaluators"],
        typer.Argument(help="Which kind of thing."),
    ],
    profile: ProfileOption = "mini",
    split: SplitOption = "benchmark",
) -> None:
    """Show what is installed."""
    from pvbench import listing

    console.print(listing.listing(what, profile, split))


@app.command()
def doctor(
    profile: ProfileOption = "mini",
    weights: WeightsOption = None,
    device: DeviceOption = "auto",
) -> None:
    """Check that everything a run needs is there and whole: libraries, device, weights, identities, prompts, disk."""
    from pvbench.doctor import examine, findings_table

    findings = examine(profile, device, weights or ())
    console.print(findings_table(findings))
    if any(finding.verdict == "bad" for finding in findings):
        raise typer.Exit(PvbenchError.exit_status)


@app.command()
def measure(
    videos: Annotated[
        list[Path],
        typer.Argument(
            help="Folders of videos (METHOD/IDENTITY/PROMPT-0.mp4, IDENTITY/PROMPT-0.mp4 or PROMPT-0.mp4), or "
            "manifests (.csv, .jsonl: video, identity, prompt, and if wanted method, seed)."
        ),
    ],
    metrics: MetricsOption = None,
    profile: ProfileOption = "mini",
    weights: WeightsOption = None,
    identity: Annotated[
        str, typer.Option(help="Name or folder of the identity that every video shows.", show_default=False)
    ] = "",
    prompt: Annotated[str, typer.Option(help="Id or text of the prompt of every video.", show_default=False)] = "",
    method: Annotated[str, typer.Option(help="Name of the method that made every video.", show_default=False)] = "",
    identities: Annotated[
        Path | None,
        typer.Option(
            help="Folder with identities of your own [dim](default: those that pvbench ships)[/]", show_default=False
        ),
    ] = None,
    reference: Annotated[
        str,
        typer.Option(
            help="FVD's reference set: a folder of videos, or rendered [dim](default: rendered for mini, else none)[/]",
            show_default=False,
        ),
    ] = "",
    allow_partial: Annotated[
        bool,
        typer.Option("--allow-partial", help="Go on without the videos that have problems; the report says how many."),
    ] = False,
    out: Annotated[Path, typer.Option(help="Folder for features and report.")] = Path("runs/measured"),
    device: DeviceOption = "auto",
    workers: Annotated[
        int | None, typer.Option("--workers", "--jobs", min=1, help=_WORKERS_HELP, show_default=False)
    ] = None,
) -> None:
    """Score videos that were made elsewhere, as a run scores its own: several folders go into one table.

    All videos are looked over first. Exit status 2: some have problems, or an input cannot be used. Exit status 1: a
    report was written, and some could not be measured, or not as asked; they are listed, here and in the report.
    """
    from pvbench.features.published.settings import with_weights
    from pvbench.measuring.layouts import Given
    from pvbench.measuring.measure import ProblemsError
    from pvbench.measuring.measure import measure as measure_videos
    from pvbench.measuring.precheck import counted, problems_table
    from pvbench.measuring.progress import MeasureObserver
    from pvbench.measuring.request import MeasureRequest
    from pvbench.metrics import choose
    from pvbench.profile import load_profile

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    order = MeasureRequest(
        sources=tuple(videos),
        profile=with_weights(load_profile(profile), weights or ()),
        out=out,
        metrics=choose(metrics),
        given=Given(identity, prompt, method),
        identities=identities,
        reference=reference,
        allow_partial=allow_partial,
        device=device,
        workers=workers,
        command=_command(),
    )
    try:
        with MeasureObserver(console) as observer:
            result = measure_videos(order, observer.advanced, observer.looked)
    except ProblemsError as error:
        console.print(problems_table(error.found.problems))
        raise
    except KeyboardInterrupt:
        error_console.print("[yellow]stopped[/]; what was measured is kept: run the same command again to go on")
        raise typer.Exit(_INTERRUPTED) from None
    if result.problems:
        console.print(problems_table(result.problems))
    console.print(
        f"{counted(result.made, 'video')} measured, {result.reused} known from before"
        f"{f', {result.failed} without a number' if result.failed else ''}; report in "
        f"[cyan]{escape(str(result.report / 'report.md'))}[/]"
    )
    if result.failed or result.problems:
        raise typer.Exit(1)


def _command() -> str:
    return shlex.join(["pvbench", *sys.argv[1:]])


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


if __name__ == "__main__":
    main()
