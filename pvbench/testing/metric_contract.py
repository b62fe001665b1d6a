"""What every metric keeps, as tests: subclass `MetricContract` in a test file of the plug-in's own.

    from pvbench.testing import MetricContract

    class TestMyMetric(MetricContract):
        metric = MyMetric

The suite scores random features of the right shapes. Override the fixture `videos` where the metric reads features of
an evaluator of yours. For a metric of sets, such as FVD, subclass `SetMetricContract`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pytest

from pvbench.digest import digest
from pvbench.evaluator import KINDS
from pvbench.metrics import METRICS, Metric, MetricError, SetMetric
from pvbench.metrics.metric import Features, Signed
from pvbench.testing.features import example_features

VIDEOS = 6
PARTS = tuple(dict.fromkeys(part for parts in KINDS.values() for part in parts))
EVALUATORS = {part: {"extractor": f"example {part}", "weights": "0" * 64} for part in PARTS}


class _Stated:
    """What holds for metrics of videos and of sets."""

    metric: ClassVar[type[Signed]]

    @pytest.fixture
    def videos(self) -> list[Features]:
        """The features of some videos of different people."""
        return [example_features(seed) for seed in range(VIDEOS)]

    def test_the_class_says_what_it_is(self) -> None:
        """Name, version, columns; and an installed metric of that name is this one."""
        cls = self.metric
        assert cls.name.isidentifier(), "a name is what --metrics takes: letters, digits and _"
        assert cls.version >= 1, "versions count from 1"
        assert cls.needs, "a metric reads features"
        assert cls.trap, "every metric can be cheated: say by what"
        names = [column.name for column in cls.columns]
        assert len(set(names)) == len(names) > 0, "a metric has columns, each with a name of its own"
        assert all(column.display and column.unit for column in cls.columns), "tables print name and unit"
        if cls.name in METRICS.names():
            assert METRICS.get(cls.name) is cls, f"another installed metric is named {cls.name!r}"

    def test_settings_are_frozen_and_have_defaults(self) -> None:
        """They stand in the signature."""
        cls = self.metric
        assert dataclasses.is_dataclass(cls)
        assert cls.__dataclass_params__.frozen, "a metric is a frozen dataclass"
        assert cls() == cls()

    def test_the_signature_holds_settings_and_evaluators(self) -> None:
        """It can be digested, and moves with what made the features."""
        signature = self.metric().signature(EVALUATORS)
        other = {part: {**made_by, "weights": "1" * 64} for part, made_by in EVALUATORS.items()}
        assert digest(signature.long) != digest(self.metric().signature(other).long)
        for field in dataclasses.fields(self.metric):  # type: ignore[arg-type]
            assert field.name in signature.facts


class MetricContract(_Stated):
    """Tests of one metric of single videos."""

    metric: ClassVar[type[Metric]]
    settings: ClassVar[Mapping[str, Any]] = {}
    """How it is set for the suite, where the defaults give no number."""

    def made(self) -> Metric:
        """The metric, set."""
        return self.metric(**self.settings)

    def test_every_video_has_every_number(self, videos: list[Features]) -> None:
        """In the unit's limits; undefined only where the column says so."""
        rows = self.made().rows(videos)
        assert rows.shape == (len(videos), len(self.metric.columns))
        for column, values in zip(self.metric.columns, rows.T, strict=True):
            defined = values[~np.isnan(values)]
            assert column.undefined or defined.size == values.size, f"{column.name} has no value, and says not why"
            assert ((defined >= column.limits[0]) & (defined <= column.limits[1])).all(), column.name

    def test_a_number_moves_with_its_video(self, videos: list[Features]) -> None:
        """A metric that cannot move says nothing."""
        rows = self.made().rows([*videos, example_features(99, missing=(0, 1, 3))])
        assert any(len(set(values[~np.isnan(values)])) > 1 for values in rows.T)

    def test_a_video_is_scored_alone(self, videos: list[Features]) -> None:
        """Its row rests on its own features, whatever comes with it."""
        together = self.made().rows(videos)
        for place, features in enumerate(videos):
            np.testing.assert_array_equal(self.made().rows([features])[0], together[place])

    def test_nothing_is_read_but_what_it_needs(self, videos: list[Features]) -> None:
        """A run makes no more than that."""
        needed = [{name: array for name, array in features.items() if name in self.metric.needs} for features in videos]
        np.testing.assert_array_equal(self.made().rows(needed), self.made().rows(videos))

    def test_features_are_left_as_they_were(self, videos: list[Features]) -> None:
        """Other metrics read them, too."""
        before = [{name: array.copy() for name, array in features.items()} for features in videos]
        self.made().rows(videos)
        for features, copies in zip(videos, before, strict=True):
            for name, array in features.items():
                np.testing.assert_array_equal(array, copies[name])

    def test_a_feature_that_is_missing_is_told(self, videos: list[Features]) -> None:
        """By its name."""
        for need in self.metric.needs:
            without = {name: array for name, array in videos[0].items() if name != need}
            with pytest.raises(MetricError, match=need):
                self.made().rows([without])

    def test_the_aggregate_has_every_number(self, videos: list[Features]) -> None:
        """And is undefined only where no video has one."""
        rows = self.made().rows(videos)
        found = self.made().aggregate(rows)
        assert set(found) == {column.name for column in self.metric.columns}
        for column, values in zip(self.metric.columns, rows.T, strict=True):
            assert math.isnan(found[column.name]) == bool(np.isnan(values).all()), column.name


class SetMetricContract(_Stated):
    """Tests of one metric of sets of videos."""

    metric: ClassVar[type[SetMetric]]
    people: ClassVar[tuple[str, ...]] = ("ann", "ann", "bob", "bob", "cleo", "cleo")

    @pytest.fixture
    def sets(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows of two sets of the same cells."""
        need = self.metric.needs[0]
        rows = [np.stack([example_features(seed + start)[need] for seed in range(VIDEOS)]) for start in (0, 100)]
        return rows[0].astype(np.float64), rows[1].astype(np.float64)

    def test_every_column_refers_to_a_set_and_has_a_number(self, sets: tuple[np.ndarray, np.ndarray]) -> None:
        """With people and without."""
        for people in (self.people, None):
            found = self.metric().compare(*sets, people)
            for column in self.metric.columns:
                assert column.reference, f"{column.name} names no reference set"
                value = found[column.of or column.name].value
                assert math.isfinite(value)
                assert column.limits[0] <= value <= column.limits[1]

    def test_the_order_of_videos_says_nothing(self, sets: tuple[np.ndarray, np.ndarray]) -> None:
        """The cells of both sets in another order."""
        videos, reference = sets
        found, turned = self.metric().compare(videos, reference, self.people), self.metric().compare(
            videos[::-1], reference[::-1], self.people[::-1])  # fmt: skip
        for name, number in found.items():
            assert turned[name].value == pytest.approx(number.value, rel=1e-6, abs=1e-9)

    def test_another_set_has_another_number(self, sets: tuple[np.ndarray, np.ndarray]) -> None:
        """A metric that cannot move says nothing."""
        videos, reference = sets
        found, moved = (self.metric().compare(rows, reference, self.people) for rows in (videos, videos + 1.0))
        assert any(number.value != moved[name].value for name, number in found.items())

    def test_numbers_without_a_person_are_as_many_as_people(self, sets: tuple[np.ndarray, np.ndarray]) -> None:
        """Where the metric gives them, for the interval."""
        for number in self.metric().compare(*sets, self.people).values():
            assert len(number.without) in (0, len(set(self.people)))
