"""What `pvbench list` shows: methods, identities, prompts, metrics and profiles that are installed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, get_args, get_type_hints

from rich import box
from rich.markup import escape
from rich.table import Table

from pvbench.errors import MethodError
from pvbench.identity import SPLITS, load_identities, split_root
from pvbench.metrics import COLUMNS
from pvbench.profile import list_profiles, load_profile
from pvbench.prompt import load_prompts
from pvbench.registry import list_methods, method_class
from pvbench.runner.plan import scored_prompts


def listing(what: str, profile_name: str, split: str = SPLITS[0]) -> Table:
    """The table of one kind of thing; identities are a split's, and prompts those that the profile scores for it."""
    return _TABLES[what](profile_name, split)


def _table(*headings: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    for number, heading in enumerate(headings):
        # The first column holds names to be copied.
        table.add_column(heading, overflow="fold", no_wrap=number == 0)
    return table


def _methods(profile_name: str, split: str) -> Table:
    table = _table("method", "what it does", "tunes", "settings and their defaults")
    for name in list_methods():
        try:
            cls = method_class(name)
        except MethodError as error:
            table.add_row(f"[red]{escape(name)}[/]", escape(str(error)), "", "")
            continue
        only = f" [dim](profiles: {', '.join(sorted(cls.profiles))})[/]" if cls.profiles else ""
        table.add_row(f"[cyan]{escape(name)}[/]", escape(cls.summary) + only, "yes" if cls.tunes else "no",
                      escape("\n".join(_settings(cls.Settings))))
    return table


def _settings(settings: type[Any]) -> list[str]:
    types = get_type_hints(settings)
    lines = []
    for field, value in zip(dataclasses.fields(settings), dataclasses.astuple(settings()), strict=True):
        shown = {True: "on", False: "off"}.get(value, value) if isinstance(value, bool) else value
        choices = "".join(f" | {choice}" for choice in get_args(types[field.name])
                          if isinstance(choice, str) and choice != value)
        lines.append(f"{field.name}={shown}{choices}")
    return lines


def _identities(profile_name: str, split: str) -> Table:
    table = _table("identity", "class noun", "images", "description", "licence")
    for identity in load_identities(None, split_root(split)):
        table.add_row(f"[cyan]{escape(identity.name)}[/]", identity.class_noun, str(len(identity.images)),
                      escape(identity.description), escape(identity.licence))
    return table


def _prompts(profile_name: str, split: str) -> Table:
    prompts = load_prompts(scored_prompts(load_profile(profile_name), split))
    table = _table("prompt", "text", "asks for")
    for prompt in prompts.prompts:
        tags = ", ".join(f"{name}: {value}" for name, value in prompt.tags.items())
        table.add_row(f"[cyan]{escape(prompt.id)}[/]", escape(prompt.text), escape(tags))
    return table


def _metrics(profile_name: str, split: str) -> Table:
    table = _table("metric", "in tables", "unit", "better", "undefined")
    for column in COLUMNS.values():
        table.add_row(f"[cyan]{column.name}[/]", escape(column.display), escape(column.unit),
                      "higher" if column.higher_is_better else "lower", escape(column.undefined))
    return table


def _profiles(profile_name: str, split: str) -> Table:
    table = _table("profile", "what it is", "backbone", "video", "default grid")
    for name in list_profiles():
        profile = load_profile(name)
        sampling, grid = profile.sampling, profile.grid
        table.add_row(f"[cyan]{name}[/]", escape(profile.summary), escape(str(profile.backbone["kind"])),
                      f"{sampling.frames} frames of {sampling.width}x{sampling.height} at {sampling.fps:g} a second",
                      f"{grid.identities} identities x {grid.prompts} prompts x {len(grid.seeds)} seeds")
    return table


_TABLES: dict[str, Callable[[str, str], Table]] = {
    "methods": _methods, "identities": _identities, "prompts": _prompts, "metrics": _metrics, "profiles": _profiles,
}
