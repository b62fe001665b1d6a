"""What is seen of a person in a video or a picture."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from jaxtyping import Float

from pvbench.likeness.bands import Bands, template
from pvbench.metrics.clip_t import ClipT
from pvbench.metrics.dynamic_degree import DynamicDegree
from pvbench.metrics.metric import face_rows

Verdict = Literal["the person", "alike", "somebody else", "no face", "unknown"]

FEWEST_FACES = 0.5
"""Share of the frames that must show a face for a verdict."""

_NOSE = 0.6
"""How far the tip of the nose stands before the eyes, in distances between them."""


@dataclass(frozen=True)
class Seen:
    """One video or picture, held against a person's photos.

    Attributes:
        likeness: cosine that a quarter of the frames with a face reach, since a head that turns away is still the
            same head; NaN without a face.
        frames: cosine of each frame, NaN without a face.
        turned: the widest turn of the head to a side, in degrees, estimated from the landmarks; NaN without a face.
        motion: mean of the fastest 5 % of the optical flow, in pixels an eighth of a second at a short side of 256; NaN
            for a picture.
        copied: number of the photo, from 1, that a frame is nearer to than photos are to one another; 0 for none.
        text: what was asked for; empty where nothing says.
        prompt: CLIP-T, the mean cosine of the frames to the text; NaN without one.
    """

    name: str
    folder: str
    likeness: float
    frames: tuple[float, ...]
    turned: float
    motion: float
    copied: int
    verdict: Verdict = field(default="unknown")
    text: str = ""
    prompt: float = math.nan

    @property
    def faces(self) -> float:
        """Share of the frames that show a face."""
        return sum(not math.isnan(value) for value in self.frames) / len(self.frames)

    def in_words(self) -> dict[str, object]:
        """For a program; NaN is None. `prompt` and `text` are there where it is known what was asked for."""

        def plain(value: float) -> float | None:
            return None if math.isnan(value) else round(value, 6)

        return {
            "name": self.name,
            "folder": self.folder,
            "verdict": self.verdict,
            "likeness": plain(self.likeness),
            "faces": self.faces,
            "turned": plain(self.turned),
            "motion": plain(self.motion),
            **({"prompt": plain(self.prompt), "text": self.text} if self.text else {}),
            "copied_photo": self.copied or None,
            "frames": [plain(value) for value in self.frames],
        }


def verdict_of(likeness: float, faces: float, bands: Bands) -> Verdict:
    """What a likeness says, between the bands.

    "the person": as like as the person's own videos; "alike": above what one stranger in a hundred reaches, and below
    that; "somebody else": not above it; "no face": most frames show none; "unknown": nothing is known of strangers, and
    the likeness is below the person's own.
    """
    if faces < FEWEST_FACES or math.isnan(likeness):
        return "no face"
    stranger = -1.0 if math.isnan(bands.stranger) else bands.stranger
    if likeness >= max(bands.own_low, stranger):
        return "the person"
    if math.isnan(bands.stranger):
        return "unknown"
    return "alike" if likeness >= bands.stranger else "somebody else"


def see(
    name: str,
    folder: str,
    features: Mapping[str, np.ndarray],
    photos: Float[np.ndarray, "photos width"],
    bands: Bands,
    text: str = "",
) -> Seen:
    """What features of a video or picture say.

    Args:
        features: those of the text are among them where it is known.
        text: what was asked for.

    Raises:
        MetricError: the features contradict each other, or are not finite.
    """
    found = np.asarray(features["face/detected"]) == 1
    faces = face_rows("face/embedding", features["face/embedding"], features["face/detected"])
    frames = np.full(len(found), math.nan)
    frames[found] = faces @ template(photos)
    likeness = float(np.percentile(frames[found], 75)) if found.any() else math.nan
    seen = Seen(
        name=name,
        folder=folder,
        likeness=likeness,
        frames=tuple(frames.tolist()),
        turned=turned(features["face/landmarks"][found]),
        motion=_motion(features),
        copied=_copied(faces, photos),
        text=text,
        prompt=_prompt(features),
    )
    return replace(seen, verdict=verdict_of(likeness, seen.faces, bands))


def _motion(features: Mapping[str, np.ndarray]) -> float:
    if features.get("flow/top5") is None or not features["flow/top5"].size:
        return math.nan
    return DynamicDegree().row(features)[1]


def _prompt(features: Mapping[str, np.ndarray]) -> float:
    return ClipT().row(features)[0] if "text/clip" in features else math.nan


def turned(landmarks: Float[np.ndarray, "faces 5 2"]) -> float:
    """The widest turn of the head to a side, in degrees from 0 to 90; NaN without a face.

    It is by how much the tip of the nose lies beside the middle of the eyes, along the line between them, so that a
    tilted head is not a turned one.

    Args:
        landmarks: in pixels: eyes, nose tip, corners of the mouth, the viewer's left first.
    """
    if not len(landmarks):
        return math.nan
    eyes, nose = landmarks[:, :2], landmarks[:, 2]
    across = eyes[:, 1] - eyes[:, 0]
    width = np.maximum(np.linalg.norm(across, axis=1), 1e-6)
    beside = ((nose - eyes.mean(axis=1)) * across).sum(axis=1) / width**2
    return float(np.degrees(np.arctan(np.abs(beside) / _NOSE)).max())


def _copied(faces: Float[np.ndarray, "found width"], photos: Float[np.ndarray, "photos width"]) -> int:
    """The photo that a frame is nearer to than half-way between the nearest two photos and being the same."""
    if not len(faces) or len(photos) < 2:
        return 0
    among = photos @ photos.T
    np.fill_diagonal(among, -1)
    nearest = (faces @ photos.T).max(axis=0)
    photo = int(nearest.argmax())
    return photo + 1 if nearest[photo] > (1 + among.max()) / 2 else 0
