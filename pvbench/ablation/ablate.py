"""Ablations from Python: what `pvbench ablate` does, in one call."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from pvbench.ablation.document import StudyResult, document, in_words
from pvbench.ablation.matching import matched_rows, tuning_seconds
from pvbench.ablation.study import Study, select_studies
from pvbench.atomic import write_text
from pvbench.errors import StudyError
from pvbench.identity import list_identities, split_root
from pvbench.report.formats.latex import latex
from pvbench.report.formats.markdown import markdown
from pvbench.runner.observer import Observer, Silent
from pvbench.runner.place import run_at
from pvbench.runner.plan import Choice, Plan, make_plan
from pvbench.runner.result import RunResult
from pvbench.runner.scoring import score_run
from pvbench.store import Store
from pvbench.variant import parse_variant

FLOOR = "base"
"""The untuned model stands in every table."""


def ablate(
    out: Path,
    studies: Sequence[str] = (),
    choice: Choice | None = None,
    *,
    device: str = "auto",
    workers: int | None = None,
    observer: Observer | None = None,
    executor: Literal["local", "ray"] = "local",
    address: str | None = None,
) -> tuple[StudyResult, ...]:
    """Runs studies in one folder, in which cells that studies share are made once, and writes their tables.

    Stopped at any moment and called again, it goes on where it was. `out/ablation` then holds ablation.md, ablation.tex
    and ablation.json.

    Args:
        studies: names, or paths of TOML files; all that ship with pvbench by default.
        choice: profile, people, prompts, seeds, split and metrics; its methods are not looked at. Without identities
            each study takes as many people as it says.
        executor: where workers are: processes on this machine, or what Ray places on a cluster.
        address: the cluster's, for Ray alone; by default RAY_ADDRESS, else Ray is started for each study.

    Raises:
        PvbenchError: an input cannot be used, or every further cell would fail too.
    """
    chosen, store = select_studies(studies), Store(out)
    choice = choice or Choice()
    # All of them are planned before the first is run: what is wrong with the last shows at once.
    choices = {study.name: _choice(study, choice) for study in chosen}
    for study in chosen:
        make_plan(choices[study.name])
    results, seen = [], observer or Silent()

    def run(plan: Plan) -> RunResult:
        return run_at(executor, address, plan, store, seen, device, workers)

    for study in chosen:
        results.append(_run(study, choices[study.name], store, run))
        write_ablation(store.folder / "ablation", results)
    return tuple(results)


def _choice(study: Study, choice: Choice) -> Choice:
    there = len(list_identities(split_root(choice.split)))
    people = str(min(study.people, there)) if choice.identities is None else choice.identities
    return replace(choice, methods=",".join([FLOOR, *study.rows.values()]), identities=people)


def _run(study: Study, choice: Choice, store: Store, run: Callable[[Plan], RunResult]) -> StudyResult:
    rows = dict(study.rows)
    plan = make_plan(choice)
    result = run(plan)
    if study.equal_seconds:
        rows |= matched_rows(study, store, plan.profile)
        plan = make_plan(replace(choice, methods=",".join([FLOOR, *rows.values()])))
        result = run(plan)
    scored = score_run(result)
    if not any(scored.data.scores.values()):
        raise StudyError(f"study {study.name}: no video could be made; see {store.folder / 'failures'}")
    labels = {name: parse_variant(text).label for name, text in rows.items()}
    return StudyResult.of(study, scored.data, labels, _seconds(plan, store))


def _seconds(plan: Plan, store: Store) -> Mapping[str, float]:
    log = store.read_log()
    known = {entry.get("variant") for entry in log if entry.get("stage") == "tune"}
    return {
        variant.label: tuning_seconds(log, variant.tuned.label) if variant.tuned.label in known else math.nan
        for variant in plan.variants
    }


def write_ablation(folder: Path, results: Sequence[StudyResult]) -> tuple[Path, ...]:
    """The tables of studies as Markdown, LaTeX and JSON.

    Raises:
        StoreError: the folder cannot be written, or the disk is full.
    """
    made, content = document(results), in_words(results)
    paths = tuple(folder / f"ablation.{ending}" for ending in ("md", "tex", "json"))
    texts = (markdown(made), latex(made), json.dumps(content, indent=1, allow_nan=False, default=str) + "\n")
    for path, text in zip(paths, texts, strict=True):
        write_text(path, text)
    return paths
