"""The report of a run: written when what it is made from has changed, left alone otherwise."""

from __future__ import annotations

import dataclasses
import gzip
import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from pvbench.atomic import write_bytes, write_text
from pvbench.digest import file_digest
from pvbench.errors import ReportError
from pvbench.freshness import freshness
from pvbench.identity import SPLITS, split_root
from pvbench.runner.plan import Cell
from pvbench.runner.result import RunResult
from pvbench.runner.survey import reference_surveys


def report_run(result: RunResult, *, anew: bool = False) -> tuple[Path, Mapping[Cell, str]]:
    """The folder with the run's report, and the cells whose features were refused.

    Nothing is written where the report of the same cells is there already, unless `anew`.

    Raises:
        ReportError: for a run from which no report can be made.
        StoreError: for a folder that cannot be written or a full disk.
    """
    folder = result.store.report_folder
    written = result.store.folder / ".report.json"
    key = freshness(_inputs(result))
    if not anew:
        earlier = _earlier(written, key, folder)
        if earlier is not None:
            return folder, earlier
    # What draws a report takes a second to import, which a run with nothing to do can save.
    from pvbench.report import write_report
    from pvbench.runner.costs import write_costs
    from pvbench.runner.scoring import score_run

    scored = score_run(result)
    # A report half replaced by the next must not pass for either of them.
    written.unlink(missing_ok=True)
    paths = write_report(folder, scored.data)
    tuned = {variant.label: variant.tuned.label for variant in result.plan.variants}
    write_costs(result.store.folder, result.store.read_log(), tuned)
    refused = [[*dataclasses.astuple(cell), message] for cell, message in scored.refused.items()]
    write_text(
        written,
        json.dumps(
            {
                "key": key,
                "files": sorted(str(path.relative_to(folder)) for path in paths),
                "refused": refused,
            },
            indent=1,
        )
        + "\n",
    )
    return folder, scored.refused


def keep_report(result: RunResult, folder: Path) -> Path:
    """The folder, holding a copy of the run's report in place of an earlier one: what is published.

    The gallery, whose videos are many, stays with the run, and the scores are packed; what judges said comes along.

    Raises:
        ReportError: for a run of the people for development, on whom settings are chosen; one with cells missing; or a
            folder that holds something else than a report.
    """
    from pvbench.report.gallery.page import CLIPS, PAGE
    from pvbench.report.written import PACKED

    plan, folder = result.plan, folder.resolve()
    shipped = split_root(SPLITS[1]).resolve()
    if plan.choice.split != SPLITS[0] or any(i.folder.resolve().is_relative_to(shipped) for i in plan.identities):
        raise ReportError(
            f"{result.store.folder} holds a run of people or prompts for development, on which settings are chosen: "
            f"its report is not kept; run without --split, on the people that are scored"
        )
    missing = len(plan.cells) - len(result.survey.measured)
    if missing:
        raise ReportError(
            f"{result.store.folder} lacks {missing} of {len(plan.cells)} cells; `{plan.choice.command}` makes them, "
            f"then its report can be kept"
        )
    written, refused = report_run(result)
    if refused:
        raise ReportError(f"{len(refused)} cells of {result.store.folder} have no numbers; see its report")
    judged = result.store.judged_file
    names = {path.name for path in written.iterdir()} | {PACKED, judged.name}
    if folder.exists() and not (folder.is_dir() and names >= {path.name for path in folder.iterdir()}):
        raise ReportError(f"{folder} holds something else than a report; name an empty folder or a kept report's")
    beside = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(beside, ignore_errors=True)
    shutil.copytree(written, beside, ignore=shutil.ignore_patterns(PAGE, CLIPS, "scores.csv"))
    # Without the time of day, so that the same scores are the same bytes.
    write_bytes(beside / PACKED, gzip.compress((written / "scores.csv").read_bytes(), mtime=0))
    if judged.is_file():
        shutil.copy(judged, beside / judged.name)
    shutil.rmtree(folder, ignore_errors=True)
    beside.replace(folder)
    return folder


def _inputs(result: RunResult) -> dict[str, object]:
    """Everything that a report is made from, but for the code that writes it and the machine."""
    plan = result.plan
    return {
        "plan": plan.summary(),
        "cells": {
            plan.video_key(cell): made for cell, made in result.survey.made.items() if cell in result.survey.measured
        },
        "failures": {plan.video_key(cell): failure.message for cell, failure in result.failures.items()},
        "references": {
            name: {plan_.video_key(cell): survey.made[cell] for cell in survey.measured}
            for name, (plan_, survey) in reference_surveys(plan, result.store).items()
        },
        "metrics": plan.profile.evaluators.get("metrics", {}),
        "judged": file_digest(judged) if (judged := result.store.judged_file).is_file() else "",
    }


def _earlier(written: Path, key: str, folder: Path) -> dict[Cell, str] | None:
    try:
        content = json.loads(written.read_text())
        same = content["key"] == key and all((folder / name).is_file() for name in content["files"])
        refused = {Cell(*cell): message for *cell, message in content["refused"]}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return refused if same else None
