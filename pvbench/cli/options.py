"""Options that several commands have, and where commands print."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

console = Console(highlight=False)
error_console = Console(stderr=True, highlight=False)

INTERRUPTED = 130
"""The exit status of a command that Ctrl-C has ended."""

ProfileOption = Annotated[str, typer.Option(help="Name of a profile, or path of a TOML file.")]
OutOption = Annotated[Path | None, typer.Option(help="Run folder [dim](default: runs/PROFILE)[/]", show_default=False)]
WeightsOption = Annotated[
    list[str] | None,
    typer.Option(
        help="NAME=PATH: a file of your own for one evaluator (raft, i3d, face, clip, hps, dino, protocol_face, "
        "curricularface, inception, protocol_clip, aesthetic_clip, aesthetic, opens2v_aesthetic); may be given several "
        "times.",
        show_default=False,
    ),
]
RunWeightsOption = Annotated[
    list[str] | None,
    typer.Option(
        help="NAME=PATH: weights of your own in the place of those that the profile names. NAME is a line of its "
        "backbone's (base, and motion, layout or domain for AnimateDiff), rewards.LINE, or an evaluator as `pvbench "
        "measure` takes it; may be given several times.",
        show_default=False,
    ),
]
WORKERS_HELP = "Worker processes [dim](default: one a core, on CUDA one a GPU)[/]"
MetricsOption = Annotated[
    str | None,
    typer.Option(
        "--metrics",
        "--protocol",
        help="Metrics by comma, by name (`pvbench list metrics` shows them) or by that of a published protocol: all or "
        "personalvideo for the paper's six, opens2v, consisid, ipvg, vbench [dim](default: all)[/]",
        show_default=False,
    ),
]
MethodsOption = Annotated[
    str | None,
    typer.Option(
        help="Methods by comma, with settings as in [cyan]personalvideo[scr=off,span=0.5][/], or all "
        "[dim](default: the profile's)[/]".replace("[scr=", r"\[scr="),
        show_default=False,
    ),
]
IdentitiesOption = Annotated[
    str | None,
    typer.Option(
        help="Names or folders by comma, a number for the first so many, or all [dim](default: the profile's)[/]",
        show_default=False,
    ),
]
ClassNounOption = Annotated[
    str | None,
    typer.Option(
        help="What prompts call people whose folders have no card: a noun for all of them, or ann=woman,bob=man "
        "[dim](default: person)[/]",
        show_default=False,
    ),
]
PromptsOption = Annotated[
    str | None,
    typer.Option(
        help="Ids by comma, a number for the first so many, or all [dim](default: the profile's)[/]",
        show_default=False,
    ),
]
RefinedOption = Annotated[
    str | None,
    typer.Option(
        help="TOML, JSON or CSV file with a longer text for each prompt: every method is asked with these, and scores "
        "compare with the prompts themselves.",
        show_default=False,
    ),
]
SeedsOption = Annotated[
    str | None,
    typer.Option(
        help="A number for the first so many from 0, or seeds by comma [dim](default: the profile's)[/]",
        show_default=False,
    ),
]
SplitOption = Annotated[
    Literal["benchmark", "development"],
    typer.Option(
        help="Whose people and prompts: those that are scored and published, or those on whom settings are chosen."
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print the numbers as JSON on standard output, and all else on standard error.")
]
FailUnderOption = Annotated[
    list[str] | None,
    typer.Option(
        help="A bar such as [cyan]face_sim.low>30[/] or [cyan]METHOD:clip_t>=60[/], in the tables' units; .low and "
        ".high are ends of the 95 % interval. End with exit status 1 where a method does not clear it. May be given "
        "several times.",
        show_default=False,
    ),
]
ExecutorOption = Annotated[
    Literal["local", "ray"],
    typer.Option(help="Where workers are: processes on this machine, or what Ray places on a cluster."),
]
AddressOption = Annotated[
    str | None,
    typer.Option(
        help="With --executor ray: the cluster's address, or auto for one that runs on this machine "
        "[dim](default: RAY_ADDRESS, else Ray is started here for this command)[/]",
        show_default=False,
    ),
]
DeviceOption = Annotated[str, typer.Option(help="cpu, cuda, or auto: CUDA where there is one.")]


@contextmanager
def talking(as_json: bool) -> Iterator[None]:
    """Within it, messages go to standard error where standard output is for JSON."""
    before, console.stderr = console.stderr, as_json or console.stderr
    try:
        yield
    finally:
        console.stderr = before


def show_numbers(folder: Path, as_json: bool, bars: Sequence[str]) -> bool:
    """Prints a report's first table, or all its numbers as JSON; whether every bar is cleared.

    Raises:
        SettingError: a bar is not written as one.
        ReportError: the report cannot be read, or has not what a bar names.
    """
    from rich.markup import escape

    from pvbench.report.formats.screen import screen_table
    from pvbench.report.gate import read_bars
    from pvbench.report.written import read_report

    report = read_report(folder)
    if as_json:
        typer.echo(report.text, nl=False)
    else:
        console.print(screen_table(report))
    failures = [failure for bar in read_bars(bars) for failure in bar.failures(report)]
    for failure in failures:
        console.print(f"[red]not met[/] {escape(failure)}", soft_wrap=True)
    return not failures


def to_look_at(folder: Path) -> str:
    """Where the gallery of a report's videos is, for the end of a line; nothing where it has none."""
    from rich.markup import escape

    page = folder / "index.html"
    return f", its videos in [cyan]{escape(str(page))}[/]" if page.is_file() else ""
