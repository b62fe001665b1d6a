"""Scoring videos that were made elsewhere."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich import box
from rich.table import Table

from pvbench.atomic import write_text
from pvbench.errors import PromptError, VideoError
from pvbench.identity import Identity, list_identities
from pvbench.metrics import COLUMNS, load_metrics, score
from pvbench.profile import Profile, load_profile
from pvbench.prompt import PERSON, Prompt, load_prompts
from pvbench.runner import parts
from pvbench.runner.device import resolve_device
from pvbench.runner.plan import select_identities, select_prompts
from pvbench.video import read_video

_SUFFIXES = (".mkv", ".mp4", ".webm", ".mov", ".avi", ".gif")
# What `pvbench run` names its videos: prompt, seed, part of the key.
_NAME = re.compile(r"(?P<prompt>.+?)(?:-s(?P<seed>\d+))?(?:-[0-9a-f]{12})?")


@dataclass(frozen=True)
class MeasuredVideo:
    """The scores of one video file, by column."""

    path: Path
    identity: str
    prompt: str
    seed: int
    scores: Mapping[str, float]


def measure_folder(folder: Path, *, profile_name: str, identity: str | None, prompt: str | None,
                   device: str) -> list[MeasuredVideo]:
    """The scores of every video below `folder`, in the order of their paths.

    A video shows `identity`, or the one that its folder is named after, and was made from `prompt` (an id, or a text
    with `<V>`), or the one whose id its file is named after.

    Raises:
        VideoError: for a folder without videos, or a video that cannot be read.
        IdentityError, PromptError: for names that are none.
        FaceError: for a reference image without a face or with more than one.
    """
    videos = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES and path.is_file())
    if not videos:
        raise VideoError(f"no videos in {folder}; expected files ending in {', '.join(_SUFFIXES)}")
    profile = load_profile(profile_name)
    metrics = load_metrics(profile.evaluators.get("metrics", {}))
    shown = [(path, *_what_it_shows(path, folder, profile, identity, prompt)) for path in videos]
    extractors = parts.load_extractors(profile, resolve_device(device))
    references: dict[str, Mapping[str, np.ndarray]] = {}
    texts: dict[str, Mapping[str, np.ndarray]] = {}
    rows = []
    for path, person, asked, seed in shown:
        text = asked.render(person.class_noun)
        if person.name not in references:
            references[person.name] = extractors.references(person.references())
        if text not in texts:
            texts[text] = extractors.text(text)
        features = {**extractors.video(read_video(path)), **references[person.name], **texts[text]}
        rows.append(MeasuredVideo(path, person.name, asked.id, seed, score(features, metrics)))
    return rows


def write_scores(path: Path, rows: Sequence[MeasuredVideo]) -> None:
    """`path` holds one line for each video and column, as a run's scores.csv; an undefined score is empty."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["video", "identity", "prompt", "seed", "metric", "value"])
    for row in rows:
        for name, value in row.scores.items():
            table.writerow([str(row.path), row.identity, row.prompt, row.seed, name,
                            "" if math.isnan(value) else repr(value)])
    write_text(path, text.getvalue())


def scores_table(rows: Sequence[MeasuredVideo]) -> Table:
    """The mean of each column over the videos where it is defined, by identity and over all."""
    names = list(rows[0].scores)
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("identity")
    table.add_column("videos", justify="right")
    for name in names:
        table.add_column(COLUMNS[name].header, justify="right")
    people = sorted({row.identity for row in rows})
    groups = [(person, [row for row in rows if row.identity == person]) for person in people]
    for label, group in [*groups, ("all", list(rows))]:
        means = [_mean([row.scores[name] for row in group]) for name in names]
        table.add_row(label, str(len(group)), *(COLUMNS[name].text(mean) for name, mean in zip(names, means,
                                                                                               strict=True)),
                      end_section=label == people[-1])
    return table


def _mean(values: Sequence[float]) -> float:
    defined = [value for value in values if not math.isnan(value)]
    return sum(defined) / len(defined) if defined else math.nan


def _what_it_shows(path: Path, folder: Path, profile: Profile, identity: str | None,
                   prompt: str | None) -> tuple[Identity, Prompt, int]:
    matched = _NAME.fullmatch(path.stem)
    assert matched is not None
    name = identity or path.parent.name
    if identity is None and "/" not in name and name not in list_identities():
        raise VideoError(f"{path}: its folder {name!r} is no identity; sort the videos into folders named after "
                         f"identities, or say who they show with --identity")
    (person,) = select_identities(f"{name},")
    seed = int(matched["seed"] or 0)
    if prompt is not None and PERSON in prompt:
        return person, Prompt("given", prompt), seed
    asked = prompt or matched["prompt"]
    prompts = load_prompts(profile.prompts.evaluation)
    try:
        (chosen,) = select_prompts(f"{asked},", prompts)
    except PromptError as error:
        if prompt is not None:
            raise
        raise VideoError(f"{path}: its name does not begin with the id of a prompt of {prompts.name!r}; name it "
                         f"PROMPT-s0{path.suffix}, or say what it shows with --prompt") from error
    return person, chosen, seed
