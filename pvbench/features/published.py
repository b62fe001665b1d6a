"""The evaluators that papers report, behind the interface of the mini ones.

InsightFace, RAFT, I3D and OpenAI's CLIP, and for the extra metrics DINO and HPSv2.

Each part is loaded when a wanted feature first needs it, from weights that their publishers give out
(`pvbench.weights.published`) or from a file of the user's (`--weights NAME=PATH`).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pvbench.errors import ProfileError, VideoError, WeightsError, did_you_mean
from pvbench.features.extractor import CORE_PARTS, EXTRA_PARTS, Features, Frames, SelectiveExtractors, parts_for, wants
from pvbench.profile import Profile
from pvbench.video import Video
from pvbench.weights.published import OPTIONS, PUBLISHED, digest_of, fetch, located, published, weights_root

if TYPE_CHECKING:
    from pvbench.features.dino import Dino
    from pvbench.features.face import Faces
    from pvbench.features.flow import Flow
    from pvbench.features.i3d import I3D
    from pvbench.features.i3d_cpu import I3DOnCpu
    from pvbench.features.insightface_faces import InsightFaces
    from pvbench.features.open_clip_model import OpenClip
    from pvbench.features.raft import Raft

PARTS = (*CORE_PARTS, *EXTRA_PARTS)
DEFAULTS: Mapping[str, Any] = {
    "face": "antelopev2",
    "clip": "ViT-B-32",
    "clip_model": "",
    "flow": "raft-things",
    "video": "i3d-torchscript",
    "dino": "dino-vitb16",
    "hps": "HPS_v2.1",
    "hps_model": "ViT-H-14",
    "preprocessing": "styleganv",
    "frames": 0,
    "video_frames": 16,
    "files": {},
}
"""What a profile's [evaluators] may say. `frames`: how many, evenly spread, faces and CLIP look at, 0 for all;
`video_frames`: how many, from the first on, I3D looks at; `files`: part -> path of weights of one's own; `clip_model`:
open_clip's name of the network, by default the one that OpenAI's weights of the name `clip` were trained as;
`hps_model`: the same for HPSv2's."""

PREPROCESSINGS = ("styleganv", "videogpt", "cdfvd")
"""Of `pvbench.features.i3d`, which takes a second to import."""

FEWEST_FRAMES = 10
"""I3D halves the time three times and pools the rest in pairs."""
_VERSION = 2


def settings_of(profile: Profile) -> dict[str, Any]:
    """The profile's [evaluators] over the defaults.

    Raises:
        ProfileError: a field is unknown or has the wrong type.
    """
    where = f"profile {profile.name!r} [evaluators]"
    given = {name: value for name, value in profile.evaluators.items() if name not in ("kind", "metrics")}
    for name, value in given.items():
        if name not in DEFAULTS:
            raise ProfileError(f"{where}: unknown field {name!r}{did_you_mean(name, DEFAULTS)}; known: "
                               f"{', '.join(DEFAULTS)}")
        if type(value) is not type(DEFAULTS[name]):
            raise ProfileError(f"{where}: {name} is {value!r}; expected a {type(DEFAULTS[name]).__name__}")
    settings = {**DEFAULTS, **given}
    if settings["frames"] < 0 or settings["video_frames"] < FEWEST_FRAMES:
        raise ProfileError(f"{where}: frames is at least 0 and video_frames at least {FEWEST_FRAMES}; got "
                           f"{settings['frames']} and {settings['video_frames']}")
    if settings["preprocessing"] not in PREPROCESSINGS:
        raise ProfileError(f"{where}: unknown preprocessing {settings['preprocessing']!r}"
                           f"{did_you_mean(settings['preprocessing'], PREPROCESSINGS)}; known: "
                           f"{', '.join(PREPROCESSINGS)}")
    for part in settings["files"]:
        if part not in PARTS:
            raise ProfileError(f"{where}: files names {part!r}{did_you_mean(part, PARTS)}; known: {', '.join(PARTS)}")
    return settings


def with_weights(profile: Profile, given: Sequence[str]) -> Profile:
    """The profile with files of the user's: each `NAME=PATH`.

    Raises:
        ProfileError: one has no name or no path, or the name stands for no part.
    """
    aliases = {option: part for part, option in OPTIONS.items()} | {part: part for part in PARTS}
    files: dict[str, str] = {}
    for text in given:
        name, equals, path = text.partition("=")
        if not equals or not path:
            raise ProfileError(f"--weights {text}: expected NAME=PATH, such as raft=raft-things.pth")
        if name not in aliases:
            raise ProfileError(f"--weights {text}: no part is called {name!r}{did_you_mean(name, aliases)}; known: "
                               f"{', '.join(aliases)}")
        files[aliases[name]] = path
    if not files:
        return profile
    return dataclasses.replace(profile, evaluators={**profile.evaluators, "files": files})


def weights_of(settings: Mapping[str, Any], part: str, *, fetching: bool = False) -> Path:
    """The file or folder of a part's weights, checked.

    Raises:
        WeightsError: it is missing, or not what its publisher gives out.
    """
    own = settings["files"].get(part)
    if own is None:
        entry = published(settings[part], part)
        return fetch(entry) if fetching else located(entry)
    path = Path(own).expanduser()
    if not path.exists():
        raise WeightsError(f"--weights {OPTIONS[part]}={own}: there is no such file or folder; check the path")
    return path


def _weights_signature(settings: Mapping[str, Any], part: str) -> dict[str, str]:
    """Names and digests. Published weights are known by their sha256, whether they lie here or not."""
    if part not in settings["files"]:
        entry = published(settings[part], part)
        return {Path(file).name: (sha or _digest_if_there(file))[:16] for file, sha in entry.files.items()}
    path = weights_of(settings, part)
    files = sorted(path.glob("*.onnx")) if path.is_dir() else [path]
    return {file.name: digest_of(file)[:16] for file in files}


def _digest_if_there(file: str) -> str:
    path = weights_root() / file
    return digest_of(path) if path.is_file() else "missing"


def signature(profile: Profile, extra: Collection[str] = ()) -> dict[str, dict[str, Any]]:
    """What identifies each part, the `extra` ones included: network, weights, frames, sizes and rules. Loads no
    network."""
    settings = settings_of(profile)
    seen = settings["frames"] or "all"
    own = {part: f"own {Path(path).name}" for part, path in settings["files"].items()}
    found: dict[str, dict[str, Any]] = {
        part: {"extractor": own.get(part, settings[part]), "version": _VERSION,
               "weights": _weights_signature(settings, part)}
        for part in (*CORE_PARTS, *extra)
    }
    found["face"] |= {"detection": "640x640, score 0.5", "face": "largest", "frames_seen": seen}
    found["clip"] |= {"model": _clip_model(settings), "resize": "short side, bicubic, centre crop", "frames_seen": seen}
    found["clip"]["face_crop"] = "1.9 times the recogniser's field"
    found["flow"] |= {"updates": 20, "rate": "8 a second", "below_128_px": "scaled up"}
    found["video"] |= {"preprocessing": settings["preprocessing"], "frames_seen": f"first {settings['video_frames']}"}
    if "dino" in extra:
        found["dino"] |= {"resize": "short side 224, bilinear, nothing cut off", "frames_seen": seen}
    if "hps" in extra:
        found["hps"] |= {"model": settings["hps_model"], "resize": "long side, bicubic, black borders",
                         "frames_seen": seen}
    return found


def _clip_model(settings: Mapping[str, Any]) -> str:
    return str(settings["clip_model"] or f"{settings['clip']}-quickgelu")


_OWN = "a file of your own, whose licence pvbench does not know"


def licences(profile: Profile, extra: Collection[str] = ()) -> dict[str, str]:
    """What the publishers of each part's weights allow."""
    settings = settings_of(profile)
    return {part: _OWN if part in settings["files"] else PUBLISHED[settings[part]].licence
            for part in (*CORE_PARTS, *extra) if part in settings["files"] or settings[part] in PUBLISHED}


def provide(profile: Profile, wanted: Collection[str] | None) -> None:
    """Every file that some features need is there afterwards, fetched where it was missing.

    Raises:
        WeightsError: a file is missing and cannot be fetched, or is not what its publisher gives out.
    """
    settings = settings_of(profile)
    for part in parts_for(wanted):
        weights_of(settings, part, fetching=True)


def flow_bytes(height: int, width: int) -> int:
    """Memory that RAFT takes for one pair of frames: every cell of 8 by 8 pixels is compared with every other.

    Seen at 1280x720 and 1920x1080: 1.3 and 5.8 GiB of the small network, 1.7 and 6.5 of the large one; told are 1.7
    and 7.1.
    """
    cells = math.ceil(height / 8) * math.ceil(width / 8)
    return 6 * cells**2 + 40_000 * cells


def spread(total: int, count: int) -> NDArray[np.intp]:
    """`count` places evenly spread over `total`, from the first to the last; all of them for 0 or too few."""
    if count == 0 or total <= count:
        return np.arange(total)
    return np.linspace(0, total - 1, count).round().astype(np.intp)


class PublishedExtractors(SelectiveExtractors):
    """The networks of a profile of kind `published`."""

    def __init__(self, profile: Profile, device: str) -> None:
        from pvbench.devices import torch_device

        self.profile, self.settings = profile, settings_of(profile)
        self.device = torch_device(device)

    @cached_property
    def signature(self) -> Mapping[str, Mapping[str, Any]]:  # type: ignore[override]
        """Read when it is asked for: digests of a gigabyte of weights take a second."""
        return signature(self.profile)

    @cached_property
    def face(self) -> InsightFaces:
        """Detector and recogniser of the pack."""
        from pvbench.features.insightface_faces import load_pack

        return load_pack(weights_of(self.settings, "face"), self.device)

    @cached_property
    def clip(self) -> OpenClip:
        """CLIP."""
        from pvbench.features.open_clip_model import load_open_clip

        return load_open_clip(_clip_model(self.settings), weights_of(self.settings, "clip"), self.device).pack()

    @cached_property
    def flow(self) -> Raft:
        """RAFT."""
        from pvbench.features.raft import load_raft

        return load_raft(weights_of(self.settings, "flow"), self.device)

    @cached_property
    def encoder(self) -> I3D | I3DOnCpu:
        """I3D."""
        from pvbench.features.i3d import load_i3d
        from pvbench.features.i3d_cpu import I3DOnCpu

        network = load_i3d(weights_of(self.settings, "video"), self.device)
        return I3DOnCpu(network) if self.device.type == "cpu" else network

    @cached_property
    def dino(self) -> Dino:
        """DINO."""
        from pvbench.features.dino import load_dino

        return load_dino(weights_of(self.settings, "dino"), self.device)

    @cached_property
    def hps(self) -> OpenClip:
        """HPSv2."""
        from pvbench.features.open_clip_model import load_open_clip

        return load_open_clip(self.settings["hps_model"], weights_of(self.settings, "hps"), self.device).pack()

    def load_all(self) -> None:
        """Loads every network of the paper's metrics, so that whatever is wrong with its weights shows."""
        for network in (self.face, self.clip, self.flow, self.encoder):
            assert network is not None

    def _flow_fields(self, frames: Frames) -> Iterator[NDArray[np.float32]]:
        """RAFT's flow of each pair (H, W, 2), without the padding, at the frames' own size."""
        import cv2

        from pvbench.features.raft import working_size

        height, width = frames.shape[1:3]
        rows, columns = working_size(height, width)
        for some in self.flow.fields(frames):
            top, left = (some.shape[2] - rows) // 2, (some.shape[3] - columns) // 2
            inner = some[:, :, top : top + rows, left : left + columns].permute(0, 2, 3, 1).cpu().numpy()
            for field in inner:
                same = (rows, columns) == (height, width)
                yield np.asarray(field if same else cv2.resize(field, (width, height)), np.float32)

    def references(self, images: Sequence[Frames], wanted: Collection[str] | None = None) -> Features:
        """Features of an identity's reference photos, each at its own resolution, or those `wanted`.

        Raises:
            FaceError: a photo shows no face or more than one.
        """
        photos = [np.ascontiguousarray(image) for image in images]
        found: Features = {}
        if wants(wanted, "reference/face", "reference/clip_face"):
            faces = self.face.reference(photos)
            found["reference/face"] = faces.embedding
        if wants(wanted, "reference/clip"):
            found["reference/clip"] = self.clip.frames(photos)
        if wants(wanted, "reference/clip_face"):
            found["reference/clip_face"] = self.clip.faces(photos, faces.landmarks)
        return found

    def _check(self, video: Video, wanted: Collection[str] | None) -> None:
        if len(video.frames) < FEWEST_FRAMES and wants(wanted, "video/embedding"):
            raise VideoError(f"a video has {len(video.frames)} frames; I3D needs at least {FEWEST_FRAMES}: leave FVD "
                             f"out")

    def _seen(self, frames: Frames) -> Frames:
        return frames[spread(len(frames), self.settings["frames"])]

    def _faces(self, frames: Frames) -> Faces:
        return self.face(frames)

    def _clip_frames(self, frames: Frames) -> NDArray[np.float32]:
        return self.clip.frames(frames)

    def _clip_faces(self, frames: Frames, landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
        return self.clip.faces(frames, landmarks)

    def _clip_text(self, text: str) -> NDArray[np.float32]:
        return self.clip.texts([text])[0]

    def _clip_tokens(self, text: str) -> tuple[int, int]:
        return self.clip.token_count(text), self.clip.context

    def _hps_frames(self, frames: Frames) -> NDArray[np.float32]:
        return self.hps.hps_frames(frames)

    def _hps_text(self, text: str) -> NDArray[np.float32]:
        return self.hps.texts([text])[0]

    def _dino_frames(self, frames: Frames) -> NDArray[np.float32]:
        return self.dino(frames)

    def _flow(self, frames: Frames) -> Flow:
        return self.flow(frames)

    def _embedding(self, frames: Frames) -> NDArray[np.float32]:
        from pvbench.features.i3d import embed

        return embed(self.encoder, frames[: self.settings["video_frames"]], self.settings["preprocessing"])
