"""A study in tables: each row against the complete one, the claims with verdicts, the paper's figures."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pvbench.ablation.study import Claim, Study
from pvbench.ablation.verdict import Difference, Tested, differences, judge_claims
from pvbench.metrics import COLUMNS, columns_in
from pvbench.report.data import ReportData
from pvbench.report.document.block import Block, Document, Entry, Paragraph, Section, Table
from pvbench.report.document.paper import ablation_table
from pvbench.report.statistics.aggregate import aggregate
from pvbench.report.statistics.comparison import FEWEST_PEOPLE
from pvbench.report.statistics.score import SIGNIFICANT, Score
from pvbench.stats import Interval


@dataclass(frozen=True)
class StudyResult:
    """A study that was run.

    Attributes:
        labels: name of a row -> label of its variant, those matched by seconds included.
        scores: variant label -> column -> score.
        seconds: variant label -> mean seconds of a tuning, without what tunings share; NaN where nothing is tuned.
    """

    study: Study
    data: ReportData
    labels: Mapping[str, str]
    scores: Mapping[str, Mapping[str, Score]]
    seconds: Mapping[str, float]

    @classmethod
    def of(cls, study: Study, data: ReportData, labels: Mapping[str, str], seconds: Mapping[str, float]) -> StudyResult:
        """What the scores of a study's run come to."""
        return cls(study, data, labels, aggregate(data).scores, seconds)

    @property
    def columns(self) -> tuple[str, ...]:
        """The numbers of single videos that its tables show: the paper's, and those beside them."""
        asked = [*columns_in("main", self.data.metrics), *columns_in("beside", self.data.metrics)]
        return tuple(name for name in asked if name in self.data.video_columns)

    @property
    def failed(self) -> int:
        """How many planned videos of its rows have no numbers."""
        rows = [variant.label for variant in self.data.variants]
        return sum(len(self.data.planned(row)) - len(self.data.done(row)) for row in rows)

    @property
    def people(self) -> int:
        """How many it rests on."""
        return len(self.data.people)

    def differences(self) -> tuple[Difference, ...]:
        """Every row against the complete one."""
        return differences(self.data, self.labels[self.study.complete], self.columns)

    def claims(self) -> tuple[Tested, ...]:
        """The claims about numbers that were measured."""
        claims = [claim for claim in self.study.claims if claim.column in self.data.video_columns]
        return judge_claims(
            self.data, [(claim, self.labels[claim.first], self.labels[claim.second]) for claim in claims]
        )


def document(results: Sequence[StudyResult]) -> Document:
    """All studies, one after the other."""
    sections = tuple(Section(result.study.question, tuple(_blocks(result))) for result in results)
    return Document("pvbench ablations", sections, (Paragraph(_lead(results)),))


def _lead(results: Sequence[StudyResult]) -> str:
    exploratory = [result.study.name for result in results if result.people < FEWEST_PEOPLE]
    names = "studies" if len(results) > 1 else "study"
    text = f"{len(results)} {names}: {', '.join(result.study.name for result in results)}."
    if exploratory:
        text += (
            f" With fewer than {FEWEST_PEOPLE} people nothing is called reproduced or contradicted; exploratory: "
            f"{', '.join(exploratory)}."
        )
    return text


def _blocks(result: StudyResult) -> Iterable[Block]:
    study, data = result.study, result.data
    yield Paragraph(
        f"{len(data.people)} people x {len(data.prompts)} prompts x {len(data.seeds)} seeds, profile {data.profile}."
        + (f" {study.caution}" if study.caution else "")
        + (f" Videos that failed and are left out: {result.failed}." if result.failed else "")
    )
    yield rows_table(result)
    if result.claims():
        yield claims_table(result)
    if study.table:
        yield ablation_table(study.table)


def rows_table(result: StudyResult) -> Table:
    """Each row's numbers with intervals, and below its difference to the complete row where that is significant."""
    found = {(one.first, one.column): one for one in result.differences()}
    names: dict[str, list[str]] = {}
    for name, label in result.labels.items():
        # Matched steps may be those of another row: one row of numbers with both names.
        names.setdefault(label, []).append(name)
    rows = tuple(
        (
            Entry(" = ".join(names.get(variant.label, [variant.label]))),
            *(_number(result, variant.label, column, found) for column in result.columns),
            Entry(_seconds(result.seconds.get(variant.label, math.nan))),
        )
        for variant in _ordered(result)
    )
    settings = [f"{name}: `{label}`" for name, label in result.labels.items()]
    return Table(
        name=f"{result.study.name}-rows",
        caption=f"{result.study.question} Mean over all videos",
        header=("Row", *(COLUMNS[column].header for column in result.columns), "Tuning, s"),
        rows=rows,
        rules=(1,),
        notes=(
            f"Small print: the difference to the row {result.study.complete!r} with its 95 % interval over people and "
            f"prompts; * where it is significant (two-sided sign flips over people, Holm within the column, p below "
            f"{SIGNIFICANT:g}).",
            "Tuning: mean seconds a person on this machine, without the words that all rows learn once.",
            *settings,
        ),
    )


def _ordered(result: StudyResult) -> list[Any]:
    """The complete row first, the others as the study has them, floor and ceiling last."""
    order = {label: place for place, label in reversed(list(enumerate(result.labels.values())))}
    complete = result.labels[result.study.complete]
    return sorted(result.data.variants, key=lambda one: (one.label != complete, order.get(one.label, len(order))))


def _number(result: StudyResult, label: str, column: str, found: Mapping[tuple[str, str], Difference]) -> Entry:
    text = COLUMNS[column].text(result.scores[label][column].value)
    one = found.get((label, column))
    if one is None:
        return Entry(text)
    star = "*" if one.significant else ""
    return Entry(text + star, below=f"{_signed(column, one.mean)} {_range(column, one.interval)}")


def claims_table(result: StudyResult) -> Table:
    """What was claimed, what we find, and a verdict."""
    rows = []
    for one in result.claims():
        column, claim = COLUMNS[one.claim.column], one.claim
        rows.append(
            (
                Entry(f"{column.display}: {claim_words(claim)}"),
                Entry("the paper" if claim.published else "ours"),
                Entry("–", "") if one.difference is None else _found(claim, one.difference),
                Entry("–" if math.isnan(one.p) else f"{one.p:.3g}"),
                Entry(one.verdict),
            )
        )
    return Table(
        name=f"{result.study.name}-claims",
        caption=f"{result.study.question} What was claimed, and what holds here",
        header=("Claim", "Whose", "First - second", "p (Holm)", "Verdict"),
        rows=tuple(rows),
        notes=(
            "p: one-sided sign flips over people for a direction; two one-sided t tests for equality. Contradicted: "
            "the other direction, or a difference beyond the margin, is as significant. Undecided: neither, or the "
            f"interval over people and prompts contains zero, or fewer than {FEWEST_PEOPLE} people.",
        ),
    )


def claim_words(claim: Claim) -> str:
    """Such as `T2V > T2I`, or `SCR = no SCR (within 2.00)`."""
    column = COLUMNS[claim.column]
    if claim.equal:
        return f"{claim.first} = {claim.second} (within {column.text(claim.margin)})"
    return f"{claim.first} {'>' if column.higher_is_better else '<'} {claim.second}"


def _found(claim: Claim, one: Difference) -> Entry:
    return Entry(_signed(claim.column, one.mean), below=_range(claim.column, one.interval))


def _signed(column: str, value: float) -> str:
    text = COLUMNS[column].text(value)
    return text if value < 0 else f"+{text}"


def _range(column: str, interval: Interval) -> str:
    shown = COLUMNS[column]
    return "" if math.isnan(interval.low) else f"[{shown.text(interval.low)}, {shown.text(interval.high)}]"


def _seconds(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.0f}"


def in_words(results: Sequence[StudyResult]) -> dict[str, Any]:
    """The studies for programs; numbers in natural units, NaN as None."""
    return {"format": 1, "studies": {result.study.name: _study(result) for result in results}}


def _study(result: StudyResult) -> dict[str, Any]:
    data = result.data
    return {
        "question": result.study.question,
        "complete": result.study.complete,
        "grid": {
            "profile": data.profile,
            "identities": [identity.name for identity in data.identities],
            "prompts": [prompt.id for prompt in data.prompts],
            "seeds": list(data.seeds),
        },
        "rows": {
            name: {
                "label": label,
                "tuning_seconds": _plain(result.seconds.get(label, math.nan)),
                "scores": {
                    column: {"value": _plain(score.value), "interval": _ends(score.interval), "n": score.n}
                    for column in result.columns
                    if (score := result.scores[label][column])
                },
            }
            for name, label in result.labels.items()
        },
        "differences": [
            {
                "metric": one.column,
                "first": one.first,
                "second": one.second,
                "difference": one.mean,
                "interval": _ends(one.interval),
                "p": one.p,
                "p_holm": one.p_holm,
                "significant": one.significant,
                "identities": one.people,
                "n": one.cells,
            }
            for one in result.differences()
        ],
        "claims": [
            {
                "metric": one.claim.column,
                "claim": claim_words(one.claim),
                "published": one.claim.published,
                "difference": None if one.difference is None else one.difference.mean,
                "interval": None if one.difference is None else _ends(one.difference.interval),
                "p_holm": _plain(one.p),
                "verdict": one.verdict,
            }
            for one in result.claims()
        ],
        "evaluators": {part: dict(made_by) for part, made_by in data.evaluators.items()},
        "versions": dict(data.versions),
        "machine": dict(data.machine),
    }


def _plain(value: float) -> float | None:
    return None if math.isnan(value) else value


def _ends(interval: Interval | None) -> list[float | None] | None:
    return None if interval is None else [_plain(interval.low), _plain(interval.high)]
