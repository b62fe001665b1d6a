"""What the extractors of all profiles share: which features are made of a video, in what order, under which names."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pvbench.features.flow import Flow, sampling_interval, warping_errors
from pvbench.profile import Profile
from pvbench.video import Video

if TYPE_CHECKING:
    from pvbench.features.face import Faces

Features = dict[str, NDArray[np.float32]]
Frames = NDArray[np.uint8]


CORE_PARTS = ("face", "clip", "flow", "video")
"""The parts that the paper's metrics need."""
EXTRA_PARTS = ("dino", "hps")
"""Those that only extra metrics need."""
_TEXTS = {"text/clip": "clip", "text/hps": "hps"}


GROUPS: Mapping[str, tuple[str, ...]] = {
    "face": ("face/embedding", "face/detected", "face/box", "face/count"),
    "clip": ("clip/frame",),
    "clip_face": ("clip/face",),
    "flow": ("flow/top5", "flow/mean", "flow/size", "flow/fps"),
    "warp": ("flow/warp_error",),
    "video": ("video/embedding",),
    "dino": ("dino/frame",),
    "hps": ("hps/frame",),
    "reference_face": ("reference/face",),
    "reference_clip": ("reference/clip",),
    "reference_clip_face": ("reference/clip_face",),
    "text": ("text/clip", "text/tokens"),
    "text_hps": ("text/hps",),
}
"""Features that are made, and kept, together."""

PARTS_OF: Mapping[str, tuple[str, ...]] = {
    "face": ("face",), "clip": ("clip",), "clip_face": ("clip", "face"), "flow": ("flow",), "warp": ("flow",),
    "video": ("video",), "dino": ("dino",), "hps": ("hps",),
    "reference_face": ("face",), "reference_clip": ("clip",), "reference_clip_face": ("clip", "face"),
    "text": ("clip",), "text_hps": ("hps",),
}
"""The parts of the extractors whose signatures a group rests on."""


ON_DEMAND = frozenset(name for group in ("warp", "dino", "hps", "text_hps") for name in GROUPS[group])
"""Features that no metric of the paper needs, which are made only where one is asked for."""


def made_features(profile: Profile) -> frozenset[str] | None:
    """The features that a profile's evaluators can make; None for a third party's, which do not say."""
    if ":" in profile.evaluators["kind"]:
        return None
    return frozenset(name for names in GROUPS.values() for name in names)


def with_default(extra: Collection[str]) -> frozenset[str]:
    """The features that are made where none is named, and `extra` ones."""
    return frozenset(name for names in GROUPS.values() for name in names) - ON_DEMAND | frozenset(extra)


def parts_for(wanted: Collection[str] | None) -> tuple[str, ...]:
    """The parts whose networks some features need; those of the paper's metrics for None."""
    if wanted is None:
        return CORE_PARTS
    needed = {_TEXTS.get(name, name.split("/")[0]) for name in wanted if not name.startswith("reference/")}
    if {"clip/face", "reference/face", "reference/clip_face"} & set(wanted):
        needed.add("face")
    if {"reference/clip", "reference/clip_face"} & set(wanted):
        needed.add("clip")
    return tuple(part for part in (*CORE_PARTS, *EXTRA_PARTS) if part in needed)


def wants(wanted: Collection[str] | None, *names: str) -> bool:
    """Whether one of the features is wanted; None wants all but those that are made on demand alone."""
    return wanted is None or any(name in wanted for name in names)


class SelectiveExtractors(ABC):
    """Extractors whose networks are loaded once, when a feature first needs them.

    Attributes:
        signature: by part (face, clip, flow, video), what identifies the features; see `parts_for`.
    """

    selective = True
    """`video`, `references` and `text` take the names of the features that are wanted."""
    signature: Mapping[str, Mapping[str, Any]]

    @abstractmethod
    def load_all(self) -> None:
        """Loads every network, so that whatever is wrong with its weights shows."""

    def video(self, video: Video, wanted: Collection[str] | None = None) -> Features:
        """Features of one video; names and shapes are listed in `docs/features.md`.

        Args:
            wanted: names of features; those made in one go with a wanted one come too, the others are left out and
                their networks not loaded.

        Raises:
            VideoError: the networks cannot see a video of this size or length.
            WeightsError: the weights of a network that is needed are missing or damaged.
        """
        self._check(video, wanted)
        found: Features = {}
        seen = self._seen(video.frames)
        if wants(wanted, "face/embedding", "face/detected", "face/box", "face/count", "clip/face"):
            faces = self._faces(seen)
            found["face/embedding"] = faces.embedding
            found["face/detected"] = (faces.count > 0).astype(np.float32)
            found["face/box"], found["face/count"] = faces.box, faces.count
        if wants(wanted, "clip/frame"):
            found["clip/frame"] = self._clip_frames(seen)
        if wants(wanted, "clip/face"):
            found["clip/face"] = self._clip_faces(seen, faces.landmarks)
        interval = sampling_interval(video.fps)
        kept = video.frames[::interval]
        if wants(wanted, "flow/top5", "flow/mean", "flow/size", "flow/fps"):
            flow = self._flow(kept)
            found["flow/top5"], found["flow/mean"] = flow.top5, flow.mean
            found["flow/size"] = np.array(video.frames.shape[1:3], np.float32)
            found["flow/fps"] = np.array([video.fps / interval], np.float32)
        if wanted is not None and "flow/warp_error" in wanted:
            back = list(self._flow_fields(kept[::-1]))[::-1]
            found["flow/warp_error"] = warping_errors(kept, self._flow_fields(kept), back)
        if wants(wanted, "video/embedding"):
            found["video/embedding"] = self._embedding(video.frames)
        if wanted is not None and "dino/frame" in wanted:
            found["dino/frame"] = self._dino_frames(seen)
        if wanted is not None and "hps/frame" in wanted:
            found["hps/frame"] = self._hps_frames(seen)
        return found

    def text(self, text: str, wanted: Collection[str] | None = None) -> Features:
        """Features of a prompt, or those `wanted`: its CLIP embedding, cut at the context's length.

        `text/tokens` comes with it: how many tokens the prompt has, and how many of them CLIP reads.
        """
        found: Features = {}
        if wants(wanted, "text/clip"):
            found["text/clip"] = self._clip_text(text)
            found["text/tokens"] = np.array(self._clip_tokens(text), np.float32)
        if wanted is not None and "text/hps" in wanted:
            found["text/hps"] = self._hps_text(text)
        return found

    @abstractmethod
    def references(self, images: Sequence[Frames], wanted: Collection[str] | None = None) -> Features:
        """Features of an identity's reference photos, or those `wanted`.

        Raises:
            FaceError: a photo shows no face or more than one.
        """

    @abstractmethod
    def _check(self, video: Video, wanted: Collection[str] | None) -> None:
        """Raises VideoError for a video that the networks of the wanted features cannot see."""

    @abstractmethod
    def _seen(self, frames: Frames) -> Frames:
        """The frames that faces and CLIP look at."""

    @abstractmethod
    def _faces(self, frames: Frames) -> Faces:
        """One face a frame (T, H, W, 3)."""

    @abstractmethod
    def _clip_frames(self, frames: Frames) -> NDArray[np.float32]:
        """Unit embeddings (T, E) of whole frames."""

    @abstractmethod
    def _clip_faces(self, frames: Frames, landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
        """Unit embeddings (T, E) of crops around faces; NaN rows where the landmarks (T, 5, 2) are NaN."""

    @abstractmethod
    def _clip_text(self, text: str) -> NDArray[np.float32]:
        """The unit embedding (E,) of a prompt."""

    @abstractmethod
    def _clip_tokens(self, text: str) -> tuple[int, int]:
        """How many tokens a prompt has, and how many of them CLIP reads."""

    @abstractmethod
    def _hps_frames(self, frames: Frames) -> NDArray[np.float32]:
        """Unit embeddings (T, E) of whole frames by the network that knows what people prefer."""

    @abstractmethod
    def _hps_text(self, text: str) -> NDArray[np.float32]:
        """The unit embedding (E,) of a prompt by the same network."""

    @abstractmethod
    def _dino_frames(self, frames: Frames) -> NDArray[np.float32]:
        """Unit embeddings (T, E) of whole frames by DINO."""

    @abstractmethod
    def _flow(self, frames: Frames) -> Flow:
        """Flow magnitudes of consecutive frames."""

    @abstractmethod
    def _flow_fields(self, frames: Frames) -> Iterable[NDArray[np.float32]]:
        """Flow (H, W, 2) of each pair of consecutive frames."""

    @abstractmethod
    def _embedding(self, frames: Frames) -> NDArray[np.float32]:
        """The video encoder's embedding (V,), not normalised."""
