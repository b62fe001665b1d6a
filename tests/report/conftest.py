"""A run that never was: drawn people, drawn videos and made-up scores, for the report's tests."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from pvbench.method import Role
from pvbench.report import CellKey, ReportData, ReportIdentity, ReportPrompt, ReportVariant
from pvbench.video import Video, write_video

# Face Sim., flow (px at 256), CLIP-T, CLIP-I, distance of the video embedding from the rendered ones.
MADE_UP = {
    "base": (0.09, 6.1, 0.287, 0.62, 0.8),
    "dreambooth_lora": (0.38, 3.4, 0.262, 0.71, 1.4),
    "personalvideo": (0.57, 5.7, 0.284, 0.69, 0.9),
    "personalvideo[scr=off]": (0.58, 4.2, 0.271, 0.70, 1.1),
    "still_photo": (0.9, 0.0, 0.27, 0.9, 2.0),
    "magicme": (0.3, 3.0, 0.28, 0.66, 1.2),
    "id_animator": (0.35, 4.0, 0.25, 0.6, 2.0),
    "consisid": (0.5, 5.0, 0.26, 0.7, 1.8),
    "retake": (0.86, 5.9, 0.291, 0.74, 0.2),
    "oracle": (0.86, 5.9, 0.291, 0.74, 0.0),
}
NAMES = ("ada", "boris", "chen", "dalia", "emeka", "freya", "goran", "hana", "ines", "jonas", "kofi", "lena")
TEXTS = (
    "A <V> with a blue jacket turns <his> head to the left on a snowy mountain",
    "A <V> in a red turtleneck smiles in a kitchen",
    "A <V> waves a hand on a stage at night, wearing a green T-shirt",
    "A <V> with a yellow cap nods in the forest",
    "A <V> walks towards the camera on the beach, laughing, in a white T-shirt",
    "A <V> in a black jacket looks up at the ceiling of an office",
    "A <V> talks in front of a window of a space station",
    "A <V> raises <his> brows in the desert, in an orange T-shirt",
)
ROLES: dict[str, Role] = {"base": "floor", "oracle": "ceiling", "still_photo": "control", "retake": "retake"}
EVALUATORS: dict[str, dict[str, object]] = {
    "face": {"name": "score-face", "weights": "ab" * 32, "crop": 48},
    "clip": {"name": "score-clip", "weights": "cd" * 32},
    "flow": {"name": "dis", "preset": "medium"},
    "video": {"name": "c3d", "weights": "ef" * 32, "frames": 8},
}


def drawn_face(person: int, side: int, shift: float = 0.0, likeness: float = 1.0) -> np.ndarray:
    """A cartoon head; `likeness` moves its colours from grey towards the person's own."""
    rng = np.random.default_rng(person)
    own = rng.integers(60, 220, size=(3, 3))
    skin, hair, shirt = (tuple(int(v) for v in 128 + likeness * (colour - 128)) for colour in own)
    image = Image.new("RGB", (side, side), (150, 180, 210))
    draw = ImageDraw.Draw(image)
    x, unit = side * (0.5 + shift), side / 64
    draw.rectangle((x - 26 * unit, side - 14 * unit, x + 26 * unit, side), fill=shirt)
    draw.ellipse((x - 18 * unit, 8 * unit, x + 18 * unit, 40 * unit), fill=hair)
    draw.ellipse((x - 14 * unit, 14 * unit, x + 14 * unit, 54 * unit), fill=skin)
    for eye in (-6, 6):
        draw.ellipse((x + (eye - 2) * unit, 30 * unit, x + (eye + 2) * unit, 34 * unit), fill=(20, 20, 20))
    draw.arc((x - 6 * unit, 38 * unit, x + 6 * unit, 47 * unit), 20, 160, fill=(120, 30, 30), width=max(1, int(unit)))
    return np.asarray(image)


def made_up_scores(label: str, person: int, rng: np.random.Generator) -> dict[str, float]:
    face, flow, clip_t, clip_i, _ = MADE_UP[label]
    # The people's own ease or difficulty is shared by all methods, as it is in truth.
    ease = 0.05 * np.sin(person * 1.7)
    found = 1.0 if rng.uniform() < 0.9 else 0.875
    face = float(np.clip(face + ease + 0.04 * rng.normal(), -1, 1))
    moved = float(max(0.0, flow * (1 + 0.35 * rng.normal())))
    return {
        "face_sim": face * found,
        "face_sim_detected": face,
        "face_detected": found,
        "dynamic_degree": float(moved > 4),
        "flow_magnitude": moved,
        "temporal_consistency": float(0.995 - 0.002 * moved / 5 + 0.001 * rng.normal()),
        "clip_t": float(clip_t + 0.01 * rng.normal()),
        "clip_i": float(clip_i + ease / 2 + 0.02 * rng.normal()),
        "clip_i_face": float(clip_i + ease + 0.08 + 0.02 * rng.normal()),
    }


@pytest.fixture(scope="session")
def make_run(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., ReportData]:
    """Makes a run of so many people and prompts, some cells failed, with or without pictures."""

    def make(
        people: int = 8,
        prompts: int = 4,
        labels: tuple[str, ...] = ("base", "dreambooth_lora", "personalvideo", "oracle"),
        failed: tuple[tuple[str, str, str], ...] = (),
        pictures: bool = False,
        side: int = 64,
    ) -> ReportData:
        folder = tmp_path_factory.mktemp("run")
        names, ids = NAMES[:people], tuple(f"p{index + 1:02d}" for index in range(prompts))
        data = ReportData(
            profile="mini",
            variants=tuple(
                ReportVariant(
                    label,
                    label.partition("[")[0],
                    f"made-up scores of {label}",
                    {"steps": 45},
                    ROLES.get(label, "method"),
                )
                for label in labels
            ),
            identities=tuple(
                ReportIdentity(name, "woman" if index % 2 == 0 else "man") for index, name in enumerate(names)
            ),
            prompts=tuple(ReportPrompt(name, TEXTS[index % len(TEXTS)]) for index, name in enumerate(ids)),
            seeds=(0,),
            scores={},
            evaluators=EVALUATORS,
            frames=8,
            fps=8.0,
            size=(side, side),
            command="pvbench run --methods all --identities 8 --prompts 4",
            versions={"pvbench": "0.1.0", "torch": "2.13.0"},
            machine={"processor": "2 cores of a made-up processor"},
        )
        scores, embeddings, videos, failures = {}, {}, {}, {}
        for order, label in enumerate(labels):
            scores[label], embeddings[label], videos[label], failures[label] = {}, {}, {}, {}
            for number, cell in enumerate(data.cells):
                person = names.index(cell.identity)
                if (label, cell.identity, cell.prompt) in failed:
                    failures[label][cell] = "GenerationError: the sampler gave NaN at step 7"
                    continue
                rng = np.random.default_rng(1000 * order + number)
                scores[label][cell] = made_up_scores(label, person, rng)
                embedding = np.random.default_rng(number).normal(size=24)
                away = MADE_UP[label][4]
                embeddings[label][cell] = (embedding + away * (0.5 + rng.normal(size=24))).astype(np.float32)
                if pictures:
                    videos[label][cell] = folder / f"{order}-{number}.mkv"
                    write_video(videos[label][cell], drawn_video(label, person, side, scores[label][cell]))
        if pictures:
            data = dataclasses.replace(
                data, identities=tuple(with_photos(one, index, folder) for index, one in enumerate(data.identities))
            )
        return dataclasses.replace(data, scores=scores, embeddings=embeddings, videos=videos, failures=failures)

    return make


@pytest.fixture
def planted(make_run: Callable[..., ReportData]) -> Callable[..., ReportData]:
    """Makes a run in which one number of each method is its mean, the person's ease and a little noise."""

    def make(column: str = "face_sim", people: int = 8, prompts: int = 4, **means: float) -> ReportData:
        data = make_run(people=people, prompts=prompts, labels=tuple(means))
        rng = np.random.default_rng(5)
        ease = dict(zip([person.name for person in data.people], rng.normal(0, 0.05, people), strict=True))
        scores = {
            label: {
                cell: {**of_cell, column: means[label] + ease[cell.identity] + 0.01 * rng.normal()}
                for cell, of_cell in of_label.items()
            }
            for label, of_label in data.scores.items()
        }
        return dataclasses.replace(data, scores=scores)

    return make


def drawn_video(label: str, person: int, side: int, scores: dict[str, float]) -> Video:
    sway = scores["flow_magnitude"] / 60
    frames = [drawn_face(person, side, sway * np.sin(t), max(0.0, scores["face_sim"])) for t in range(8)]
    return Video(np.stack(frames), 8.0)


def with_photos(identity: ReportIdentity, person: int, folder: Path) -> ReportIdentity:
    photos = []
    for index in range(5):
        photos.append(folder / f"{identity.name}{index}.png")
        Image.fromarray(drawn_face(person, 192, 0.03 * (index - 2))).save(photos[-1])
    return dataclasses.replace(identity, images=tuple(photos))


@pytest.fixture(scope="session")
def run(make_run: Callable[..., ReportData]) -> ReportData:
    """A complete run of eight people and four prompts, with pictures."""
    return make_run(pictures=True)


def cell_of(identity: str, prompt: str, seed: int = 0) -> CellKey:
    """Shorter to write in a test."""
    return CellKey(identity, prompt, seed)
