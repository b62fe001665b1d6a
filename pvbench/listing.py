"""What `pvbench list` shows: methods, identities, prompts, metrics, profiles, studies, and installed parts."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import suppress
from typing import Any, get_args, get_type_hints

from rich import box
from rich.markup import escape
from rich.table import Table

from pvbench.ablation.study import shipped_studies
from pvbench.backbone import BACKBONES
from pvbench.errors import PvbenchError
from pvbench.evaluator import EVALUATORS
from pvbench.identity import SPLITS, load_identities, split_root
from pvbench.method import METHODS
from pvbench.metrics import METRICS, PAPER, SETS, metric_class
from pvbench.profile import list_profiles, load_profile
from pvbench.prompt import load_prompts
from pvbench.reward import REWARDS
from pvbench.runner.selection import scored_prompts
from pvbench.variant import missing, parse_variant


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
    profile = load_profile(profile_name)
    for name in METHODS.names():
        try:
            cls = METHODS.get(name)
        except PvbenchError as error:
            table.add_row(*_broken(name, error), "", "")
            continue
        # What is wrong with the profile is for `doctor` to say.
        lacking: list[str] = []
        with suppress(PvbenchError):
            lacking = missing(parse_variant(name), profile)
        note = f" [dim](asks for {', '.join(lacking)})[/]" if lacking else ""
        table.add_row(
            f"[cyan]{escape(name)}[/]",
            escape(cls.summary) + note,
            "yes" if cls.tunes else "no",
            escape("\n".join(_settings(cls.Settings))),
        )
    return table


def _broken(name: str, error: PvbenchError) -> tuple[str, str]:
    """The first two columns of an installed part that cannot be used."""
    return f"[red]{escape(name)}[/]", escape(str(error))


def _backbones(profile_name: str, split: str) -> Table:
    table = _table("backbone", "what it is", "offers")
    for name in BACKBONES.names():
        try:
            loader = BACKBONES.get(name)
        except PvbenchError as error:
            table.add_row(*_broken(name, error), "")
            continue
        offers = escape(", ".join(sorted(loader.offers)))
        table.add_row(f"[cyan]{escape(name)}[/]", escape(loader.summary), offers)
    return table


def _rewards(profile_name: str, split: str) -> Table:
    table = _table("reward", "what it is", "role")
    for name in REWARDS.names():
        try:
            loader = REWARDS.get(name)
        except PvbenchError as error:
            table.add_row(*_broken(name, error), "")
            continue
        table.add_row(f"[cyan]{escape(name)}[/]", escape(loader.summary), loader.role)
    return table


def _evaluators(profile_name: str, split: str) -> Table:
    table = _table("evaluator", "what it is", "part", "features")
    for name in EVALUATORS.names():
        try:
            loader = EVALUATORS.get(name)
        except PvbenchError as error:
            table.add_row(*_broken(name, error), "", "")
            continue
        made = ", ".join(feature for group in loader.groups for feature in group.features)
        table.add_row(f"[cyan]{escape(name)}[/]", escape(loader.summary), loader.part, escape(made))
    return table


def _settings(settings: type[Any]) -> list[str]:
    types = get_type_hints(settings)
    lines = []
    for field, value in zip(dataclasses.fields(settings), dataclasses.astuple(settings()), strict=True):
        shown = {True: "on", False: "off"}.get(value, value) if isinstance(value, bool) else value
        choices = "".join(
            f" | {choice}" for choice in get_args(types[field.name]) if isinstance(choice, str) and choice != value
        )
        lines.append(f"{field.name}={shown}{choices}")
    return lines


def _identities(profile_name: str, split: str) -> Table:
    table = _table("identity", "class noun", "images", "description", "licence")
    for identity in load_identities(None, split_root(split)):
        table.add_row(
            f"[cyan]{escape(identity.name)}[/]",
            identity.class_noun,
            str(len(identity.images)),
            escape(identity.description),
            escape(identity.licence),
        )
    return table


def _prompts(profile_name: str, split: str) -> Table:
    prompts = load_prompts(scored_prompts(load_profile(profile_name), split))
    table = _table("prompt", "text", "asks for")
    for prompt in prompts.prompts:
        tags = ", ".join(f"{name}: {value}" for name, value in prompt.tags.items())
        table.add_row(f"[cyan]{escape(prompt.id)}[/]", escape(prompt.text), escape(tags))
    return table


def _metrics(profile_name: str, split: str) -> Table:
    table = _table("metric", "its numbers", "unit", "better", "what cheats it")
    for name in METRICS.names():
        try:
            metric = metric_class(name)
        except PvbenchError as error:
            table.add_row(*_broken(name, error), "", "", "")
            continue
        asked = "" if name in PAPER else "\n[dim](only where named)[/]"
        columns = metric.columns
        table.add_row(
            f"[cyan]{escape(name)}[/]",
            escape("\n".join(column.name for column in columns)) + asked,
            escape("\n".join(column.unit for column in columns)),
            "\n".join("higher" if column.higher_is_better else "lower" for column in columns),
            escape(metric.trap),
        )
    several = [f"{name}: {', '.join(metrics)}" for name, metrics in SETS.items()]
    table.caption = escape("Names for several, of published protocols:\n" + "\n".join(several))
    table.caption_justify = "left"
    return table


def _profiles(profile_name: str, split: str) -> Table:
    table = _table("profile", "what it is", "backbone", "video", "default grid")
    for name in list_profiles():
        profile = load_profile(name)
        sampling, grid = profile.sampling, profile.grid
        table.add_row(
            f"[cyan]{name}[/]",
            escape(profile.summary),
            escape(str(profile.backbone["kind"])),
            f"{sampling.frames} frames of {sampling.width}x{sampling.height} at {sampling.fps:g} a second",
            f"{grid.identities} identities x {grid.prompts} prompts x {len(grid.seeds)} seeds",
        )
    return table


def _studies(profile_name: str, split: str) -> Table:
    table = _table("study", "what it asks", "rows", "claims", "people")
    for study in shipped_studies().values():
        table.add_row(
            f"[cyan]{escape(study.name)}[/]",
            escape(study.question),
            escape("\n".join(f"{name}: {text}" for name, text in study.rows.items())),
            str(len(study.claims)),
            str(study.people),
        )
    return table


_TABLES: dict[str, Callable[[str, str], Table]] = {
    "methods": _methods,
    "identities": _identities,
    "prompts": _prompts,
    "metrics": _metrics,
    "profiles": _profiles,
    "backbones": _backbones,
    "rewards": _rewards,
    "evaluators": _evaluators,
    "studies": _studies,
}
