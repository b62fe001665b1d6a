"""The contract of metrics: sound ones pass, and each broken promise is found by the test that is about it."""

import itertools
import math
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pytest
from called_contract import failing

from pvbench.metrics import Metric, SetMetric
from pvbench.metrics.metric import Column, SetNumber
from pvbench.testing import MetricContract, SetMetricContract, example_features

OF_VIDEO = Column("jitter", "Jitter", "share", False, limits=(0.0, 10.0), undefined="no frame has a face")
OF_SET = Column("gap", "Gap", "distance", False, limits=(0.0, math.inf), reference="rendered")


@dataclass(frozen=True)
class Jitter(Metric):
    """Mean flow, in units of a setting; no video without a face has one."""

    unit: float = 1.0

    name: ClassVar[str] = "jitter"
    version: ClassVar[int] = 1
    needs: ClassVar[tuple[str, ...]] = ("flow/mean", "face/detected")
    parts: ClassVar[tuple[str, ...]] = ("flow", "face")
    columns: ClassVar[tuple[Column, ...]] = (OF_VIDEO,)
    trap: ClassVar[str] = "A still video has none."

    def row(self, features):
        return (float(features["flow/mean"].mean()) / self.unit if features["face/detected"].any() else math.nan,)


@dataclass(frozen=True)
class Gap(SetMetric):
    """The distance between the means of two sets, and the same without each person."""

    reference: str = "rendered"

    name: ClassVar[str] = "gap"
    version: ClassVar[int] = 1
    needs: ClassVar[tuple[str, ...]] = ("video/embedding",)
    parts: ClassVar[tuple[str, ...]] = ("video",)
    columns: ClassVar[tuple[Column, ...]] = (OF_SET,)
    trap: ClassVar[str] = "The means say nothing of the spread."

    def compare(self, videos, reference, people):
        apart, shown = np.linalg.norm(videos - reference, axis=1), np.asarray(people or [])
        without = tuple(float(apart[shown != person].mean()) for person in sorted(set(shown.tolist())))
        return {"gap": SetNumber(float(apart.mean()), without=without)}


def failing_of(kind, **settings):
    """Names of the tests that a metric of videos fails."""
    suite = type("Suite", (MetricContract,), {"metric": kind, "settings": settings})()
    return failing(suite, videos=lambda: [example_features(seed) for seed in range(6)])


def failing_of_set(kind):
    """Names of the tests that a metric of sets fails."""
    suite = type("Suite", (SetMetricContract,), {"metric": kind})()
    return failing(suite, sets=lambda: tuple(np.random.default_rng(0).normal(size=(2, 6, 20))))


def stating(kind, **stated):
    """The metric with other class attributes."""
    return type("Broken", (kind,), stated)


def test_a_sound_metric_passes():
    assert failing_of(Jitter) == set()
    assert failing_of_set(Gap) == set()


def test_settings_of_the_suite_reach_the_metric():
    assert failing_of(Jitter, unit=1e-3) == {"test_every_video_has_every_number"}


STATED = {
    "a name that --metrics cannot take": {"name": "my-metric"},
    "the name of another metric": {"name": "clip_t"},
    "no version": {"version": 0},
    "no features": {"needs": ()},
    "no trap": {"trap": ""},
    "no columns": {"columns": ()},
    "a column twice": {"columns": (OF_SET, OF_SET)},
    "a column without a name for tables": {"columns": (Column("gap", "", "distance", False),)},
    "a column without a unit": {"columns": (Column("gap", "Gap", "", False),)},
}


@pytest.mark.parametrize("kind", [Jitter, Gap])
@pytest.mark.parametrize("stated", STATED.values(), ids=STATED)
def test_a_metric_that_does_not_say_what_it_is_is_found(kind, stated):
    suite = type("Suite", (MetricContract,), {"metric": stating(kind, **stated)})()
    with pytest.raises(AssertionError):
        suite.test_the_class_says_what_it_is()


@dataclass
class Loose(Metric):
    """Its settings can be changed after it was signed."""

    unit: float = 1.0
    name, version, needs, parts = "jitter", 1, Jitter.needs, Jitter.parts
    columns, trap, row = (OF_VIDEO,), Jitter.trap, Jitter.row


@dataclass(frozen=True)
class Counted(Jitter):
    """Each one is set otherwise."""

    number: int = field(default_factory=itertools.count().__next__)


@pytest.mark.parametrize("kind", [Loose, Counted])
def test_settings_that_change_are_found(kind):
    assert failing_of(kind) == {"test_settings_are_frozen_and_have_defaults"}


def forgets_settings(self, evaluators):
    return Jitter.signature(self, evaluators).without("unit")


@pytest.mark.parametrize("stated", [{"parts": ()}, {"signature": forgets_settings}], ids=["evaluators", "settings"])
def test_a_signature_that_leaves_something_out_is_found(stated):
    assert failing_of(stating(Jitter, **stated)) == {"test_the_signature_holds_settings_and_evaluators"}


def out_of_limits(self, features):
    return (11.0 + float(features["flow/mean"].mean()),)


def constant(self, features):
    return (1.0,)


def changes_features(self, features):
    features["flow/mean"].sort()
    return Jitter.row(self, features)


def reads_more(self, features):
    extra = features.get("clip/frame", np.zeros(1)).mean()
    return (Jitter.row(self, features)[0] + abs(float(extra)),)


def beside_the_others(self, features):
    rows = Metric.rows(self, features)
    return rows - rows.min()


def fills_in(self, features):
    return Metric.rows(self, [{**{need: np.ones(5, np.float32) for need in self.needs}, **one} for one in features])


def has_one_more(self, rows):
    return {**Metric.aggregate(self, rows), "jitters": 0.0}


def mean_of_nothing(self, rows):
    return {"jitter": math.nan}


OF_VIDEOS = [
    ("test_every_video_has_every_number", {"row": out_of_limits}),
    ("test_a_number_moves_with_its_video", {"row": constant}),
    ("test_nothing_is_read_but_what_it_needs", {"row": reads_more}),
    ("test_features_are_left_as_they_were", {"row": changes_features}),
    ("test_a_video_is_scored_alone", {"rows": beside_the_others}),
    ("test_a_feature_that_is_missing_is_told", {"rows": fills_in}),
    ("test_the_aggregate_has_every_number", {"aggregate": has_one_more}),
    ("test_the_aggregate_has_every_number", {"aggregate": mean_of_nothing}),
]


@pytest.mark.parametrize(("test", "broken"), OF_VIDEOS)
def test_a_metric_of_videos_that_breaks_a_promise_is_found(test, broken):
    assert failing_of(stating(Jitter, **broken)) == {test}


def test_an_undefined_number_without_a_reason_is_found():
    def row(self, features):
        value = float(features["flow/mean"].mean())
        return (value if value > 0.5 else math.nan,)

    silent = (Column("jitter", "Jitter", "share", False),)
    assert failing_of(stating(Jitter, row=row)) == set()
    assert failing_of(stating(Jitter, row=row, columns=silent)) == {"test_every_video_has_every_number"}


def changed(number):
    """`compare` with another number in the place of the sound one."""

    def compare(self, videos, reference, people):
        return {"gap": number(Gap.compare(self, videos, reference, people)["gap"], videos, people)}

    return compare


OF_SETS = [
    ("test_every_column_refers_to_a_set_and_has_a_number", lambda sound, *_: SetNumber(-sound.value)),
    (
        "test_every_column_refers_to_a_set_and_has_a_number",
        lambda sound, videos, people: sound if people else SetNumber(math.inf),
    ),
    ("test_the_order_of_videos_says_nothing", lambda sound, videos, people: SetNumber(abs(float(videos[0, 0])))),
    ("test_another_set_has_another_number", lambda *_: SetNumber(1.0)),
    (
        "test_numbers_without_a_person_are_as_many_as_people",
        lambda sound, *_: SetNumber(sound.value, without=sound.without[1:]),
    ),
]


@pytest.mark.parametrize(("test", "number"), OF_SETS)
def test_a_metric_of_sets_that_breaks_a_promise_is_found(test, number):
    assert failing_of_set(stating(Gap, compare=changed(number))) == {test}


def test_a_number_of_sets_that_names_no_set_is_found():
    broken = stating(Gap, columns=(Column("gap", "Gap", "distance", False),))
    assert failing_of_set(broken) == {"test_every_column_refers_to_a_set_and_has_a_number"}
