"""The six metrics of the paper: features of a video in, rows of numbers out, each with its signature."""

import dataclasses
import difflib
from collections.abc import Mapping, Sequence

from pvbench.metrics.clip_i import ClipI
from pvbench.metrics.clip_t import ClipT
from pvbench.metrics.dynamic_degree import DynamicDegree
from pvbench.metrics.face_sim import FaceSim
from pvbench.metrics.fvd import Fvd
from pvbench.metrics.metric import Column, Features, Metric, MetricError, Signature
from pvbench.metrics.temporal_consistency import TemporalConsistency

METRICS: tuple[type[Metric], ...] = (FaceSim, DynamicDegree, TemporalConsistency, ClipT, ClipI)
"""Metrics of single videos, in the order of the report. FVD is a metric of sets and stands apart."""

COLUMNS: Mapping[str, Column] = {column.name: column for metric in (*METRICS, Fvd) for column in metric.columns}
"""Every number that a report can hold, by its name in the files."""


def load_metrics(settings: Mapping[str, Mapping[str, object]] | None = None) -> tuple[Metric, ...]:
    """The metrics of single videos, set as a profile says: ``{"dynamic_degree": {"threshold_scale": 0.5}}``.

    Raises:
        MetricError: a metric or a setting does not exist, or a value is out of range.
    """
    settings = settings or {}
    names = [metric.name for metric in METRICS]
    for name in settings:
        if name not in names:
            raise MetricError(f"no metric {name!r} has settings{_did_you_mean(name, names)}")
    return tuple(_configured(metric, settings.get(metric.name, {})) for metric in METRICS)


def _configured(metric: type[Metric], settings: Mapping[str, object]) -> Metric:
    fields = [field.name for field in dataclasses.fields(metric)]  # type: ignore[arg-type]
    for name in settings:
        if name not in fields:
            raise MetricError(f"{metric.name} has no setting {name!r}{_did_you_mean(name, fields)}")
    return metric(**settings)


def _did_you_mean(name: str, names: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, names, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; there are: {', '.join(names) or 'none'}"


def score(features: Features, metrics: Sequence[Metric]) -> dict[str, float]:
    """Every column of every metric for one video, by the names of scores.csv.

    Raises:
        MetricError: a feature is missing, empty or not finite.
    """
    return {
        column.name: float(value)
        for metric in metrics
        for column, value in zip(metric.columns, metric.rows([features])[0], strict=True)
    }


__all__ = ["METRICS", "COLUMNS", "Column", "Features", "Fvd", "Metric", "MetricError", "Signature", "load_metrics",
           "score"]
