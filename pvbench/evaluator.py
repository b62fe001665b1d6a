"""The interface of evaluators: frozen networks that turn videos, photos and texts into features, found by name.

Each evaluator is one part of a profile (face, clip, flow, video, dino, hps, or one of your own). It says which features
it makes, in which groups they are kept, what it demands of a video, what identifies it and where its weights lie;
whatever else is known of it, such as what `doctor` and `--weights` say, follows from that.
"""

from __future__ import annotations

import functools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from pvbench.digest import digest
from pvbench.errors import ProfileError, VideoError, did_you_mean
from pvbench.loader import Loader
from pvbench.profile import Profile
from pvbench.registry import Registry
from pvbench.video import Video

Features = Mapping[str, np.ndarray]
"""Arrays by name; names and shapes are listed in `docs/features.md`."""

Thing = Literal["video", "reference", "text"]
"""What features are made of: a video, an identity's reference photos, a prompt's text."""


@dataclass(frozen=True)
class FeatureGroup:
    """Features that are made together, and kept in one file of each video, identity or text.

    Attributes:
        name: unique among a profile's evaluators.
        of: what they are made of.
        features: their names.
        reads: features of other groups that are needed to make them, and that are made before.
        on_demand: no metric of the paper needs them, so that they are made only where one is asked for.
        heavy: made after the others, which are kept if the memory runs out.
    """

    name: str
    of: Thing
    features: tuple[str, ...]
    reads: tuple[str, ...] = ()
    on_demand: bool = False
    heavy: bool = False


@dataclass(frozen=True)
class Demands:
    """What an evaluator demands of a video.

    Attributes:
        size: height and width that it sees only; None for any.
        frames: the fewest frames.
        multiple: the number of frames is a multiple of it.
        bytes_of: memory that it takes for frames of a height and a width; None where that hardly depends on them.
    """

    size: tuple[int, int] | None = None
    frames: int = 1
    multiple: int = 1
    bytes_of: Callable[[int, int], int] | None = None

    def __and__(self, other: Demands) -> Demands:
        """What both demand."""
        return Demands(
            self.size or other.size,
            max(self.frames, other.frames),
            math.lcm(self.multiple, other.multiple),
            self.bytes_of or other.bytes_of,
        )


class Evaluator(ABC):
    """A loaded network that makes features."""

    @abstractmethod
    def make(self, group: str, given: Any, have: Features) -> Features:
        """The features of one group.

        Args:
            group: the name of one of the loader's groups.
            given: a `Video`, the photos of an identity (each (H, W, 3), uint8, RGB), or a text, as the group says.
            have: features of the groups that this one reads, of the same thing.

        Raises:
            FaceError: a reference photo shows no face, or more than one.
            VideoError: the network cannot see such a video.
        """


class EvaluatorLoader(Loader):
    """Loads one evaluator; the entry point group is `pvbench.evaluators`, a profile's lines `[evaluators.parts]`.

    Attributes:
        part: the part of a profile that it is made for.
        groups: the features it makes.
        option: what `--weights NAME=PATH` calls its file; empty where it takes none of the user's.
        memory_gib: about how much memory network and work take; 0 where it is little.
    """

    part: ClassVar[str]
    groups: ClassVar[tuple[FeatureGroup, ...]]
    option: ClassVar[str] = ""
    memory_gib: ClassVar[float] = 0.0

    @classmethod
    @abstractmethod
    def load(cls, profile: Profile, device: str) -> Evaluator:
        """The evaluator on a device.

        Raises:
            WeightsError: weights are missing, damaged, or not what they should be.
            DeviceError: the device is not there.
        """

    @classmethod
    def demands(cls, profile: Profile) -> Demands:
        """What it demands of a video; nothing by default."""
        return Demands()

    @classmethod
    def provide(cls, profile: Profile) -> None:
        """Fetches weights that are missing and can be fetched, once for all workers.

        Raises:
            WeightsError: they are missing and cannot be fetched.
        """

    @classmethod
    def located(cls, profile: Profile) -> str:
        """Where the weights lie, after they were checked; empty where loading them is the only check.

        Raises:
            WeightsError: they are missing, or not what their publisher gives out.
        """
        return ""

    @classmethod
    def fetchable(cls, profile: Profile) -> bool:
        """Whether `provide` would fetch what is missing."""
        return False

    @classmethod
    def licence(cls, profile: Profile) -> str:
        """What the publisher of the weights allows; empty for pvbench's own."""
        return ""


EVALUATORS: Registry[EvaluatorLoader] = Registry(
    "evaluator", EvaluatorLoader, ProfileError, ("summary", "part", "groups")  # type: ignore[type-abstract]
)  # fmt: skip

KINDS: Mapping[str, Mapping[str, str]] = {
    "mini": {
        "face": "mini_face",
        "clip": "mini_clip",
        "flow": "dis",
        "video": "mini_video",
        "world": "mini_world",
        "head": "mini_head",
        "style": "mini_style",
        "colours": "head_colours",
        "pixels": "frame_differences",
        "farneback": "farneback",
        "hps": "mini_hps",
    },
    "published": {
        "face": "insightface",
        "clip": "openai_clip",
        "flow": "raft",
        "video": "i3d",
        "dino": "dino",
        "hps": "hpsv2",
        "protocol_face": "protocol_face",
        "curricular": "curricularface",
        "pixels": "frame_differences",
        "farneback": "farneback",
        "inception": "inception_v3",
        "protocol_clip": "protocol_clip",
        "aesthetic_clip": "aesthetic_clip",
        "aesthetic": "laion_aesthetic",
        "opens2v_aesthetic": "opens2v_aesthetic",
    },
}
"""Sets of evaluators by the name that a profile's `[evaluators] kind` gives them."""


def evaluator_loaders(profile: Profile) -> dict[str, type[EvaluatorLoader]]:
    """The loaders of a profile's evaluators by part: those of its kind, and those of `[evaluators.parts]` over them.

    Raises:
        ProfileError: the kind or a name is unknown, one does not import, or two make a group or feature of one name.
    """
    where = f"profile {profile.name!r} [evaluators]"
    kind, own = profile.evaluators.get("kind"), profile.evaluators.get("parts", {})
    if not isinstance(own, Mapping) or not all(isinstance(name, str) for name in own.values()):
        raise ProfileError(f"{where}: parts is {own!r}; expected a table of evaluators' names")
    if kind is not None and kind not in KINDS:
        raise ProfileError(f"{where}: unknown kind {kind!r}{did_you_mean(str(kind), KINDS)}; known: {', '.join(KINDS)}")
    names = {**KINDS.get(str(kind), {}), **own}
    loaders = {part: EVALUATORS.get(name, where) for part, name in names.items()}
    for part, loader in loaders.items():
        if loader.part != part:
            raise ProfileError(f"{where}: {part} is {loader.name!r}, which is an evaluator of the part {loader.part!r}")
    _check_names(where, loaders)
    return loaders


def _check_names(where: str, loaders: Mapping[str, type[EvaluatorLoader]]) -> None:
    makers: dict[str, str] = {}
    for loader in loaders.values():
        for group in loader.groups:
            for name in (f"group {group.name!r}", *(f"feature {feature!r}" for feature in group.features)):
                other = makers.setdefault(name, loader.name)
                if other != loader.name:
                    raise ProfileError(f"{where}: {other!r} and {loader.name!r} both make the {name}; take one of them")


class FeaturePlan:
    """Which groups of features are to be made under a profile, by which evaluators, and what identifies each.

    Args:
        wanted: names of features; those of all groups that are not on demand by default. The groups that they read come
            with them.
        sign: is given what makes the signature of a part, and gives the signature.

    Raises:
        ProfileError: the profile's evaluators cannot be used.
    """

    def __init__(
        self,
        profile: Profile,
        wanted: Collection[str] | None = None,
        sign: Callable[[Callable[[], Mapping[str, Any]]], Mapping[str, Any]] = lambda make: make(),
    ) -> None:
        self.profile, self.loaders, self._sign = profile, evaluator_loaders(profile), sign
        self._owners = {group.name: part for part, loader in self.loaders.items() for group in loader.groups}
        every = [group for loader in self.loaders.values() for group in loader.groups]
        self._makers = {feature: group for group in every for feature in group.features}
        chosen: dict[str, FeatureGroup] = {}
        for group in every:
            asked = not group.on_demand if wanted is None else any(name in wanted for name in group.features)
            if asked:
                self._take(group, chosen)
        self.groups: tuple[FeatureGroup, ...] = tuple(sorted(chosen.values(), key=lambda group: group.heavy))

    def _take(self, group: FeatureGroup, chosen: dict[str, FeatureGroup]) -> None:
        """The group after those that it reads."""
        for feature in group.reads:
            if feature not in self._makers:
                raise ProfileError(
                    f"profile {self.profile.name!r} [evaluators]: the group {group.name!r} of "
                    f"{self.loaders[self._owners[group.name]].name!r} reads {feature!r}, which no evaluator makes"
                )
            self._take(self._makers[feature], chosen)
        chosen.setdefault(group.name, group)

    @property
    def features(self) -> frozenset[str]:
        """Every feature that the profile's evaluators can make."""
        return frozenset(self._makers)

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts whose evaluators are needed, in the profile's order."""
        needed = {self._owners[group.name] for group in self.groups}
        return tuple(part for part in self.loaders if part in needed)

    @functools.cached_property
    def signature(self) -> dict[str, Mapping[str, Any]]:
        """What identifies each part that is needed."""
        return {part: self._sign(functools.partial(self.loaders[part].signature, self.profile)) for part in self.parts}

    def of(self, thing: Thing) -> tuple[FeatureGroup, ...]:
        """The groups that are made of a kind of thing, those that others read first."""
        return tuple(group for group in self.groups if group.of == thing)

    def part(self, group: str) -> str:
        """The part whose evaluator makes a group."""
        return self._owners[group]

    @functools.cached_property
    def digests(self) -> dict[str, str]:
        """By group, the digest of what its features rest on: its own evaluator, and those whose features it reads."""
        found: dict[str, str] = {}
        for group in self.groups:
            made_by = [self._owners[group.name], *(self._owners[self._makers[name].name] for name in group.reads)]
            found[group.name] = digest([group.name, *(self.signature[part] for part in dict.fromkeys(made_by))])
        return found

    @property
    def demands(self) -> Demands:
        """What the evaluators of the groups of videos demand of a video."""
        return self.demands_of(group.name for group in self.of("video"))

    def demands_of(self, groups: Iterable[str]) -> Demands:
        """What the evaluators of some groups demand of a video."""
        parts = {self._owners[group] for group in groups}
        found = Demands()
        for part in parts:
            found = found & self.loaders[part].demands(self.profile)
        return found


class Evaluators:
    """The evaluators of a plan on a device, each loaded when a group of its features is first made."""

    def __init__(self, plan: FeaturePlan, device: str) -> None:
        self.plan, self.device = plan, device
        self._loaded: dict[str, Evaluator] = {}

    def part(self, name: str) -> Evaluator:
        """The evaluator of a part."""
        if name not in self._loaded:
            self._loaded[name] = self.plan.loaders[name].load(self.plan.profile, self.device)
        return self._loaded[name]

    def load_all(self) -> None:
        """Loads every evaluator that is needed, so that whatever is wrong with its weights shows."""
        for part in self.plan.parts:
            self.part(part)

    def make(
        self, thing: Thing, given: Any, groups: Collection[str] | None = None, have: Features | None = None
    ) -> Iterator[tuple[str, Features]]:
        """The features of one thing, group by group.

        Args:
            given: a `Video`, photos, or a text.
            groups: names of the groups to make; all of the plan by default.
            have: features that were made before, which others read.

        Raises:
            FaceError: a reference photo shows no face, or more than one.
            VideoError: an evaluator cannot see such a video.
        """
        chosen = [group for group in self.plan.of(thing) if groups is None or group.name in groups]
        if thing == "video":
            self._check(given, [group.name for group in chosen])
        known = dict(have or {})
        for group in chosen:
            # Whatever else is known: a group rests on what it says that it reads.
            reads = {name: known[name] for name in group.reads}
            made = self.part(self.plan.part(group.name)).make(group.name, given, reads)
            known.update(made)
            yield group.name, made

    def all(self, thing: Thing, given: Any) -> dict[str, np.ndarray]:
        """All features of one thing."""
        return {name: array for _, features in self.make(thing, given) for name, array in features.items()}

    def _check(self, video: Video, groups: Sequence[str]) -> None:
        demands = self.plan.demands_of(groups)
        frames, height, width = video.frames.shape[:3]
        if demands.size is not None and (height, width) != demands.size:
            raise VideoError(
                f"a video has frames of {height}x{width} pixels; these evaluators see {demands.size[0]}x"
                f"{demands.size[1]}: resize it, or measure with --profile animatediff, which sees any size"
            )
        if frames < demands.frames or frames % demands.multiple:
            raise VideoError(
                f"a video has {frames} frames; these evaluators need at least {demands.frames}, and a multiple of "
                f"{demands.multiple}: cut it, leave FVD out, or measure with another profile"
            )
