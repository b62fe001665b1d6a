"""`pvbench likeness`."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.markup import escape
from rich.table import Table

from pvbench.cli.options import DeviceOption, JsonOption, ProfileOption, WeightsOption, console, error_console, talking

if TYPE_CHECKING:
    from pvbench.likeness.look import Likeness

_COLOURS = {"the person": "green", "alike": "yellow", "somebody else": "red", "no face": "red", "unknown": "yellow"}


def likeness(
    photos: Annotated[Path, typer.Argument(help="Folder of the person's photos, two or more.")],
    videos: Annotated[list[Path], typer.Argument(help="Videos, pictures, and folders of them; one a checkpoint, say.")],
    strangers: Annotated[
        Path | None,
        typer.Option(help="Folder of pictures of other people: what strangers reach.", show_default=False),
    ] = None,
    profile: ProfileOption = "mini",
    weights: WeightsOption = None,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Is it this person? A verdict on every video and picture, and which of several folders is most like.

    Each is read between two bands: what strangers reach, and what the person's own photos do, each held against the
    others. Exit status 1: some files could not be looked at.
    """
    from pvbench.features.published.settings import with_weights
    from pvbench.likeness.look import look
    from pvbench.machine.devices import resolve_device
    from pvbench.profile import load_profile

    evaluators = with_weights(load_profile(profile), weights or ())
    with talking(as_json):
        found = look(photos, videos, evaluators, resolve_device(device), strangers, _advanced)
    if as_json:
        typer.echo(json.dumps(_words(found), indent=1))
    else:
        _show(found)
    for where, why in found.refused:
        error_console.print(f"[yellow]left out[/] {escape(where)}: {escape(why)}", soft_wrap=True)
    if found.refused:
        raise typer.Exit(1)


def _advanced(done: int, total: int, name: str) -> None:
    if console.is_terminal and done < total:
        console.print(f"[dim]{done + 1} of {total}: {escape(name)}[/]")


def _words(found: Likeness) -> dict[str, object]:
    from pvbench.likeness.look import best_folder

    bands = {
        name: value
        for name, value in vars(found.bands).items()
        if not isinstance(value, float) or not math.isnan(value)
    }
    best, p, rival = best_folder(found) if found.seen else ("", math.nan, "")
    return {
        "bands": bands,
        "seen": [one.in_words() for one in found.seen],
        "best": {"folder": best, "next": rival, "p": None if math.isnan(p) else p},
        "refused": [list(one) for one in found.refused],
    }


def _plain(value: object) -> object:
    return None if isinstance(value, float) and math.isnan(value) else value


def _show(found: Likeness) -> None:
    from pvbench.likeness.look import SIGNIFICANT, best_folder

    bands, several = found.bands, len(found.folders) > 1
    for folder in found.folders:
        table = Table(
            box=box.SIMPLE_HEAD, pad_edge=False, title=escape(folder) if several else None, title_justify="left"
        )
        for heading in ("name", "likeness", "faces", "turned", "motion", "verdict"):
            justify = "left" if heading in ("name", "verdict") else "right"
            table.add_column(heading, justify=justify, overflow="fold")  # type: ignore[arg-type]
        for one in found.of(folder):
            copied = f" [dim](a copy of photo {one.copied}?)[/]" if one.copied else ""
            table.add_row(
                escape(one.name),
                _number(100 * one.likeness, ".1f"),
                f"{100 * one.faces:.0f} %",
                _number(one.turned, ".0f", "°"),
                _number(one.motion, ".1f"),
                f"[{_COLOURS[one.verdict]}]{one.verdict}[/]{copied}",
            )
        console.print(table)
    low = "not known: give --strangers FOLDER" if math.isnan(bands.stranger) else f"{100 * bands.stranger:.1f}"
    console.print(f"One stranger in a hundred reaches: {low}.")
    off = (
        "" if math.isnan(bands.gap) else f", {100 * bands.gap:.1f} taken off because photos are more alike than videos"
    )
    console.print(
        f"The person's own videos: about {100 * bands.own:.1f}, nine of ten above {100 * bands.own_low:.1f} "
        f"({len(bands.photos)} photos, each held against the others{off})."
    )
    if math.isnan(bands.gap):
        console.print(
            "For this recogniser it is not known how much lower videos lie than photos; nothing is taken off."
        )
    if several:
        best, p, rival = best_folder(found)
        lead = f"{escape(best)} is most like the person (p {p:.2g} before {escape(rival)})."
        console.print(
            lead if p < SIGNIFICANT else f"No evidence between {escape(best)} and {escape(rival)} (p {p:.2g})."
        )


def _number(value: float, fmt: str, unit: str = "") -> str:
    return "–" if math.isnan(value) else f"{value:{fmt}}{unit}"
