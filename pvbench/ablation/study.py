"""Studies: rows to be run, and claims about them; out of reports/paper/studies.toml or a file of a user's own."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from pvbench.errors import StudyError, did_you_mean
from pvbench.metrics import COLUMNS
from pvbench.report.published import PublishedTable, published_ablations
from pvbench.toml import only_fields, read_toml
from pvbench.variant import parse_variant


@dataclass(frozen=True)
class Claim:
    """What is said of two rows of a study.

    Attributes:
        column: the number that is compared.
        first, second: names of rows; the first is the better one, unless they are `equal`.
        margin: below which two rows are equal, in the column's natural unit; 0 for a claim of a direction.
        published: whether the paper makes it; otherwise it is ours.
    """

    column: str
    first: str
    second: str
    margin: float = 0.0
    published: bool = False

    @property
    def equal(self) -> bool:
        """Whether it says that the rows do not differ."""
        return self.margin > 0


@dataclass(frozen=True)
class EqualSeconds:
    """A row that is run again with as many steps as take the seconds of another one's tuning."""

    row: str
    to: str


@dataclass(frozen=True)
class Study:
    """Rows, one of which is complete and the others of which lack or change something, and claims about them.

    Attributes:
        rows: name -> method with settings, as the command line takes it.
        people: how many it is run on where nothing is asked for.
        published: title of the paper's table of it; empty without one.
    """

    name: str
    question: str
    rows: Mapping[str, str]
    complete: str
    people: int
    claims: tuple[Claim, ...] = ()
    equal_seconds: Mapping[str, EqualSeconds] = field(default_factory=dict)
    published: str = ""
    caution: str = ""

    @property
    def table(self) -> PublishedTable | None:
        """The paper's table of it."""
        return next((one for one in published_ablations() if one.title == self.published), None)


@cache
def shipped_studies() -> Mapping[str, Study]:
    """The studies of reports/paper/studies.toml by name."""
    path = files("pvbench.paper").joinpath("studies.toml")
    return _studies(tomllib.loads(path.read_text(encoding="utf-8")), "reports/paper/studies.toml")


def select_studies(names: Sequence[str]) -> tuple[Study, ...]:
    """The studies that are named, each once; all that ship with pvbench where none is.

    Args:
        names: of studies, or paths of TOML files with studies of one's own, all of which are taken.

    Raises:
        StudyError: an unknown name, a file that holds no study, or a study that makes no sense.
    """
    known = shipped_studies()
    chosen: dict[str, Study] = {} if names else dict(known)
    for name in names:
        if name.endswith(".toml"):
            found = _studies(read_toml(Path(name), StudyError), name)
        elif name in known:
            found = {name: known[name]}
        else:
            raise StudyError(
                f"unknown study {name!r}{did_you_mean(name, known)}; there are {', '.join(known)}; "
                "give the path of a .toml file for studies of your own"
            )
        for own in found.values():
            if chosen.setdefault(own.name, own) != own:
                raise StudyError(f"{name}: two studies are named {own.name!r}; give yours another name")
    return tuple(chosen.values())


_FIELDS = ("name", "question", "rows", "complete", "people", "claim", "equal_seconds", "published", "caution")


def _studies(content: Mapping[str, Any], where: str) -> dict[str, Study]:
    tables = content.get("study")
    if not isinstance(tables, list) or not tables:
        raise StudyError(f"{where} holds no study; expected [[study]] with name, question, complete and rows")
    found = [_study(table, where) for table in tables]
    return {study.name: study for study in found}


def _study(table: Mapping[str, Any], where: str) -> Study:
    name = table.get("name")
    where = f"{where}, study {name!r}"
    only_fields(table, _FIELDS, where, StudyError)
    rows = table.get("rows")
    if not isinstance(name, str) or not name.isidentifier():
        raise StudyError(f"{where}: expected a name of letters, digits and _")
    if not isinstance(rows, dict) or len(rows) < 2 or not all(isinstance(text, str) for text in rows.values()):
        raise StudyError(f"{where}: rows is {rows!r}; expected two or more names with a method, as in --methods")
    for text in rows.values():
        parse_variant(text)
    again = {row: _again(row, one, rows, where) for row, one in table.get("equal_seconds", {}).items()}
    names = [*rows, *again]
    complete = _row(table.get("complete"), names, f"{where}, complete")
    claims = tuple(_claim(one, names, where) for one in table.get("claim", []))
    people = table.get("people", 10)
    if type(people) is not int or people < 1:
        raise StudyError(f"{where}: people is {people!r}; expected how many, at least 1")
    texts = {key: str(table.get(key, "")) for key in ("question", "published", "caution")}
    study = Study(name, rows=rows, complete=complete, people=people, claims=claims, equal_seconds=again, **texts)
    if study.published and study.table is None:
        raise StudyError(f"{where}: the paper has no ablation {study.published!r}")
    return study


def _row(name: object, names: Sequence[str], where: str) -> str:
    if not isinstance(name, str) or name not in names:
        near = did_you_mean(name, names) if isinstance(name, str) else ""
        raise StudyError(f"{where}: there is no row {name!r}{near}; rows: {', '.join(names)}")
    return name


def _again(row: str, one: object, rows: Mapping[str, str], where: str) -> EqualSeconds:
    if not isinstance(one, dict) or set(one) != {"row", "to"}:
        raise StudyError(f"{where}, equal_seconds {row!r}: expected {{ row = NAME, to = NAME }}, not {one!r}")
    return EqualSeconds(*(_row(one[key], list(rows), f"{where}, equal_seconds {row!r}") for key in ("row", "to")))


def _claim(one: Mapping[str, Any], names: Sequence[str], where: str) -> Claim:
    where = f"{where}, claim"
    column = one.get("column")
    if column not in COLUMNS:
        raise StudyError(f"{where}: no number {column!r}{did_you_mean(str(column), list(COLUMNS))}")
    direction, equal = {"column", "higher", "lower"}, {"column", "equal", "margin"}
    keys = set(one) - {"published"}
    if keys == direction:
        # The better row comes first, whichever way the number counts.
        better = ("higher", "lower") if COLUMNS[str(column)].higher_is_better else ("lower", "higher")
        pair, margin = [one[name] for name in better], 0.0
    elif keys == equal and isinstance(one["equal"], list) and len(one["equal"]) == 2 and one["margin"] > 0:
        pair, margin = one["equal"], float(one["margin"])
    else:
        raise StudyError(f"{where} about {column}: expected higher and lower, or equal = [NAME, NAME] and a margin > 0")
    first, second = (_row(name, names, f"{where} about {column}") for name in pair)
    return Claim(str(column), first, second, margin, bool(one.get("published", False)))
