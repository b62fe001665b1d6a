"""What published evaluators have in common: settings of a profile, weights, frames that are looked at.

Each is loaded when a feature of its is first needed, from weights that their publishers give out
(`pvbench.weights.published`) or from a file of the user's (`--weights NAME=PATH`).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from pvbench.errors import ProfileError, WeightsError, did_you_mean
from pvbench.evaluator import EvaluatorLoader, evaluator_loaders
from pvbench.profile import Profile
from pvbench.weights.digests import digest_of, weights_root
from pvbench.weights.published import PUBLISHED, fetch, fetchable, located, published

DEFAULTS: Mapping[str, Any] = {
    "face": "antelopev2",
    "clip": "ViT-B-32",
    "clip_model": "",
    "flow": "raft-things",
    "video": "i3d-torchscript",
    "dino": "dino-vitb16",
    "hps": "HPS_v2.1",
    "hps_model": "ViT-H-14",
    "protocol_face": "buffalo_l",
    "curricular": "curricularface",
    "inception": "inception-v3-google",
    "protocol_clip": "ViT-B-32",
    "aesthetic_clip": "ViT-L-14",
    "aesthetic": "laion-linear",
    "opens2v_aesthetic": "laion-improved",
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
"""Of `pvbench.features.published.i3d`, which takes a second to import."""

FEWEST_FRAMES = 10
"""I3D halves the time three times and pools the rest in pairs."""


def settings_of(profile: Profile) -> dict[str, Any]:
    """The profile's [evaluators] over the defaults.

    Raises:
        ProfileError: a field is unknown or has the wrong type.
    """
    where = f"profile {profile.name!r} [evaluators]"
    shared = ("kind", "metrics", "parts")
    given = {name: value for name, value in profile.evaluators.items() if name not in shared}
    parts = evaluator_loaders(profile)
    for name, value in given.items():
        if name in parts and name not in DEFAULTS:
            # A part of another package's, with settings of its own.
            continue
        if name not in DEFAULTS:
            raise ProfileError(
                f"{where}: unknown field {name!r}{did_you_mean(name, DEFAULTS)}; known: {', '.join(DEFAULTS)}"
            )
        if type(value) is not type(DEFAULTS[name]):
            raise ProfileError(f"{where}: {name} is {value!r}; expected a {type(DEFAULTS[name]).__name__}")
    settings = {**DEFAULTS, **{name: value for name, value in given.items() if name in DEFAULTS}}
    if settings["frames"] < 0 or settings["video_frames"] < FEWEST_FRAMES:
        raise ProfileError(
            f"{where}: frames is at least 0 and video_frames at least {FEWEST_FRAMES}; got "
            f"{settings['frames']} and {settings['video_frames']}"
        )
    if settings["preprocessing"] not in PREPROCESSINGS:
        raise ProfileError(
            f"{where}: unknown preprocessing {settings['preprocessing']!r}"
            f"{did_you_mean(settings['preprocessing'], PREPROCESSINGS)}; known: "
            f"{', '.join(PREPROCESSINGS)}"
        )
    for part in settings["files"]:
        if part not in parts:
            raise ProfileError(f"{where}: files names {part!r}{did_you_mean(part, parts)}; known: {', '.join(parts)}")
    return settings


def with_weights(profile: Profile, given: Sequence[str]) -> Profile:
    """The profile with files of the user's: each `NAME=PATH`.

    Raises:
        ProfileError: one has no name or no path, or the name stands for no evaluator that takes a file.
    """
    if not given:
        return profile
    aliases = weight_names(profile)
    files: dict[str, str] = dict(profile.evaluators.get("files", {}))
    for text in given:
        name, equals, path = text.partition("=")
        if not equals or not path:
            raise ProfileError(f"--weights {text}: expected NAME=PATH, such as raft=raft-things.pth")
        if not aliases:
            raise ProfileError(
                f"profile {profile.name!r} has its evaluators' weights in one folder; --weights NAME=PATH is for "
                f"profiles with evaluators of the kind published, such as animatediff"
            )
        if name not in aliases:
            raise ProfileError(
                f"--weights {text}: no part is called {name!r}{did_you_mean(name, aliases)}; known: "
                f"{', '.join(aliases)}"
            )
        files[aliases[name]] = path
    return dataclasses.replace(profile, evaluators={**profile.evaluators, "files": files})


def weight_names(profile: Profile) -> dict[str, str]:
    """What `--weights` may call an evaluator's file, its option or its part, and the part."""
    loaders = evaluator_loaders(profile)
    options = {loader.option: part for part, loader in loaders.items() if loader.option}
    return options | {part: part for part in options.values()}


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
        raise WeightsError(f"--weights {part}={own}: there is no such file or folder; check the path")
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


def clip_model(settings: Mapping[str, Any]) -> str:
    """open_clip's name of the network that a profile names."""
    return str(settings["clip_model"] or f"{settings['clip']}-quickgelu")


_OWN = "a file of your own, whose licence pvbench does not know"


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


class PublishedPart(EvaluatorLoader):
    """An evaluator by weights that others publish, or by a file of the user's."""

    version: ClassVar[int] = 2

    @classmethod
    def signature(cls, profile: Profile) -> Mapping[str, Any]:
        """Network, weights, frames, sizes and rules. Loads no network."""
        settings = settings_of(profile)
        own = settings["files"].get(cls.part)
        return {
            "extractor": settings[cls.part] if own is None else f"own {Path(own).name}",
            "version": cls.version,
            "weights": _weights_signature(settings, cls.part),
            **cls.facts(settings),
        }

    @classmethod
    def facts(cls, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        """What moves a feature besides the weights, for the signature."""
        return {}

    @classmethod
    def provide(cls, profile: Profile) -> None:
        """Fetches what is missing from its publisher."""
        weights_of(settings_of(profile), cls.part, fetching=True)

    @classmethod
    def located(cls, profile: Profile) -> str:
        """Where published weights lie; a file of the user's, whose sha256 is not known, has to be loaded."""
        settings = settings_of(profile)
        path = weights_of(settings, cls.part)
        return "" if cls.part in settings["files"] else str(path)

    @classmethod
    def fetchable(cls, profile: Profile) -> bool:
        """Whether the publisher's file can be fetched, and its sha256 is known."""
        settings = settings_of(profile)
        return cls.part not in settings["files"] and fetchable(settings[cls.part], cls.part)

    @classmethod
    def licence(cls, profile: Profile) -> str:
        """What the publisher allows."""
        settings = settings_of(profile)
        if cls.part in settings["files"]:
            return _OWN
        return PUBLISHED[settings[cls.part]].licence if settings[cls.part] in PUBLISHED else ""

    @classmethod
    def weights(cls, profile: Profile) -> Path:
        """The file or folder of the weights, checked."""
        return weights_of(settings_of(profile), cls.part)


def seen(frames: NDArray[np.uint8], count: int) -> NDArray[np.uint8]:
    """The frames that faces and pictures are looked at in: `count` of them, evenly spread; all for 0."""
    return frames[spread(len(frames), count)]
