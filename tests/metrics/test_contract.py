"""Every built-in metric keeps the contract."""

import pytest

from pvbench.metrics import Metric, installed
from pvbench.metrics.fvd import Fvd
from pvbench.testing import MetricContract, SetMetricContract


class TestFvd(SetMetricContract):
    metric = Fvd


SETTINGS = {
    "verification": {"threshold_1": 0.01, "threshold_01": 0.02},
    "same_person": {"face": 0.01, "skin": 40.0, "hair": 40.0, "look": 0.01},
}


def _suite(kind):
    stated = {"metric": kind, "settings": SETTINGS.get(kind.name, {}), "__module__": __name__}
    return type(f"Test{kind.__name__}", (MetricContract,), stated)


for _kind in installed():
    if issubclass(_kind, Metric):
        globals()[f"Test{_kind.__name__}"] = _suite(_kind)


def test_there_is_a_suite_for_each():
    suites = {suite.metric for suite in globals().values() if isinstance(suite, type) and hasattr(suite, "metric")}
    assert suites == set(installed())


class TestAnAggregateOfItsOwn:
    """A median instead of a mean is what the report states, with an interval that fits it."""

    @pytest.fixture
    def report(self, monkeypatch):
        import numpy as np

        from pvbench.metrics.face_sim import FaceSim

        def median(self, rows):
            return {
                column.name: float(np.median(of_one[~np.isnan(of_one)])) if (~np.isnan(of_one)).any() else np.nan
                for column, of_one in zip(self.columns, rows.T, strict=True)
            }

        monkeypatch.setattr(FaceSim, "aggregate", median)
        return FaceSim

    def test_the_report_asks_the_metric(self, report):
        import numpy as np

        from pvbench.report.data import CellKey
        from pvbench.report.statistics.aggregate import _interval, aggregated

        values = np.array([0.1, 0.2, 0.9, 0.4, 0.5, 0.6])
        cells = [CellKey(person, prompt, 0) for person in ("ann", "bob", "cleo") for prompt in ("p1", "p2")]
        assert aggregated(report(), "face_sim", values) == pytest.approx(0.45)
        interval = _interval(report(), "face_sim", values, cells)
        assert interval.kind == "jackknife over identities"
        assert interval.low < 0.45 < interval.high
