"""`pvbench measure`."""

from __future__ import annotations

import shlex
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
    DeviceOption,
    ExecutorOption,
    FailUnderOption,
    JsonOption,
    MetricsOption,
    ProfileOption,
    WeightsOption,
    console,
    error_console,
    show_numbers,
    talking,
    to_look_at,
)
from pvbench.errors import counted

if TYPE_CHECKING:
    from pvbench.measuring.measure import Measured
    from pvbench.measuring.request import MeasureRequest

VideosArgument = Annotated[
    list[Path],
    typer.Argument(
        help="Folders of videos (METHOD/IDENTITY/PROMPT-0.mp4, IDENTITY/PROMPT-0.mp4 or PROMPT-0.mp4), or "
        "manifests (CSV, TSV, Excel, JSON: video, identity, prompt, and if wanted method, seed), or single videos."
    ),
]
IdentityOption = Annotated[
    str, typer.Option(help="Name or folder of photos of the person that every video shows.", show_default=False)
]
PromptOption = Annotated[str, typer.Option(help="Id or text of the prompt of every video.", show_default=False)]
MethodOption = Annotated[str, typer.Option(help="Name of the method that made every video.", show_default=False)]
IdentitiesOption = Annotated[
    Path | None,
    typer.Option(
        help="Folder with a folder of photos for each person, or one person's; shipped for pvbench's own people "
        "[dim](default: these, in the miniature world)[/]",
        show_default=False,
    ),
]
ReferenceOption = Annotated[
    str,
    typer.Option(
        help="FVD's reference set: a folder of videos, or rendered [dim](default: rendered for mini, else none)[/]",
        show_default=False,
    ),
]
RootOption = Annotated[
    Path | None,
    typer.Option(
        help="Folder that paths in manifests may not leave [dim](default: each manifest's own)[/]", show_default=False
    ),
]
ManifestOption = Annotated[
    Path | None,
    typer.Option(
        help="Write what the videos are taken to show to this CSV, to be corrected and measured, and end.",
        show_default=False,
    ),
]
PartialOption = Annotated[
    bool,
    typer.Option("--allow-partial", help="Go on without the videos that have problems; the report says how many."),
]
WorkersOption = Annotated[int | None, typer.Option("--workers", "--jobs", min=1, help=WORKERS_HELP, show_default=False)]


def measure(
    videos: VideosArgument,
    metrics: MetricsOption = None,
    profile: ProfileOption = "mini",
    weights: WeightsOption = None,
    identity: IdentityOption = "",
    prompt: PromptOption = "",
    method: MethodOption = "",
    identities: IdentitiesOption = None,
    root: RootOption = None,
    write_manifest: ManifestOption = None,
    reference: ReferenceOption = "",
    allow_partial: PartialOption = False,
    out: Annotated[Path, typer.Option(help="Folder for features and report.")] = Path("runs/measured"),
    device: DeviceOption = "auto",
    workers: WorkersOption = None,
    executor: ExecutorOption = "local",
    address: AddressOption = None,
    fail_under: FailUnderOption = None,
    as_json: JsonOption = False,
) -> None:
    """Score videos that were made elsewhere, as a run scores its own: several folders go into one table.

    All videos are looked over first. Exit status 2: some have problems, or an input cannot be used. Exit status 1: a
    report was written, and some could not be measured, or not as asked; they are listed, here and in the report. Or a
    bar of --fail-under is not cleared.
    """
    from pvbench.features.published.settings import with_weights
    from pvbench.measuring.imported import Given
    from pvbench.measuring.measure import ProblemsError
    from pvbench.measuring.measure import measure as measure_videos
    from pvbench.measuring.precheck import problems_table
    from pvbench.measuring.progress import MeasureObserver
    from pvbench.measuring.request import MeasureRequest
    from pvbench.metrics import choose, of_protocols
    from pvbench.profile import load_profile
    from pvbench.report.gate import read_bars

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    bars = fail_under or []
    read_bars(bars)  # before any work
    evaluators = with_weights(load_profile(profile), weights or ())
    order = MeasureRequest(
        sources=tuple(videos),
        profile=evaluators,
        out=out,
        metrics=choose(metrics, evaluators.metrics_default),
        given=Given(identity, prompt, method),
        identities=identities,
        root=root,
        reference=reference,
        allow_partial=allow_partial,
        device=device,
        workers=workers,
        executor=executor,
        address=address,
        command=_command(),
        optional=of_protocols(metrics),
    )
    if write_manifest is not None:
        _write_manifest(write_manifest, order)
        return
    with talking(as_json):
        try:
            with MeasureObserver(console) as observer:
                result = measure_videos(order, observer.advanced, observer.looked)
        except ProblemsError as error:
            console.print(problems_table(error.found.problems))
            raise
        except KeyboardInterrupt:
            error_console.print("[yellow]stopped[/]; what was measured is kept: run the same command again to go on")
            raise typer.Exit(INTERRUPTED) from None
        cleared = _show(result, as_json, bars)
    if result.failed or result.problems or not cleared:
        raise typer.Exit(1)


def _show(result: Measured, as_json: bool, bars: Sequence[str]) -> bool:
    """Prints what was measured; whether every bar is cleared."""
    from pvbench.measuring.precheck import problems_table

    if result.problems:
        console.print(problems_table(result.problems))
    cleared = show_numbers(result.report, as_json, bars)
    console.print(
        f"{counted(result.made, 'video')} measured, {result.reused} known from before"
        f"{f', {result.failed} without a number' if result.failed else ''}; report in "
        f"[cyan]{escape(str(result.report / 'report.md'))}[/]{to_look_at(result.report)}"
    )
    for note in result.notes:
        console.print(f"[yellow]note[/] {escape(note)}", soft_wrap=True)
    if result.replaced:
        console.print(
            f"[yellow]note[/] the report before had {', '.join(result.replaced)}, too, and is replaced; its features "
            f"are kept: name all metrics in one command, or keep reports apart with --out"
        )
    return cleared


def _write_manifest(path: Path, order: MeasureRequest) -> None:
    """Writes what the videos are taken to show; exit status 1 where names could not be read, 2 where none could."""
    from pvbench.measuring.manifest import write_manifest
    from pvbench.measuring.measure import find
    from pvbench.measuring.precheck import problems_table

    found = find(order)
    problems = [*found.problems, *write_manifest(path, found.videos, found.unread)]
    unread = f", {len(found.unread)} more to be filled in" if found.unread else ""
    console.print(f"{counted(len(found.videos), 'video')} listed in [cyan]{escape(str(path))}[/]{unread}")
    if problems:
        console.print(problems_table(problems))
        raise typer.Exit(1 if found.videos else 2)


def _command() -> str:
    """The command that measures the same again, without what only asks how it is shown."""
    found, skip = ["pvbench"], False
    for argument in sys.argv[1:]:
        if not skip and argument not in ("--json", "--fail-under") and not argument.startswith("--fail-under="):
            found.append(argument)
        skip = argument == "--fail-under"
    return shlex.join(found)
