"""`pvbench compare`."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.markup import escape
from rich.table import Table

from pvbench.cli.options import JsonOption, console

if TYPE_CHECKING:
    from pvbench.report.comparing import Difference

_COLOURS = {"better": "green", "worse": "red"}


def compare(
    first: Annotated[Path, typer.Argument(help="Folder of a report, a run or a measuring.")],
    second: Annotated[Path, typer.Argument(help="Another one; what it has more than the first is shown.")],
    pair: Annotated[
        list[str] | None,
        typer.Option(
            help="FIRST=SECOND: compare these rows, whatever they are called; may be given several times "
            "[dim](default: rows of one name)[/]",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare two reports, row by row, on the videos that both have.

    Numbers that were measured differently are listed, not compared. Exit status 1: there are such.
    """
    from pvbench.report.comparing import compare_reports, pairs_of
    from pvbench.report.written import read_report

    one, other = read_report(first), read_report(second)
    found = compare_reports(one, other, pairs_of(one, other, pair or ()))
    if as_json:
        typer.echo(json.dumps([difference.in_words() for difference in found], indent=1))
    else:
        _show(found)
    if any(difference.verdict == "not comparable" for difference in found):
        raise typer.Exit(1)


def _show(found: Sequence[Difference]) -> None:
    for labels in dict.fromkeys((one.first, one.second) for one in found):
        of_pair = [one for one in found if (one.first, one.second) == labels]
        compared = [one for one in of_pair if one.verdict != "not comparable"]
        name = labels[0] if labels[0] == labels[1] else " and ".join(labels)
        console.print(f"[bold]{escape(name)}[/] [dim]{_size(compared)}[/]")
        if compared:
            console.print(_table(compared))
        for one in of_pair:
            if one.why:
                colour = "yellow" if one.verdict == "not comparable" else "dim"
                console.print(f"  [{colour}]{one.verdict}[/] {escape(one.column.display)}: {escape(one.why)}")
    console.print(
        "second − first: a mean over people; ± is half of its 95 % interval over people and prompts. p: sign flips "
        "over people, after Holm's correction over the pairs of rows."
    )
    if any(one.paired == "prompts" for one in found):
        console.print("The reports have no seed in common: paired by person and prompt, seeds averaged.")
    few = [one for one in found if one.hopeless]
    if few:
        console.print(
            f"{few[0].people} people are too few: no difference, however large, gives a p below .05 with them after "
            f"Holm's correction."
        )


def _size(compared: Sequence[Difference]) -> str:
    most = max(compared, key=lambda one: one.videos, default=None)
    return "" if most is None or not most.videos else f"{most.people} people, {most.videos} videos of each"


def _table(found: Sequence[Difference]) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    for heading in ("number", "first", "second", "second − first", "p", "verdict"):
        table.add_column(heading, justify="left" if heading in ("number", "verdict") else "right", no_wrap=True)
    for one in found:
        scale, fmt = one.column.scale, one.column.fmt
        half = "" if math.isnan(one.low) else f" [dim]±{(one.high - one.low) / 2 * scale:{fmt}}[/]"
        colour = _COLOURS.get(one.verdict, "")
        table.add_row(
            one.column.header,
            one.column.text(one.values[0]),
            one.column.text(one.values[1]),
            f"{one.difference * scale:+z{fmt}}{half}",
            "–" if math.isnan(one.p_holm) else f"{one.p_holm:.2g}",
            f"[{colour}]{one.verdict}[/]" if colour else one.verdict,
        )
    return table
