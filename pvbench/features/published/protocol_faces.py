"""Faces as OpenS2V-Eval and ConsisID look at them: their frames, their detection, their two recognisers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from pvbench.evaluator import Evaluator, FeatureGroup, Features
from pvbench.features.published.settings import PublishedPart
from pvbench.profile import Profile

if TYPE_CHECKING:
    import torch

    from pvbench.features.published.curricularface import CurricularFace
    from pvbench.features.published.insightface_faces import InsightFaces

FRAMES: Mapping[str, int] = {"opens2v": 32, "consisid": 16}
"""How many frames each protocol looks at, evenly spread from the first to the last, rounded down."""
_DETECTION, _CROP = 320, 224


def frames_of(protocol: str, total: int) -> NDArray[np.intp]:
    """The places of the frames that a protocol looks at; in a short video some more than once."""
    return np.linspace(0, total - 1, FRAMES[protocol], dtype=np.intp)


class ProtocolFaces(Evaluator):
    """Detector and ArcFace of a pack, as the protocols call them."""

    def __init__(self, network: InsightFaces) -> None:
        self.network = network

    def make(self, group: str, given: Any, have: Features) -> Features:
        """The largest face of each frame or photo; NaN where there is none."""
        if group == "reference_protocol_face":
            rows = [self.network(np.ascontiguousarray(photo)[None]) for photo in given]
            return {
                "reference/protocol_arc": np.concatenate([faces.embedding for faces in rows]),
                "reference/protocol_landmarks": np.concatenate([faces.landmarks for faces in rows]),
            }
        protocol = group.removesuffix("_face")
        faces = self.network(given.frames[frames_of(protocol, len(given.frames))])
        return {f"{protocol}/arc": faces.embedding, f"{protocol}/landmarks": faces.landmarks}


class ProtocolFaceLoader(PublishedPart):
    """Loads the pack that both protocols take."""

    name: ClassVar[str] = "protocol_face"
    summary: ClassVar[str] = "InsightFace's buffalo_l as OpenS2V-Eval and ConsisID call it"
    part: ClassVar[str] = "protocol_face"
    groups: ClassVar[tuple[FeatureGroup, ...]] = (
        *(
            FeatureGroup(f"{name}_face", "video", (f"{name}/arc", f"{name}/landmarks"), on_demand=True)
            for name in FRAMES
        ),
        FeatureGroup(
            "reference_protocol_face",
            "reference",
            ("reference/protocol_arc", "reference/protocol_landmarks"),
            on_demand=True,
        ),
    )
    option: ClassVar[str] = "protocol_face"
    memory_gib: ClassVar[float] = 1.0

    @classmethod
    def facts(cls, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        """Detection, choice and frames."""
        detection = f"{_DETECTION}x{_DETECTION}, score 0.5; where none, once more in a grey border of a quarter"
        return {"detection": detection, "face": "largest", "frames_seen": dict(FRAMES)}

    @classmethod
    def load(cls, profile: Profile, device: str) -> ProtocolFaces:
        """The evaluator on a device."""
        return ProtocolFaces(load_protocol_pack(cls.weights(profile), device))


def load_protocol_pack(folder: Path, device: str) -> InsightFaces:
    """Detector and recogniser of a pack, with the protocols' second look at a frame without a face.

    Raises:
        PvbenchError: as `load_pack`.
    """
    from pvbench.features.published.insightface_faces import load_pack, padded_by
    from pvbench.machine.devices import torch_device

    network = load_pack(folder, torch_device(device), size=_DETECTION)
    network.second_look = padded_by(0.25, 0.25, 128)
    return network


class ProtocolCurricular(Evaluator):
    """CurricularFace on the faces that the pack's detector marked."""

    def __init__(self, network: CurricularFace, device: torch.device) -> None:
        self.network, self.device = network, device

    def make(self, group: str, given: Any, have: Features) -> Features:
        """Embeddings of unit length; NaN where no face was marked."""
        if group == "reference_curricular":
            points = have["reference/protocol_landmarks"]
            rows = [self._embed(np.asarray(photo)[None], points[[i]]) for i, photo in enumerate(given)]
            return {"reference/protocol_cur": np.concatenate(rows)}
        protocol = group.removesuffix("_curricular")
        frames = given.frames[frames_of(protocol, len(given.frames))]
        return {f"{protocol}/cur": self._embed(frames, have[f"{protocol}/landmarks"])}

    def _embed(self, frames: NDArray[np.uint8], landmarks: np.ndarray) -> NDArray[np.float32]:
        return of_marked_faces(frames, landmarks, self.network.size, self._of_crops)

    def _of_crops(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        import torch

        halved = np.stack([_halved(crop) for crop in crops])
        found: NDArray[np.float32] = self.network.embed(torch.from_numpy(halved).to(self.device)).cpu().numpy()
        return found


def of_marked_faces(
    pictures: Sequence[Any] | NDArray[np.uint8],
    landmarks: np.ndarray,
    width: int,
    network: Callable[[NDArray[np.uint8]], NDArray[np.float32]],
) -> NDArray[np.float32]:
    """What a network makes (n, width) of the aligned faces of pictures; NaN where no face was marked.

    Args:
        pictures: n of them, (H, W, 3), RGB.
        landmarks: (n, 5, 2) pixels, NaN where there is no face.
        network: from aligned faces (m, 224, 224, 3) to features (m, width).
    """
    seen = np.isfinite(landmarks).all(axis=(1, 2))
    found = np.full((len(pictures), width), np.nan, np.float32)
    if seen.any():
        faces = [aligned(np.asarray(pictures[i]), landmarks[i]) for i in np.flatnonzero(seen).tolist()]
        found[seen] = network(np.stack(faces))
    return found


def aligned(frame: NDArray[np.uint8], points: np.ndarray) -> NDArray[np.uint8]:
    """The face of a frame (H, W, 3) as the protocols cut it out by its five landmarks: (224, 224, 3), RGB."""
    from pvbench.features.published.insightface_faces import alignment, warp_affine

    return warp_affine(np.ascontiguousarray(frame), alignment(points, _CROP), _CROP)


def _halved(crop: NDArray[np.uint8]) -> NDArray[np.uint8]:
    import cv2

    from pvbench.features.published.curricularface import SIDE

    found: NDArray[np.uint8] = cv2.resize(crop, (SIDE, SIDE))
    return found


class CurricularLoader(PublishedPart):
    """Loads CurricularFace."""

    name: ClassVar[str] = "curricularface"
    summary: ClassVar[str] = "CurricularFace IR-101, which OpenS2V-Eval and ConsisID report"
    part: ClassVar[str] = "curricular"
    groups: ClassVar[tuple[FeatureGroup, ...]] = (
        *(
            FeatureGroup(
                f"{name}_curricular", "video", (f"{name}/cur",), reads=(f"{name}/landmarks",), on_demand=True
            )
            for name in FRAMES
        ),
        FeatureGroup(
            "reference_curricular",
            "reference",
            ("reference/protocol_cur",),
            reads=("reference/protocol_landmarks",),
            on_demand=True,
        ),
    )  # fmt: skip
    option: ClassVar[str] = "curricularface"
    memory_gib: ClassVar[float] = 1.0

    @classmethod
    def facts(cls, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        """The crop."""
        return {"crop": f"{_CROP}, halved"}

    @classmethod
    def load(cls, profile: Profile, device: str) -> ProtocolCurricular:
        """The evaluator on a device."""
        from pvbench.features.published.curricularface import load_curricularface
        from pvbench.machine.devices import torch_device

        place = torch_device(device)
        return ProtocolCurricular(load_curricularface(cls.weights(profile), place), place)
