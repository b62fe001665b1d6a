"""Training data of the miniature world: rendered shards, made in parallel, resumable, the same from the same seed."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pvbench.errors import PvbenchError
from pvbench.features.mini.segmenter_network import PARTS
from pvbench.world.action import FACE_ACTIONS
from pvbench.world.person import Look, Person
from pvbench.world.shot import Shot
from pvbench.world.vocabulary import CLOTHES, COLOURS, FPS, FRAMES, LABELS, POOLS, SCENES, SIZE, STYLES

if TYPE_CHECKING:
    from pvbench.world.figure import Figure
    from pvbench.world.render import Rendering
    from pvbench.world.scene import Scene

DOMAINS = ("photo", "video")
# A sample is seeded by its kind's place: new kinds come last.
KINDS = (*DOMAINS, "portrait", "double", *STYLES)
SHARD = {"photo": 512, "video": 128, "portrait": 128, "double": 128, **dict.fromkeys(STYLES, 512)}
DOUBLES = 4
"""Samples of a group of doubles: a person, the person with another look, a stranger with the person's look and skin,
and the person with the stranger's skin."""
_BACKDROPS = 16  # of every scene, for portraits, whose tight crops hardly show them


@dataclass(frozen=True)
class Shard:
    """One file of samples: photos, videos, or portraits, which are moments of unrelated photos and videos of a person.

    A kind that names a style, such as `cartoon`, is of photos drawn in it.

    Doubles are portraits of people who are easily taken for each other, `DOUBLES` of them a group.

    Attributes:
        frames: uint8 (n, T, H, W, 3); T is 1 for photos.
        landmarks: float32 (n, T, 5, 2) pixels.
        yaw: float32 (n, T) degrees.
        person: int32 (n,), numbers within the pool; of doubles, each sample is somebody else.
        labels: int8 (n, len(LABELS)); of portraits those of the first frame.
        traits: float32 (n, D), `person.traits`.
        parts: uint8 (n, T, H, W), what fills most of each pixel: one of `PARTS` by its place.
    """

    frames: NDArray[np.uint8]
    landmarks: NDArray[np.float32]
    yaw: NDArray[np.float32]
    person: NDArray[np.int32]
    labels: NDArray[np.int8]
    traits: NDArray[np.float32]
    parts: NDArray[np.uint8]

    def label(self, name: str) -> NDArray[np.int8]:
        """(n,) numbers into `LABELS[name]`."""
        return self.labels[:, list(LABELS).index(name)]


def shard_path(root: Path, pool: str, kind: str, number: int) -> Path:
    """Where shard `number` lies."""
    return root / f"{kind}-{pool}-{number:04d}.npz"


def random_labels(rng: np.random.Generator) -> dict[str, str]:
    """What one sample shows, drawn evenly over actions, scenes, clothes and colours."""
    action = str(rng.choice(LABELS["action"]))
    expression = "neutral"
    if action not in FACE_ACTIONS and rng.random() < 0.75:
        expression = str(rng.choice(LABELS["expression"]))
    colour = str(rng.choice(COLOURS))
    cap = str(rng.choice([c for c in COLOURS if c != colour])) if rng.random() < 0.12 else ""
    return {
        "action": action,
        "expression": expression,
        "scene": str(rng.choice(SCENES)),
        "clothes": str(rng.choice(CLOTHES)),
        "colour": colour,
        "cap": cap,
    }


@cache
def _backdrop(name: str, number: int) -> Scene:
    from pvbench.world.scene import paint_scene

    return paint_scene(name, np.random.default_rng([SCENES.index(name), number]))


def _portraits(figure: Figure, person: Person, first: dict[str, str], rng: np.random.Generator) -> Rendering:
    """`FRAMES` moments of a dressed person, each out of another action, scene and light, photo or video.

    Clothes and cap are those of `first`. What costs most, building the body and painting scenes, is done once: a
    frame takes a third of a photo's time.
    """
    from pvbench.world.body import Outfit, build
    from pvbench.world.render import Rendering, render

    worn = {name: first[name] for name in ("clothes", "colour", "cap")}
    body = build(figure, person, Outfit(worn["clothes"], worn["colour"], worn["cap"]))
    shown = [first] + [random_labels(rng) | worn for _ in range(FRAMES - 1)]
    moments = []
    for shot in shown:
        scene = _backdrop(shot["scene"], int(rng.integers(_BACKDROPS)))
        domain = str(rng.choice(["photo", "video"], p=[0.4, 0.6]))
        moments.append(
            render(
                figure, person, Shot(**shot), rng, domain=domain, frames=FRAMES, fps=FPS, size=SIZE, body=body,
                scene=scene, single=True,
            )
        )  # fmt: skip
    fields = Rendering.__dataclass_fields__
    return Rendering(*(np.concatenate([getattr(moment, field) for moment in moments]) for field in fields))


def render_shard(root: Path, pool: str, kind: str, number: int, per_person: int) -> Path:
    """Renders one shard unless it is there; every second sample of a person wears another look."""
    path = shard_path(root, pool, kind, number)
    if path.exists():
        return path
    from pvbench.world.figure import load_figure
    from pvbench.world.person import traits
    from pvbench.world.render import render

    figure = load_figure()
    sliders = figure.face_sliders()
    count = SHARD[kind]
    frames, marks, yaws, people, labels, who_is, parts = [], [], [], [], [], [], []
    for i in range(count):
        index = number * count + i
        rng = np.random.default_rng([POOLS.index(pool), KINDS.index(kind), index])
        who, person = _who(pool, kind, index, per_person, sliders, rng)
        shown = random_labels(rng)
        if kind in ("portrait", "double"):
            found = _portraits(figure, person, shown, rng)
        else:
            found = render(
                figure, person, Shot(**shown), rng, domain=kind, frames=FRAMES, fps=FPS, size=SIZE,
                single=kind in STYLES,
            )  # fmt: skip
        named = shown | {
            "class_noun": person.class_noun,
            "age_group": person.age_group,
            "hair": person.look.hair,
            "hair_colour": person.look.hair_colour,
            "beard": person.look.beard,
            "glasses": person.look.glasses,
        }
        frames.append(found.frames)
        marks.append(found.landmarks)
        yaws.append(found.yaw)
        people.append(who)
        labels.append([LABELS[name].index(named[name]) for name in LABELS])
        who_is.append(traits(person))
        parts.append(parts_of(found))
    root.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}.tmp.npz")
    np.savez_compressed(
        temporary,
        frames=np.stack(frames),
        landmarks=np.stack(marks),
        yaw=np.stack(yaws),
        person=np.array(people, np.int32),
        labels=np.array(labels, np.int8),
        traits=np.stack(who_is),
        parts=np.stack(parts),
    )
    temporary.replace(path)
    return path


def _who(
    pool: str, kind: str, index: int, per_person: int, sliders: list[str], rng: np.random.Generator
) -> tuple[int, Person]:
    """Number and person of a sample."""
    from pvbench.world.person import double, pool_person, restyle

    if kind == "double":
        group, which = divmod(index, DOUBLES)
        return index, double(pool, group, which, sliders)
    who, which = divmod(index, per_person)
    person = pool_person(pool, who, sliders)
    return who, restyle(person, rng) if which % 2 else person


def parts_of(found: Rendering) -> NDArray[np.uint8]:
    """What fills most of each pixel (T, H, W), by its place in `PARTS`."""
    shares = {"background": 1 - found.person, "body": found.person - found.head, "head": found.head}
    most: NDArray[np.uint8] = np.stack([shares[part] for part in PARTS]).argmax(axis=0).astype(np.uint8)
    return most


def _job(job: tuple[Path, str, str, int, int]) -> Path:
    return render_shard(*job)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Processes started inside the block compute with one thread: BLAS' own threads would fight over the cores."""
    kept = {name: os.environ.get(name) for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    os.environ.update(dict.fromkeys(kept, "1"))
    try:
        yield
    finally:
        for name, value in kept.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def render_dataset(
    root: Path, pool: str, kind: str, samples: int, per_person: int, workers: int, first: int = 0
) -> Iterator[Path]:
    """Yields the shards' paths as they are made (or found); samples are rounded up to whole shards."""
    if pool not in POOLS or kind not in KINDS:
        raise PvbenchError(f"no pool {pool!r} of kind {kind!r}; pools: {', '.join(POOLS)}; kinds: {', '.join(KINDS)}")
    shards = -(-samples // SHARD[kind])
    jobs = [(root, pool, kind, number, per_person) for number in range(first, first + shards)]
    if workers <= 1:
        yield from map(_job, jobs)
        return
    with _one_thread_each(), multiprocessing.get_context("spawn").Pool(workers) as processes:
        yield from processes.imap_unordered(_job, jobs)


def load_shard(path: Path) -> Shard:
    """One shard from its file."""
    with np.load(path) as found:
        missing = [name for name in Shard.__dataclass_fields__ if name not in found.files]
        if missing:
            raise PvbenchError(f"{path} lacks {', '.join(missing)}: an older version made it; delete it to render anew")
        return Shard(*(found[name] for name in Shard.__dataclass_fields__))


def shards(root: Path, pool: str, kind: str, wanted: int | None = None) -> Iterator[Shard]:
    """The first `wanted` shards of a pool, one by one; by default as many as are there without a gap.

    Raises:
        PvbenchError: fewer shards are there than wanted, or none.
    """
    number = 0
    while number != wanted and (path := shard_path(root, pool, kind, number)).exists():
        yield load_shard(path)
        number += 1
    if number < (wanted or 1):
        raise PvbenchError(
            f"{root} holds {number} shards {kind}-{pool}; {wanted or 'at least 1'} are needed; make them with: "
            f"python -m workshop dataset --pool {pool} --kind {kind} --samples {(wanted or 1) * SHARD[kind]}"
        )


def load(root: Path, pool: str, kind: str, samples: int | None = None) -> Shard:
    """The first `samples` samples of a pool (all that are there by default) as one shard.

    Raises:
        PvbenchError: fewer shards are there than asked for.
    """
    wanted = None if samples is None else -(-samples // SHARD[kind])
    found = list(shards(root, pool, kind, wanted))
    joined = Shard(*(np.concatenate([getattr(s, field) for s in found]) for field in Shard.__dataclass_fields__))
    if samples is None:
        return joined
    return Shard(*(getattr(joined, field)[:samples] for field in Shard.__dataclass_fields__))


def look_of(labels: NDArray[np.int8]) -> Look:
    """The look that one row of `labels` names."""
    value = {name: LABELS[name][int(labels[i])] for i, name in enumerate(LABELS)}
    return Look(value["hair"], value["hair_colour"], value["beard"], value["glasses"], 0)
