"""A third party's package, as the tests install it: two methods, a backbone and evaluators that need a millisecond.

Its entry points lie beside it, in a .dist-info folder. What goes wrong on purpose is asked for by environment
variables, since a setting would change the keys of what is made.
"""

from __future__ import annotations

import errno
import os
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from pvbench.backbone import STYLES, Backbone, BackboneLoader
from pvbench.errors import FaceError, GenerationError, WeightsError
from pvbench.evaluator import Evaluator, EvaluatorLoader, FeatureGroup
from pvbench.identity import Identity
from pvbench.method import Adapter, Method, Progress, Request, added, sampling_only
from pvbench.profile import Profile
from pvbench.prompt import PromptSet
from pvbench.style import Style
from pvbench.video import Video

FACE_SIZE = 4
TEXT_SIZE = 6


def _meant(where: str, *what: str) -> bool:
    """Whether the environment variable `where` names one of these, and no marker file says that it was done.

    It holds `what@marker`, several of them between bars; without a marker it is done each time.
    """
    for asked in os.environ.get(where, "").split("|"):
        wanted, _, marker = asked.partition("@")
        if not wanted or wanted not in what or (marker and Path(marker).exists()):
            continue
        if marker:
            Path(marker).touch()
        return True
    return False


def _full(path: Path, content: bytes) -> int:
    raise OSError(errno.ENOSPC, "No space left on device")


def _go_wrong(*what: str) -> None:
    if _meant("EXAMPLE_KILLS_RUN", *what):
        os.kill(os.getppid(), signal.SIGKILL)
        threading.Event().wait()
    if _meant("EXAMPLE_KILLS_WORKER", *what):
        os.kill(os.getpid(), signal.SIGKILL)
    if _meant("EXAMPLE_INTERRUPTS_RUN", *what):
        os.kill(os.getppid(), signal.SIGINT)
    if _meant("EXAMPLE_ENDS_RUN", *what):
        os.kill(os.getppid(), signal.SIGTERM)
    if _meant("EXAMPLE_FAILS", *what):
        raise RuntimeError("wrong on purpose")
    if _meant("EXAMPLE_FILLS_DISK", *what):
        setattr(Path, "write_bytes", _full)  # noqa: B010 (a method is not assigned to, as far as types know)
    if _meant("EXAMPLE_BAD_WEIGHTS", *what):
        raise WeightsError("weights of the example are corrupt; reinstall it")


class ExampleBackbone(Backbone):
    """Draws noise of a seed; a text makes it lighter by its length."""

    def __init__(self, profile: Profile, device: str) -> None:
        self.sampling, self.signature = profile.sampling, ExampleLoader.signature(profile)
        import torch

        self.device = torch.device(device)
        self.ink = 0

    def wear(self, style: Style | None) -> None:
        self.ink = round(20 * style.scale) if style else 0

    def sample(self, text: str, noise_seed: int) -> Video:
        return Video(self.noise(noise_seed) + np.uint8(len(text)), self.sampling.fps)

    def noise(self, seed: int) -> np.ndarray:
        shape = (self.sampling.frames, self.sampling.height, self.sampling.width, 3)
        return np.random.default_rng(seed).integers(60, 100, shape, dtype=np.uint8) + np.uint8(self.ink)


class ExampleLoader(BackboneLoader):
    """Its noise is an offer of its own, which its methods ask for."""

    name = "example"
    summary = "noise of a seed"
    offers = frozenset({"example_noise", STYLES})

    @classmethod
    def signature(cls, profile: Profile) -> Mapping[str, Any]:
        return {"kind": "example", "grain": profile.backbone.get("grain", 1)}

    @classmethod
    def load(cls, profile: Profile, device: str) -> ExampleBackbone:
        _go_wrong("backbone")
        print("the example is loaded")
        return ExampleBackbone(profile, device)


@dataclass(frozen=True)
class DriftSettings:
    """How fast, and towards where."""

    speed: int = 1
    side: Literal["left", "right"] = "right"


class Drift(Method):
    """Noise that drifts; no face of anyone's."""

    name = "example_drift"
    version = 1
    summary = "noise that drifts"
    tunes = False
    Settings = DriftSettings

    @classmethod
    def asks(cls, settings: Any) -> frozenset[str]:
        return frozenset({"example_noise"})

    def generate(self, identity: Identity, adapter: Adapter | None, requests: Sequence[Request]) -> Iterator[Video]:
        step = self.settings.speed * (1 if self.settings.side == "right" else -1)
        for request in requests:
            _go_wrong(f"{self.name}:{identity.name}:{request.prompt.id}", f"{self.name}:{request.prompt.id}")
            noise = self.backbone.noise(request.noise_seed)
            frames = np.stack([np.roll(noise[0], step * index, axis=1) for index in range(len(noise))])
            yield Video(frames, self.profile.sampling.fps)


@dataclass(frozen=True)
class StampSettings:
    """How strongly, after how many steps, and how much lighter at the end."""

    strength: float = 0.5
    steps: int = 3
    lift: int = sampling_only(added(0))


class Stamp(Method):
    """The mean colour of the references, stamped onto noise."""

    name = "example_stamp"
    version = 1
    summary = "the references' mean colour on noise"
    tunes = True
    Settings = StampSettings

    @classmethod
    def asks(cls, settings: Any) -> frozenset[str]:
        return frozenset({"example_noise"})

    def tune(self, identity: Identity, prompts: PromptSet, *, seed: int, progress: Progress) -> Adapter:
        import torch

        colour = torch.zeros(3)
        goal = torch.tensor(np.mean([image.mean(axis=(0, 1)) for image in identity.references()], axis=0)).float()
        for step in range(self.settings.steps):
            _go_wrong(f"{self.name}:{identity.name}:step{step}")
            colour = colour + (goal - colour) / 2
            progress(step + 1, self.settings.steps, {"distance": float((goal - colour).abs().mean())})
        return Adapter({"unet.colour.lora_A.weight": colour}, (0.5, 1.0), {"prompts": len(prompts.prompts)})

    def generate(self, identity: Identity, adapter: Adapter | None, requests: Sequence[Request]) -> Iterator[Video]:
        assert adapter is not None
        colour = adapter.tensors["unet.colour.lora_A.weight"].numpy()
        for request in requests:
            _go_wrong(f"{self.name}:{identity.name}:{request.prompt.id}", f"{self.name}:{request.prompt.id}")
            if not request.prompt.text:
                raise GenerationError("nothing to show")
            noise = self.backbone.noise(request.noise_seed).astype(float)
            frames = (1 - self.settings.strength) * noise + self.settings.strength * colour + self.settings.lift
            yield Video(frames.round().astype(np.uint8), self.profile.sampling.fps)


def _face(image: np.ndarray) -> np.ndarray:
    vector = np.array([*image.reshape(-1, 3).mean(axis=0), 128.0], dtype=np.float32)
    return vector / np.linalg.norm(vector)


def _picture(image: np.ndarray) -> np.ndarray:
    rows = np.array_split(np.arange(image.shape[0]), TEXT_SIZE)
    vector = np.array([image[row].mean() + 1 for row in rows], dtype=np.float32)
    return vector / np.linalg.norm(vector)


class _Part(Evaluator):
    """Mean colours for faces, rows' brightness for pictures. A black image has no face, a white one has two."""

    def make(self, group: str, given: Any, have: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        if isinstance(given, Video):
            _go_wrong("measuring")
        return getattr(self, group)(given, have)


class Faces(_Part):
    def face(self, video, have):
        count, height, width, _ = video.frames.shape
        return {
            "face/embedding": np.stack([_face(frame) for frame in video.frames]),
            "face/detected": np.ones(count, np.float32),
            "face/box": np.tile(np.array([0, 0, width, height], np.float32), (count, 1)),
            "face/count": np.ones(count, np.float32),
        }

    def reference_face(self, images, have):
        for index, image in enumerate(images):
            if image.max() == 0:
                raise FaceError(f"reference {index + 1} shows no face; replace it with one that does")
            if image.min() == 255:
                raise FaceError(f"reference {index + 1} shows 2 faces; crop it to one")
        return {"reference/face": np.stack([_face(image) for image in images])}


class Pictures(_Part):
    def clip(self, video, have):
        return {"clip/frame": np.stack([_picture(frame) for frame in video.frames])}

    def clip_face(self, video, have):
        assert {name: array.shape for name, array in have.items()} == {"face/detected": (len(video.frames),)}
        return {"clip/face": np.stack([_picture(frame) for frame in video.frames])}

    def reference_clip(self, images, have):
        return {"reference/clip": np.stack([_picture(image) for image in images])}

    def reference_clip_face(self, images, have):
        assert len(have["reference/face"]) == len(images)
        return {"reference/clip_face": np.stack([_picture(image) for image in images])}

    def text(self, text, have):
        vector = np.array([1 + text.count(letter) for letter in "aeiout"], dtype=np.float32)
        tokens = np.array([len(text.split()), 77], np.float32)
        return {"text/clip": vector / np.linalg.norm(vector), "text/tokens": tokens}


class Differences(_Part):
    def pairs(self, video):
        frames = video.frames.astype(np.float32)
        return np.abs(np.diff(frames, axis=0)).mean(axis=(1, 2, 3)).astype(np.float32)

    def flow(self, video, have):
        pairs = self.pairs(video)
        return {
            "flow/top5": pairs * 2,
            "flow/mean": pairs,
            "flow/size": np.array(video.frames.shape[1:3], np.float32),
            "flow/fps": np.array([video.fps], np.float32),
        }

    def warp(self, video, have):
        return {"flow/warp_error": (self.pairs(video) / 255) ** 2}


class Ends(_Part):
    def video(self, video, have):
        return {"video/embedding": np.concatenate([_face(video.frames[0]), _face(video.frames[-1])])}


class _Loader(EvaluatorLoader):
    summary = "of the tests"
    made: ClassVar[type[_Part]]

    @classmethod
    def signature(cls, profile: Profile) -> Mapping[str, Any]:
        return {"network": f"example {cls.part}", "revision": profile.evaluators.get("revision", 1)}

    @classmethod
    def load(cls, profile: Profile, device: str) -> _Part:
        _go_wrong("evaluators")
        return cls.made()


class FacesLoader(_Loader):
    name = "example_face"
    part = "face"
    made = Faces
    groups = (
        FeatureGroup("face", "video", ("face/embedding", "face/detected", "face/box", "face/count")),
        FeatureGroup("reference_face", "reference", ("reference/face",)),
    )


class PicturesLoader(_Loader):
    name = "example_clip"
    part = "clip"
    made = Pictures
    groups = (
        FeatureGroup("clip", "video", ("clip/frame",)),
        FeatureGroup("clip_face", "video", ("clip/face",), reads=("face/detected",)),
        FeatureGroup("reference_clip", "reference", ("reference/clip",)),
        FeatureGroup("reference_clip_face", "reference", ("reference/clip_face",), reads=("reference/face",)),
        FeatureGroup("text", "text", ("text/clip", "text/tokens")),
    )


class DifferencesLoader(_Loader):
    name = "example_flow"
    part = "flow"
    made = Differences
    groups = (
        FeatureGroup("flow", "video", ("flow/top5", "flow/mean", "flow/size", "flow/fps"), heavy=True),
        FeatureGroup("warp", "video", ("flow/warp_error",), on_demand=True, heavy=True),
    )


class EndsLoader(_Loader):
    name = "example_video"
    part = "video"
    made = Ends
    groups = (FeatureGroup("video", "video", ("video/embedding",)),)
