"""Judgements of people, or of others who look: which of two rows' videos of one cell is more like the person."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path

from pvbench.atomic import write_text
from pvbench.errors import ReportError
from pvbench.report.data import CellKey, Judgement

FIELDS = ("judge", "identity", "prompt", "seed", "a", "b", "answer")


def read_judgements(path: Path) -> tuple[Judgement, ...]:
    """The judgements of a CSV file; none where there is no file.

    Raises:
        ReportError: a line lacks a field, or has an answer that is none.
    """
    if not path.is_file():
        return ()
    found = []
    with path.open(newline="", encoding="utf-8") as file:
        for number, row in enumerate(csv.DictReader(file), start=2):
            lacks = [name for name in FIELDS if not row.get(name)]
            answer = (row.get("answer") or "").strip().lower()
            if lacks or answer not in ("a", "b", "tie") or not row["seed"].isdecimal():
                raise ReportError(
                    f"{path} line {number}: lacks {', '.join(lacks) or 'nothing'}, answer is {answer!r} and seed "
                    f"{row.get('seed')!r}; expected {', '.join(FIELDS)}, an answer of a, b or tie, and a whole number"
                )
            cell = CellKey(row["identity"], row["prompt"], int(row["seed"]))
            found.append(Judgement(row["judge"], cell, row["a"], row["b"], answer))  # type: ignore[arg-type]
    return tuple(found)


def write_judgements(path: Path, judgements: Iterable[Judgement]) -> None:
    """The file that `read_judgements` reads.

    Raises:
        StoreError: it cannot be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(FIELDS)
    for one in judgements:
        writer.writerow((one.judge, *one.cell, one.a, one.b, one.answer))
    write_text(path, text.getvalue())
