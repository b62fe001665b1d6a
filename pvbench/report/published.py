"""What was published: the paper's tables, and statements of several papers about the order of methods."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal, get_args

Expected = Literal["safe", "likely", "doubtful", "open"]
"""How sure we were of a statement before it was tested."""


@dataclass(frozen=True)
class PublishedRow:
    """One row of a published table; values as printed there, times 100 where the paper prints them so."""

    name: str
    values: Mapping[str, float]
    method: str = ""
    """The plug-in that stands for this method here; empty where there is none."""


@dataclass(frozen=True)
class PublishedTable:
    """A published table, where it is from and what a reader must know before comparing."""

    title: str
    source: str
    columns: tuple[str, ...]
    caveats: tuple[str, ...]
    rows: tuple[PublishedRow, ...]
    direction: str = ""
    """What the paper's text says the table shows."""


@dataclass(frozen=True)
class Statement:
    """What papers say about two methods, and how sure we were of it before it was tested.

    Attributes:
        column: the number that is compared.
        better, worse: names of methods.
        holds, of: how many of the papers that have both rows say so.
        because: why it was expected or doubted.
    """

    column: str
    better: str
    worse: str
    holds: int
    of: int
    expected: Expected
    because: str


@cache
def published_table() -> PublishedTable:
    """Table 1 of the paper."""
    content = _read("table1.toml")
    return PublishedTable(
        title=content["title"],
        source=f"{content['source']}; {content['grid']}; {content['backbone']}",
        columns=tuple(content["columns"]),
        caveats=tuple(content["caveats"]),
        rows=_rows(content["row"]),
    )


@cache
def published_ablations() -> tuple[PublishedTable, ...]:
    """The paper's ablations; their directions are published, their numbers secondary (see `source`)."""
    content = _read("ablations.toml")
    return tuple(
        PublishedTable(
            title=ablation["title"],
            source=content["source"],
            columns=tuple(content["columns"]),
            caveats=tuple(content["caveats"]),
            rows=_rows(ablation["row"]),
            direction=ablation["direction"],
        )
        for ablation in content["ablation"]
    )


@cache
def published_statements() -> tuple[Statement, ...]:
    """What several papers say about the order of methods, with our expectations.

    Raises:
        ValueError: an expectation is none of `Expected`.
    """
    lines = _read("expectations.toml")["statement"]
    for line in lines:
        if line["expected"] not in get_args(Expected):
            raise ValueError(f"{line} expects {line['expected']!r}; expected one of {', '.join(get_args(Expected))}")
    return tuple(Statement(**line) for line in lines)


def statements_source() -> str:
    """Whose tables the statements were read from."""
    return str(_read("expectations.toml")["source"])


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads(files("pvbench.paper").joinpath(name).read_text(encoding="utf-8"))


def _rows(rows: list[dict[str, Any]]) -> tuple[PublishedRow, ...]:
    return tuple(PublishedRow(row["name"], row["values"], row.get("method", "")) for row in rows)
