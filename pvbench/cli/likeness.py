"""`pvbench likeness`."""

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

from pvbench.cli.options import DeviceOption, JsonOption, ProfileOption, WeightsOption, console, error_console, talking

if TYPE_CHECKING:
    from pvbench.likeness.folders import Mean, Number
    from pvbench.likeness.look import Likeness
    from pvbench.likeness.seen import Seen

_SCALES: dict[Number, float] = {"likeness": 100.0, "motion": 1.0, "prompt": 100.0}
"""What tables multiply by."""
_COLOURS = {"the person": "green", "alike": "yellow", "somebody else": "red", "no face": "red", "unknown": "yellow"}


def likeness(
    photos: Annotated[Path, typer.Argument(help="Folder of the person's photos, two or more.")],
    videos: Annotated[list[Path], typer.Argument(help="Videos, pictures, and folders of them; one a checkpoint, say.")],
    strangers: Annotated[
        Path | None,
        typer.Option(help="Folder of pictures of other people: what strangers reach.", show_default=False),
    ] = None,
    prompt: Annotated[
        str,
        typer.Option(
            help="Id or text of what all files were asked for [dim](default: what names of files say that are "
            "prompts)[/]",
            show_default=False,
        ),
    ] = "",
    profile: ProfileOption = "mini",
    weights: WeightsOption = None,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Is it this person? A verdict on every video and picture, and which of several folders is most like.

    Each is read between two bands: what strangers reach, and what the person's own photos do, each held against the
    others. Where prompts are known, CLIP-T stands beside, and several folders make a curve of likeness, motion and
    prompt. Exit status 1: some files or photos could not be looked at; 2: no
    file could, or an input cannot be used.
    """
    from pvbench.features.published.settings import with_weights
    from pvbench.likeness.look import look
    from pvbench.machine.devices import resolve_device
    from pvbench.measuring.imported import Problem
    from pvbench.measuring.precheck import by_kind
    from pvbench.profile import load_profile

    evaluators = with_weights(load_profile(profile), weights or ())
    with talking(as_json):
        found = look(photos, videos, evaluators, resolve_device(device), strangers, _advanced, prompt)
    if as_json:
        typer.echo(json.dumps(_words(found), indent=1))
    else:
        _show(found)
    for note in found.notes:
        error_console.print(f"[yellow]note[/] {escape(note)}", soft_wrap=True)
    for problem, count in by_kind([Problem(where, why) for where, why in found.refused]):
        more = f" (and {count - 1} more like it)" if count > 1 else ""
        error_console.print(
            f"[yellow]left out[/] {escape(str(problem.where))}{more}: {escape(problem.what)}", soft_wrap=True
        )
    if found.refused or found.left_out:
        raise typer.Exit(1 if found.seen else 2)


def _advanced(done: int, total: int, name: str) -> None:
    if done == total:
        return
    if console.is_terminal:
        console.print(f"[dim]{done + 1} of {total}: {escape(name)}[/]")
    elif 10 * done // total > 10 * (done - 1) // total:
        error_console.print(f"{done} of {total} are looked at; next {escape(name)}", soft_wrap=True)


def _words(found: Likeness) -> dict[str, object]:
    from pvbench.likeness.folders import best_folder, is_paired

    bands = {
        name: value
        for name, value in vars(found.bands).items()
        if not isinstance(value, float) or not math.isnan(value)
    }
    best, p, rival = best_folder(found) if found.seen else ("", math.nan, "")
    return {
        "bands": bands,
        "seen": [one.in_words() for one in found.seen],
        "best": {
            "folder": best,
            "next": rival,
            "p": None if math.isnan(p) else p,
            "paired": is_paired(found, best, rival) if rival else None,
        },
        **_curve_in_words(found, best),
        "photos": list(found.photos),
        "notes": list(found.notes),
        "refused": [list(one) for one in found.refused],
    }


def _curve_in_words(found: Likeness, best: str) -> dict[str, object]:
    from pvbench.likeness.folders import costs, curve

    return {
        "curve": [
            {"folder": point.folder, "files": point.files, **{name: of.in_words() for name, of in point.means.items()}}
            for point in curve(found)
        ],
        "costs": {name: vars(cost) if cost else None for name, cost in costs(found, best).items()},
    }


def _show(found: Likeness) -> None:
    from pvbench.measuring.progress import asked_in_words

    several = len(found.folders) > 1
    for folder in found.folders:
        title = escape(folder) if several else None
        console.print(_table(found.of(folder), title, found.photos, prompted=found.prompted))
    if asked := asked_in_words(one.text for one in found.seen):
        console.print(escape(asked), soft_wrap=True)
    _show_bands(found)
    if several:
        _show_curve(found)
        _show_best(found)


def _table(seen: Sequence[Seen], title: str | None, photos: Sequence[str], *, prompted: bool) -> Table:
    """What was seen in one folder; with a column for the prompt where one is known."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=title, title_justify="left")
    for heading in ("name", "likeness", "faces", "turned", "motion", *(["prompt"] if prompted else []), "verdict"):
        justify = "left" if heading in ("name", "verdict") else "right"
        table.add_column(heading, justify=justify, overflow="fold")  # type: ignore[arg-type]
    for one in seen:
        copied = f" [dim](a copy of {escape(photos[one.copied - 1])}?)[/]" if one.copied else ""
        table.add_row(
            escape(one.name),
            _number(100 * one.likeness, ".1f"),
            f"{100 * one.faces:.0f} %",
            _number(one.turned, ".0f", "°"),
            _number(one.motion, ".1f"),
            *([_number(100 * one.prompt, ".1f")] if prompted else []),
            f"[{_COLOURS[one.verdict]}]{one.verdict}[/]{copied}",
        )
    return table


def _show_bands(found: Likeness) -> None:
    bands = found.bands
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


def _show_curve(found: Likeness) -> None:
    """One line a folder: means over its files, with 95 % intervals."""
    from pvbench.likeness.folders import curve

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    numbers = [name for name in _SCALES if found.prompted or name != "prompt"]
    for heading in ("folder", "files", *numbers):
        table.add_column(heading, justify="left" if heading == "folder" else "right", overflow="fold")
    for point in curve(found):
        means = [_with_interval(point.means[name], _SCALES[name]) for name in numbers]
        table.add_row(escape(point.folder), str(point.files), *means)
    console.print(table)
    console.print("Means over files, with 95 % intervals.")


def _show_best(found: Likeness) -> None:
    from pvbench.likeness.folders import SIGNIFICANT, best_folder, is_paired

    best, p, rival = best_folder(found)
    lead = f"{escape(best)} is most like the person (p {p:.2g} before {escape(rival)})."
    if p >= SIGNIFICANT:
        lead = f"No evidence between {escape(best)} and {escape(rival)} (p {p:.2g})."
    if not is_paired(found, best, rival):
        lead += " Few of their files share a name: they are not compared file by file, which would tell more apart."
    console.print(lead + _price(found, best), soft_wrap=True)


def _price(found: Likeness, best: str) -> str:
    """Whether the folder that is most like has less prompt or motion than another."""
    from pvbench.likeness.folders import costs

    said = costs(found, best)
    lost = [
        f"{name}: {-_SCALES[name] * cost.difference:.1f} less than {escape(cost.against)} (p {cost.p:.2g})"
        for name, cost in said.items()
        if cost
    ]
    kept = [name for name, cost in said.items() if not cost]
    found_none = f"no evidence that {escape(best)} costs {' or '.join(kept)}" if kept else ""
    if not lost:
        return f" There is {found_none}." if found_none else ""
    return f" {escape(best)} costs {', and '.join(lost)}{f'; {found_none}' if found_none else ''}."


def _with_interval(mean: Mean, scale: float) -> str:
    middle = _number(scale * mean.value, ".1f")
    return middle if math.isnan(mean.low) else f"{middle} ({scale * mean.low:.1f}, {scale * mean.high:.1f})"


def _number(value: float, fmt: str, unit: str = "") -> str:
    return "–" if math.isnan(value) else f"{value:{fmt}}{unit}"
