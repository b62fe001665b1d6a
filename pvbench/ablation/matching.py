"""Rows with as many steps as take the seconds of another row's tuning, from what the run's log measured."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from pvbench.ablation.study import EqualSeconds, Study
from pvbench.atomic import write_text
from pvbench.errors import StudyError
from pvbench.profile import Profile
from pvbench.store import Store
from pvbench.variant import Variant, parse_variant, settings_of

FILE = "equal_seconds.json"
"""In the run's folder: the steps that were chosen, so that a run that goes on takes the same."""


def tuning_seconds(log: Iterable[Mapping[str, Any]], label: str) -> float:
    """Mean seconds of a variant's tunings without what they share with others, such as learned words.

    Raises:
        StudyError: the log has no tuning of the variant.
    """
    found = [
        entry["seconds"] - entry.get("shared_seconds", 0.0)
        for entry in log
        if entry.get("stage") == "tune" and entry.get("variant") == label
    ]
    if not found:
        raise StudyError(
            f"the run's log has no tuning of {label!r}, so that its seconds are not known; run the study in a new "
            "folder (--out)"
        )
    return float(sum(found)) / len(found)


def matched_rows(study: Study, store: Store, profile: Profile) -> dict[str, str]:
    """The rows that are run again, name -> method with settings, after the rows that they are matched to were tuned.

    Raises:
        StudyError: the log does not say how long a row's tuning took, or a method has no setting `steps`.
    """
    path = store.folder / FILE
    chosen: dict[str, int] = json.loads(path.read_text()) if path.is_file() else {}
    rows = {}
    for name, again in study.equal_seconds.items():
        variant = parse_variant(study.rows[again.row])
        key = f"{variant.label} as long as {parse_variant(study.rows[again.to]).label}"
        if key not in chosen:
            chosen[key] = _steps(study, again, variant, store, profile)
            write_text(path, json.dumps(chosen, indent=1) + "\n")
        overrides = {**variant.overrides, "steps": str(chosen[key])}
        rows[name] = f"{variant.method}[{','.join(f'{key}={value}' for key, value in overrides.items())}]"
    return rows


def _steps(study: Study, again: EqualSeconds, variant: Variant, store: Store, profile: Profile) -> int:
    settings = settings_of(variant, profile)
    if not hasattr(settings, "steps"):
        raise StudyError(f"study {study.name}: {variant.method} has no setting steps, so that it takes what it takes")
    log = store.read_log()
    longer = tuning_seconds(log, parse_variant(study.rows[again.to]).tuned.label)
    return max(1, round(int(settings.steps) * longer / tuning_seconds(log, variant.tuned.label)))
