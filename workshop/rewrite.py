"""Writes the texts of a kept report again from its own numbers, after what writes them has changed.

    python -m workshop.rewrite reports/mini

Means, intervals, tests and judgements follow anew from scores.csv.gz and judged.csv. Numbers of sets of videos, such as
FVD, need the videos' embeddings, which are not kept: they and their tests are those of aggregates.json. Pictures stay
as they are. Nothing is measured, so that evaluators of other versions are refused.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import shlex
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pvbench.atomic import write_text
from pvbench.errors import ReportError
from pvbench.metrics import Signature, load_set_metrics
from pvbench.report.data import CellKey, ReportData
from pvbench.report.document.block import Figure
from pvbench.report.document.contents import contents
from pvbench.report.formats.files import aggregates_json
from pvbench.report.formats.latex import latex
from pvbench.report.formats.markdown import markdown
from pvbench.report.judged import read_judgements
from pvbench.report.pictures.filmstrip import chosen_cells, shown_text
from pvbench.report.statistics.aggregate import aggregate, with_places
from pvbench.report.statistics.score import Aggregates, Comparison, ReferenceFloor, Score
from pvbench.report.write import FILMSTRIPS
from pvbench.report.written import WrittenReport, read_report
from pvbench.runner.plan import Choice, Plan, make_plan
from pvbench.runner.result import collect
from pvbench.runner.scoring import score_run
from pvbench.stats import Interval
from pvbench.store import Store


def rewrite(folder: Path) -> tuple[Path, ...]:
    """Writes report.md, report.tex and aggregates.json of a kept report again.

    Raises:
        ReportError: it is damaged, or evaluators have changed since.
    """
    written = read_report(folder)
    data = report_data(written)
    of_videos = aggregate(data)
    _check_evaluators(of_videos, written)
    numbers = with_sets(of_videos, data, written)
    document = contents(data, numbers, _figures(folder, data))
    texts = {
        "report.md": markdown(document),
        "report.tex": latex(document),
        "aggregates.json": aggregates_json(data, numbers),
    }
    for name, text in texts.items():
        write_text(folder / name, text)
    return tuple(folder / name for name in texts)


def report_data(written: WrittenReport) -> ReportData:
    """What the report was made from, as far as it was kept."""
    plan = make_plan(_choice(written.content["command"]))
    with tempfile.TemporaryDirectory() as nothing:
        bare = score_run(collect(plan, Store(Path(nothing)))).data
    scores: dict[str, dict[CellKey, dict[str, float]]] = {variant.label: {} for variant in bare.variants}
    for (label, column), values in _all_values(written, plan).items():
        for cell, value in values.items():
            scores[label].setdefault(cell, {})[column] = value
    return dataclasses.replace(
        bare,
        scores=scores,
        failures={},
        # Where each lay in the run: what filmstrips are chosen by.
        videos={label: dict.fromkeys(of_one, Path("kept")) for label, of_one in scores.items()},
        judged=read_judgements(written.folder / "judged.csv"),
        versions=written.content["versions"],
        machine=written.content["machine"],
    )


def _all_values(written: WrittenReport, plan: Plan) -> Mapping[tuple[str, str], dict[CellKey, float]]:
    """The values by row and number; NaN for videos of which a number is undefined."""
    found = {key: dict(values) for key, values in written.values.items()}
    first = plan.variants[0].label
    cells = [CellKey(cell.identity, cell.prompt, cell.seed) for cell in plan.cells if cell.variant == first]
    for values in found.values():
        for cell in cells:
            values.setdefault(cell, math.nan)
    return found


def _choice(command: str) -> Choice:
    """The choice that a command names, which has no options but those of a choice."""
    words = shlex.split(command)[2:]
    options: dict[str, Any] = dict(zip(words[::2], words[1::2], strict=True))
    return Choice(**{name.removeprefix("--").replace("-", "_"): value for name, value in options.items()})


def _check_evaluators(numbers: Aggregates, written: WrittenReport) -> None:
    for label, row in written.methods.items():
        for name, score in row["scores"].items():
            ours = numbers.scores[label].get(name)
            if ours is not None and ours.n and ours.signature.short != score["signature"]:
                raise ReportError(
                    f"{written.folder}: {name} was measured as {score['signature']}, and would be as "
                    f"{ours.signature.short}: measure the run again and keep its report"
                )


def with_sets(numbers: Aggregates, data: ReportData, written: WrittenReport) -> Aggregates:
    """The numbers with those of sets of videos as they were written."""
    sets = {column.name for metric in load_set_metrics(data.metrics) for column in metric.columns}
    scores = {label: dict(of_one) for label, of_one in numbers.scores.items()}
    for label, of_one in scores.items():
        rows = written.methods[label]["scores"]
        of_one.update({name: _score(row) for name, row in rows.items() if name in sets})
    tests = [_comparison(test) for test in written.content["comparisons"] if test["metric"] in sets]
    floors = {
        name: ReferenceFloor(floor["value"], floor["n"], floor["width"], floor["retake"] or "")
        for name, floor in written.content["fvd_floors"].items()
    }
    found = dataclasses.replace(
        numbers, scores=scores, comparisons=(*numbers.comparisons, *tests), floors=floors, best={}
    )
    return with_places(data, found)


def _score(row: Mapping[str, Any]) -> Score:
    long = dict(row["signature_long"])
    made_by, metric, version = (long.pop(name) for name in ("evaluators", "metric", "version"))
    value = math.nan if row["value"] is None else row["value"]
    return Score(
        value=value, n=row["n"], planned=row["planned"], identities=row["identities"],
        signature=Signature(metric, version, long, made_by), interval=_interval(row["interval"]),
        bootstrap=_interval(row["bootstrap"]), by_identity=row["by_identity"], terms=row["terms"],
        note=row["note"] or "",
    )  # fmt: skip


def _comparison(row: Mapping[str, Any]) -> Comparison:
    interval = _interval(row["interval"])
    assert interval is not None
    return Comparison(
        column=row["metric"], family=row["question"], first=row["first"], second=row["second"],
        difference=row["difference"], interval=interval, p=row["p"], p_holm=row["p_holm"], cells=row["n"],
        identities=row["identities"], test=row["test"], effect=_number(row["effect"]),
        detectable=_number(row["detectable"]), outlying=tuple(row["outlying"]),
    )  # fmt: skip


def _interval(row: Mapping[str, Any] | None) -> Interval | None:
    return None if row is None else Interval(_number(row["low"]), _number(row["high"]), row["level"], row["kind"])


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _figures(folder: Path, data: ReportData) -> list[Figure]:
    """The filmstrips that are there, under the captions that they had."""
    people, prompts = ({one.name: one for one in data.identities}, {one.id: one for one in data.prompts})
    found = []
    for number, cell in enumerate(chosen_cells(data, FILMSTRIPS), start=1):
        name = f"{number}-{cell.identity}-{cell.prompt}-s{cell.seed}.jpg"
        if not (folder / "filmstrips" / name).is_file():
            raise ReportError(f"{folder}: no filmstrip {name}; keep the report of the run again")
        text = shown_text(prompts[cell.prompt], people[cell.identity])
        caption = f"{cell.identity}: “{text}” (prompt {cell.prompt}, seed {cell.seed})"
        found.append(Figure(f"filmstrips/{name}", caption))
    return found


def main() -> None:
    """Rewrites the kept report that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    for path in rewrite(parser.parse_args().folder):
        print(path)


if __name__ == "__main__":
    main()
