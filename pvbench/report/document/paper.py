"""The paper's published numbers, Table 1 and the ablations, and ours beside them."""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from pvbench.metrics import COLUMNS
from pvbench.report.data import ReportData
from pvbench.report.document.block import Block, Bullets, Entry, Paragraph, Table
from pvbench.report.statistics.score import Aggregates


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


def published_blocks(data: ReportData, numbers: Aggregates) -> Iterable[Block]:
    """Ours beside Table 1, then the paper's ablations."""
    yield paper_table(data, numbers)
    ablations = published_ablations()
    yield Paragraph(f"The paper's ablations. {ablations[0].source}.")
    for ablation in ablations:
        yield ablation_table(ablation)
    yield Bullets(ablations[0].caveats)


def paper_table(data: ReportData, numbers: Aggregates) -> Table:
    """Our numbers beside the paper's Table 1."""
    published = published_table()
    ours = {variant.method: variant for variant in reversed(data.variants)}
    rows = []
    for row in published.rows:
        variant = ours.get(row.method)
        scores = numbers.scores[variant.label] if variant else {}
        rows.append(
            (
                Entry(row.name),
                *(
                    entry
                    for name in published.columns
                    for entry in (
                        Entry(COLUMNS[name].text(scores[name].value) if name in scores else "–"),
                        Entry(_printed(name, row.values)),
                    )
                ),
            )
        )
    return Table(
        name="published",
        caption=f"Ours beside {published.title}",
        header=("Method", *(head for name in published.columns for head in (COLUMNS[name].header, "paper"))),
        rows=tuple(rows),
        notes=(
            f"Source: {published.source}.",
            "Compare the order of the methods, not the levels: other model, other people, other networks.",
            *published.caveats,
        ),
    )


def ablation_table(published: PublishedTable) -> Table:
    """One of the paper's ablations: what its text says, and secondary numbers."""
    return Table(
        name=f"ablation-{published.title.lower().replace(' ', '-').replace(',', '')}",
        caption=f"Published ablation: {published.title}",
        header=("Row", *(f"{COLUMNS[name].header} (secondary)" for name in published.columns)),
        rows=tuple(
            (Entry(row.name), *(Entry(_printed(name, row.values)) for name in published.columns))
            for row in published.rows
        ),
        notes=(f"The paper's text: {published.direction}",),
    )


def _printed(name: str, values: Mapping[str, float]) -> str:
    return format(values[name], COLUMNS[name].fmt) if name in values else "–"


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads(files("pvbench.paper").joinpath(name).read_text(encoding="utf-8"))


def _rows(rows: list[dict[str, Any]]) -> tuple[PublishedRow, ...]:
    return tuple(PublishedRow(row["name"], row["values"], row.get("method", "")) for row in rows)
