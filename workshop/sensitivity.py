"""How much each metric moves when a video is spoilt in a known way: the mini metrics on rendered videos, truth known.

python -m workshop.sensitivity --out docs/sensitivity.png
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from pvbench.evaluator import Evaluators, FeaturePlan, Features
from pvbench.identity import load_identities
from pvbench.metrics import load_metrics, score
from pvbench.metrics.fvd import Fvd
from pvbench.profile import load_profile
from pvbench.prompt import load_prompts
from pvbench.video import Video
from pvbench.weights import verified, weights_folder

COLUMNS = (
    "face_sim",
    "dynamic_degree",
    "flow_magnitude",
    "fvd",
    "temporal_consistency",
    "clip_t",
    "clip_i",
    "clip_i_face",
)

Frames = UInt8[np.ndarray, "frames height width 3"]


@dataclass(frozen=True)
class Change:
    """One way of spoiling a video; `expected` are the columns that it must move: -1 down, 1 up."""

    name: str
    expected: Mapping[str, int]
    frames: Callable[[Frames, np.random.Generator], Frames] | None = None
    person: int = 0
    """The video of so many people further on, scored as if it showed this one."""
    prompt: int = 0
    """The video of so many prompts further on, scored with this one's text."""


def freeze(frames: Frames, rng: np.random.Generator) -> Frames:
    """The first frame throughout."""
    return np.repeat(frames[:1], len(frames), axis=0)


def shuffle(frames: Frames, rng: np.random.Generator) -> Frames:
    """The frames in another order."""
    return frames[rng.permutation(len(frames))]


def blur(frames: Frames, rng: np.random.Generator) -> Frames:
    """A Gaussian of 1.5 pixels."""
    import cv2

    return np.stack([np.asarray(cv2.GaussianBlur(np.ascontiguousarray(frame), (0, 0), 1.5)) for frame in frames])


CHANGES = (
    Change("frozen", {"dynamic_degree": -1, "flow_magnitude": -1, "fvd": 1, "temporal_consistency": 1}, freeze),
    Change("another person", {"face_sim": -1, "clip_i": -1}, person=1),
    Change("another prompt", {"clip_t": -1}, prompt=5),
    Change("shuffled", {"temporal_consistency": -1, "fvd": 1}, shuffle),
    Change("blurred", {"fvd": 1}, blur),
)


@dataclass(frozen=True)
class Effect:
    """What one change does to one column.

    Attributes:
        size: mean difference over its standard deviation over videos (Cohen's d of pairs); NaN for FVD, a set's number,
            and for a column that does not vary.
    """

    change: str
    column: str
    before: float
    after: float
    size: float


def sensitivity(people: int = 4, prompts: int = 10, seed: int = 0) -> list[Effect]:
    """The effects of `CHANGES` on the rendered videos of the first so many people and prompts."""
    from pvbench.world.benchmark import read_archive

    profile = load_profile("mini")
    evaluators = Evaluators(FeaturePlan(profile), "cpu")
    metrics = load_metrics(profile.evaluators.get("metrics", {}))
    texts = load_prompts(profile.prompts.evaluation).prompts
    folder = verified(weights_folder(profile.evaluators["weights"]), "oracle")
    sampling = profile.sampling
    who = load_identities()[:people]
    films = [list(read_archive(folder / f"{one.name}.mkv", sampling.frames, sampling.fps)) for one in who]
    references = [evaluators.all("reference", one.references()) for one in who]
    asked = {
        (i, j): evaluators.all("text", texts[j].render(who[i].class_noun))
        for i in range(people)
        for j in range(prompts)
    }
    rng = np.random.default_rng(seed)

    @cache
    def as_rendered(i: int, j: int) -> Features:
        return evaluators.all("video", Video(films[i][j].frames, sampling.fps))

    def measured(change: Change | None) -> tuple[dict[str, np.ndarray], np.ndarray]:
        rows, embeddings = [], []
        for i in range(people):
            for j in range(prompts):
                other_i = (i + (change.person if change else 0)) % people
                other_j = (j + (change.prompt if change else 0)) % prompts
                own: Features
                if change is not None and change.frames is not None:
                    made = np.ascontiguousarray(change.frames(films[other_i][other_j].frames, rng))
                    own = evaluators.all("video", Video(made, sampling.fps))
                else:
                    own = as_rendered(other_i, other_j)
                rows.append(score({**own, **references[i], **asked[i, j]}, metrics))
                embeddings.append(own["video/embedding"])
        return {name: np.array([row[name] for row in rows]) for name in rows[0]}, np.stack(embeddings)

    plain, truth = measured(None)
    effects = []
    for change in CHANGES:
        spoilt, embeddings = measured(change)
        for column in COLUMNS:
            if column == "fvd":
                distance = Fvd().distance(embeddings.astype(np.float64), truth.astype(np.float64)).value
                effects.append(Effect(change.name, column, 0.0, distance, math.nan))
                continue
            difference = spoilt[column] - plain[column]
            spread = float(difference.std(ddof=1))
            size = float(difference.mean()) / spread if spread > 0 else math.nan
            effects.append(Effect(change.name, column, float(plain[column].mean()), float(spoilt[column].mean()), size))
    return effects


def table(effects: Sequence[Effect]) -> str:
    """The effects as a Markdown table: before -> after, and the size of the effect."""
    lines = [f"| | {' | '.join(COLUMNS)} |", f"|---|{'---:|' * len(COLUMNS)}"]
    by_change: dict[str, dict[str, Effect]] = {}
    for effect in effects:
        by_change.setdefault(effect.change, {})[effect.column] = effect
    for change, row in by_change.items():
        cells = [
            f"{e.before:.3g} → {e.after:.3g}" + ("" if math.isnan(e.size) else f" ({e.size:+.1f})")
            for e in (row[column] for column in COLUMNS)
        ]
        lines.append(f"| {change} | {' | '.join(cells)} |")
    return "\n".join(lines)


def draw(effects: Sequence[Effect], path: Path) -> None:
    """A picture of the effects' sizes, change by change."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    columns = [column for column in COLUMNS if column != "fvd"]
    figure, axes = plt.subplots(1, len(CHANGES), figsize=(15, 3.6), sharey=True, layout="constrained")
    for axis, change in zip(axes, CHANGES, strict=True):
        own = {effect.column: effect for effect in effects if effect.change == change.name}
        sizes = [0.0 if math.isnan(own[column].size) else own[column].size for column in columns]
        colours = ["#c0392b" if column in change.expected else "#b8c0c8" for column in columns]
        axis.barh(range(len(columns)), sizes, color=colours)
        axis.set_yticks(range(len(columns)), columns)
        axis.invert_yaxis()
        axis.axvline(0, color="black", linewidth=0.8)
        axis.set_title(f"{change.name}\nFVD {own['fvd'].after:.0f}", fontsize=11)
        axis.spines[["top", "right"]].set_visible(False)
    figure.supxlabel("effect size: mean difference / its standard deviation over videos; red is what must move")
    figure.savefig(path, dpi=80)
    plt.close(figure)


def main() -> None:
    """Prints the table and draws the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=8)
    parser.add_argument("--prompts", type=int, default=16)
    parser.add_argument("--out", type=Path, default=Path("sensitivity.png"))
    asked = parser.parse_args()
    effects = sensitivity(asked.people, asked.prompts)
    print(table(effects))
    draw(effects, asked.out)


if __name__ == "__main__":
    main()
