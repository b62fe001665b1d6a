"""What every evaluator keeps, as tests: subclass `EvaluatorContract` in a test file of the plug-in's own.

    from pvbench.testing import EvaluatorContract

    class TestMyEvaluator(EvaluatorContract):
        loader = MyLoader

By default the suite loads the evaluator under the profile `mini` on the CPU and gives it a random video of the
profile's size, random photos and a text. Override the fixtures `profile`, `evaluator`, `video` or `photos` for others,
and the method `read` for an evaluator that reads features of another one.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest

from pvbench.digest import digest
from pvbench.evaluator import EVALUATORS, Evaluator, EvaluatorLoader, FeatureGroup
from pvbench.profile import Profile, load_profile
from pvbench.testing.features import example_features
from pvbench.video import Video

TEXT = "a woman in a red coat on a beach"


class EvaluatorContract:
    """Tests of one evaluator."""

    loader: ClassVar[type[EvaluatorLoader]]
    profile_name: ClassVar[str] = "mini"

    @pytest.fixture(scope="class")
    @classmethod
    def profile(cls) -> Profile:
        """The set-up that the evaluator is tested in."""
        return load_profile(cls.profile_name)

    @pytest.fixture(scope="class")
    @classmethod
    def evaluator(cls, profile: Profile) -> Evaluator:
        """The evaluator, on the CPU."""
        return cls.loader.load(profile, "cpu")

    @pytest.fixture
    def video(self, profile: Profile) -> Video:
        """A video of the profile's size."""
        s = profile.sampling
        frames = np.random.default_rng(0).integers(60, 200, (s.frames, s.height, s.width, 3), dtype=np.uint8)
        return Video(frames, s.fps)

    @pytest.fixture
    def photos(self) -> list[np.ndarray]:
        """Photos of one person."""
        return [np.random.default_rng(seed).integers(60, 200, (80, 72, 3), dtype=np.uint8) for seed in range(3)]

    def made(self, evaluator: Evaluator, group: FeatureGroup, video: Video, photos: list[np.ndarray]) -> dict[str, Any]:
        """The features of one group."""
        given = {"video": video, "reference": photos, "text": TEXT}[group.of]
        return dict(evaluator.make(group.name, given, self.read(group, video, photos)))

    def read(self, group: FeatureGroup, video: Video, photos: list[np.ndarray]) -> dict[str, np.ndarray]:
        """What a group reads: random features, or, where they are another evaluator's, what the subclass makes."""
        frames = len(video.frames) if group.of == "video" else len(photos)
        known = {**example_features(0, frames, missing=(), photos=len(photos)), "face/landmarks": _landmarks(frames)}
        return {name: known[name.replace("reference/landmarks", "face/landmarks")] for name in group.reads}

    def test_the_class_says_what_it_is(self) -> None:
        """Name, part and groups; and an installed evaluator of that name is this one."""
        loader = self.loader
        assert loader.name.isidentifier()
        assert loader.summary
        assert "\n" not in loader.summary, "the summary is one line"
        assert loader.part.isidentifier()
        assert loader.groups, "an evaluator makes something"
        names = [name for group in loader.groups for name in (group.name, *group.features)]
        assert len(set(names)) == len(names), "groups and features have names of their own"
        assert all("/" in feature for group in loader.groups for feature in group.features), "such as `face/embedding`"
        if loader.name in EVALUATORS.names():
            assert EVALUATORS.get(loader.name) is loader

    def test_the_signature_can_be_digested_and_is_the_same_each_time(self, profile: Profile) -> None:
        """Features are found again by it."""
        assert digest(self.loader.signature(profile)) == digest(self.loader.signature(profile))

    def test_every_group_has_its_features_and_no_others(
        self, evaluator: Evaluator, video: Video, photos: list[np.ndarray]
    ) -> None:
        """As arrays of float32."""
        for group in self.loader.groups:
            found = self.made(evaluator, group, video, photos)
            assert set(found) == set(group.features), group.name
            for name, array in found.items():
                assert isinstance(array, np.ndarray), name
                assert array.dtype == np.float32, name

    def test_the_same_thing_has_the_same_features(
        self, evaluator: Evaluator, video: Video, photos: list[np.ndarray]
    ) -> None:
        """To the bit, whatever was made in between; and what was given is left as it was."""
        frames, kept = video.frames.copy(), [photo.copy() for photo in photos]
        first = {group.name: self.made(evaluator, group, video, photos) for group in self.loader.groups}
        again = {group.name: self.made(evaluator, group, video, photos) for group in reversed(self.loader.groups)}
        for name, features in first.items():
            for feature, array in features.items():
                np.testing.assert_array_equal(array, again[name][feature], feature)
        np.testing.assert_array_equal(video.frames, frames)
        for photo, copy in zip(photos, kept, strict=True):
            np.testing.assert_array_equal(photo, copy)

    def test_features_that_a_group_reads_are_left_as_they_were(
        self, evaluator: Evaluator, video: Video, photos: list[np.ndarray]
    ) -> None:
        """Other groups read them, too."""
        for group in self.loader.groups:
            have = self.read(group, video, photos)
            copies = {name: array.copy() for name, array in have.items()}
            given = {"video": video, "reference": photos, "text": TEXT}[group.of]
            evaluator.make(group.name, given, have)
            assert set(have) == set(copies), group.name
            for name, array in copies.items():
                np.testing.assert_array_equal(have[name], array, name)

    def test_another_video_has_other_features(
        self, evaluator: Evaluator, video: Video, photos: list[np.ndarray]
    ) -> None:
        """A feature that cannot move says nothing."""
        other = Video(np.ascontiguousarray(video.frames[:, ::-1] // 2), video.fps)
        for group in self.loader.groups:
            if group.of == "video":
                one, two = (self.made(evaluator, group, given, photos) for given in (video, other))
                assert any(not np.array_equal(one[name], two[name], equal_nan=True) for name in one), group.name


def _landmarks(frames: int) -> np.ndarray:
    """Five points of an upright face in the middle of a frame of 64 pixels."""
    face = np.array([[24, 26], [40, 26], [32, 34], [26, 42], [38, 42]], np.float32)
    return np.repeat(face[None], frames, axis=0)
