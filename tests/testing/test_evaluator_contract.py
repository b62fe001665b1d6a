"""The contract of evaluators: sound ones pass, and each broken promise is found by the test that is about it."""

import itertools

import numpy as np
import pytest
from called_contract import failing
from example_inputs import EXAMPLE_PROFILE

from pvbench.evaluator import Evaluator, EvaluatorLoader, FeatureGroup
from pvbench.profile import load_profile
from pvbench.testing import EvaluatorContract
from pvbench.video import Video

OF_VIDEO = FeatureGroup("tint", "video", ("tint/frame", "tint/mean"))
OF_FACES = FeatureGroup("glow", "video", ("glow/face",), reads=("face/landmarks",))
OF_PHOTOS = FeatureGroup("reference_tint", "reference", ("reference/tint",))
OF_TEXT = FeatureGroup("text_length", "text", ("text/length",))


class Tint(Evaluator):
    """Mean colours of frames and photos, and a text's length."""

    def make(self, group, given, have):
        return getattr(self, group)(given, have)

    def tint(self, video, have):
        frames = video.frames.mean(axis=(1, 2)).astype(np.float32)
        return {"tint/frame": frames, "tint/mean": frames.mean(axis=0)}

    def glow(self, video, have):
        columns, rows = have["face/landmarks"][:, 2].astype(int).T
        _, height, width, _ = video.frames.shape
        places = zip(video.frames, rows % height, columns % width, strict=True)
        return {"glow/face": np.array([frame[row, column] for frame, row, column in places], np.float32)}

    def reference_tint(self, photos, have):
        return {"reference/tint": np.stack([photo.mean(axis=(0, 1)) for photo in photos]).astype(np.float32)}

    def text_length(self, text, have):
        return {"text/length": np.array([len(text)], np.float32)}


class TintLoader(EvaluatorLoader):
    name = "tint"
    summary = "mean colours"
    part = "tint"
    groups = (OF_VIDEO, OF_FACES, OF_PHOTOS, OF_TEXT)
    made = Tint

    @classmethod
    def signature(cls, profile):
        return {"network": "none", "revision": 1}

    @classmethod
    def load(cls, profile, device):
        return cls.made()


def stating(**stated):
    """The loader with other class attributes."""
    return type("BrokenLoader", (TintLoader,), stated)


def making(**methods):
    """The loader of an evaluator that makes some groups in another way."""
    return stating(made=type("Broken", (Tint,), methods))


def failing_of(loader):
    """Names of the tests that an evaluator fails."""
    suite = type("Suite", (EvaluatorContract,), {"loader": loader})()
    profile, rng = load_profile(EXAMPLE_PROFILE), np.random.default_rng(0)
    frames, photos = (rng.integers(60, 200, (count, 32, 24, 3), dtype=np.uint8) for count in (6, 3))
    return failing(
        suite,
        profile=lambda: profile,
        evaluator=lambda: loader.load(profile, "cpu"),
        video=lambda: Video(frames.copy(), 8.0),
        photos=lambda: [photo.copy() for photo in photos],
    )


def test_a_sound_evaluator_passes():
    assert failing_of(TintLoader) == set()


def test_what_another_evaluator_makes_is_there_for_each_frame_or_photo():
    suite, video, photos = EvaluatorContract(), Video(np.zeros((6, 32, 24, 3), np.uint8), 8.0), [np.zeros(3)] * 2
    (of_video,) = suite.read(OF_FACES, video, photos).values()
    assert of_video.shape == (6, 5, 2)
    group = FeatureGroup("crop", "reference", ("reference/crop",), reads=("reference/landmarks", "reference/face"))
    of_photos = suite.read(group, video, photos)
    assert {name: len(rows) for name, rows in of_photos.items()} == {"reference/landmarks": 2, "reference/face": 2}


STATED = {
    "a name that is no word": {"name": "mean-tint"},
    "the name of another evaluator": {"name": "dis"},
    "no summary": {"summary": ""},
    "a summary of two lines": {"summary": "mean\ncolours"},
    "a part that is no word": {"part": "the tint"},
    "no groups": {"groups": ()},
}


@pytest.mark.parametrize("stated", STATED.values(), ids=STATED)
def test_an_evaluator_that_does_not_say_what_it_is_is_found(stated):
    assert failing_of(stating(**stated)) == {"test_the_class_says_what_it_is"}


@pytest.mark.parametrize(
    "group",
    [
        FeatureGroup("reference_tint", "video", ("tint/mean",)),
        FeatureGroup("means", "video", ("reference/tint",)),
        FeatureGroup("means", "video", ("tint/mean", "tint/mean")),
        FeatureGroup("means", "video", ("mean",)),
    ],
    ids=["a group twice", "a feature of two groups", "a feature twice in one", "a feature of no part"],
)
def test_names_that_cannot_be_told_apart_are_found(group):
    suite = type("Suite", (EvaluatorContract,), {"loader": stating(groups=(OF_PHOTOS, group))})()
    with pytest.raises(AssertionError):
        suite.test_the_class_says_what_it_is()


@pytest.mark.parametrize("fact", [itertools.count().__next__, object], ids=["another each time", "no plain value"])
def test_a_signature_that_is_no_key_is_found(fact):
    broken = stating(signature=classmethod(lambda cls, profile: {"fact": fact()}))
    assert failing_of(broken) == {"test_the_signature_can_be_digested_and_is_the_same_each_time"}


def lacks_one(self, video, have):
    return {"tint/frame": Tint.tint(self, video, have)["tint/frame"]}


def has_one_more(self, video, have):
    return {**Tint.tint(self, video, have), "tint/median": np.median(video.frames, axis=0).astype(np.float32)}


def in_double_precision(self, video, have):
    return {name: array.astype(np.float64) for name, array in Tint.tint(self, video, have).items()}


def as_a_scalar(self, video, have):
    return {**Tint.tint(self, video, have), "tint/mean": np.float32(video.frames.mean())}


@pytest.mark.parametrize("tint", [lacks_one, has_one_more, in_double_precision, as_a_scalar])
def test_a_group_with_other_features_than_it_says_is_found(tint):
    assert failing_of(making(tint=tint)) == {"test_every_group_has_its_features_and_no_others"}


def test_a_feature_of_photos_in_double_precision_is_found():
    def reference_tint(self, photos, have):
        return {"reference/tint": np.stack([photo.mean(axis=(0, 1)) for photo in photos])}

    broken = making(reference_tint=reference_tint)
    assert failing_of(broken) == {"test_every_group_has_its_features_and_no_others"}


def counts_its_videos(self, video, have):
    self.seen = getattr(self, "seen", 0) + 1
    return {name: array + np.float32(self.seen) for name, array in Tint.tint(self, video, have).items()}


def sorts_frames(self, video, have):
    video.frames.sort(axis=1)
    return Tint.tint(self, video, have)


def sorts_a_photo(self, photos, have):
    photos[0].sort(axis=0)
    return Tint.reference_tint(self, photos, have)


@pytest.mark.parametrize(
    "methods",
    [{"tint": counts_its_videos}, {"tint": sorts_frames}, {"reference_tint": sorts_a_photo}],
    ids=["counts", "sorts frames", "sorts a photo"],
)
def test_an_evaluator_that_leaves_something_behind_is_found(methods):
    assert failing_of(making(**methods)) == {"test_the_same_thing_has_the_same_features"}


def test_a_group_that_changes_what_it_reads_is_found():
    def glow(self, video, have):
        found = Tint.glow(self, video, have)
        have["face/landmarks"][:] += 1
        return found

    assert failing_of(making(glow=glow)) == {"test_features_that_a_group_reads_are_left_as_they_were"}


def test_a_group_of_videos_that_cannot_move_is_found():
    def tint(self, video, have):
        return {"tint/frame": np.ones((len(video.frames), 3), np.float32), "tint/mean": np.ones(3, np.float32)}

    assert failing_of(making(tint=tint)) == {"test_another_video_has_other_features"}


def test_a_feature_without_any_value_cannot_move():
    def glow(self, video, have):
        return {"glow/face": np.full((len(video.frames), 3), np.nan, np.float32)}

    assert failing_of(making(glow=glow)) == {"test_another_video_has_other_features"}
