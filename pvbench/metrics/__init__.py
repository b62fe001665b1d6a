"""The six metrics of the paper: features of a video in, rows of numbers out, each with its signature."""

import dataclasses
from collections.abc import Collection, Mapping, Sequence

from pvbench.errors import did_you_mean
from pvbench.metrics.background_consistency import BackgroundConsistency
from pvbench.metrics.clip_i import ClipI
from pvbench.metrics.clip_t import ClipT
from pvbench.metrics.dynamic_degree import DynamicDegree
from pvbench.metrics.face_sim import FaceSim
from pvbench.metrics.fvd import Fvd
from pvbench.metrics.hps_score import HpsScore
from pvbench.metrics.identity_consistency import IdentityConsistency
from pvbench.metrics.metric import Column, Features, Metric, MetricError, Signature
from pvbench.metrics.subject_consistency import SubjectConsistency
from pvbench.metrics.temporal_consistency import TemporalConsistency
from pvbench.metrics.warping_error import WarpingError

METRICS: tuple[type[Metric], ...] = (FaceSim, DynamicDegree, TemporalConsistency, ClipT, ClipI)
"""Metrics of single videos, in the order of the report. FVD is a metric of sets and stands apart."""

EXTRA_METRICS: tuple[type[Metric], ...] = (
    IdentityConsistency, SubjectConsistency, BackgroundConsistency, WarpingError, HpsScore,
)
"""Metrics of single videos that people ask for besides; made only where they are named."""

VIDEO_COLUMNS: Mapping[str, Column] = {column.name: column for metric in METRICS for column in metric.columns}
"""Every number that a single video has by default, by its name in the files."""

EXTRA_COLUMNS: Mapping[str, Column] = {column.name: column for metric in EXTRA_METRICS for column in metric.columns}
"""The numbers of the extra metrics."""

METRIC_OF: Mapping[str, str] = {
    **{column.name: metric.name for metric in (*METRICS, *EXTRA_METRICS) for column in metric.columns},
    **{column.name: Fvd.name for column in Fvd.columns},
}
"""Which metric makes a number."""

COLUMNS: Mapping[str, Column] = {
    **VIDEO_COLUMNS, **{column.name: column for column in Fvd.columns}, **EXTRA_COLUMNS
}
"""Every number that a report can hold, by its name in the files."""


def load_metrics(
    settings: Mapping[str, Mapping[str, object]] | None = None, names: Collection[str] | None = None
) -> tuple[Metric, ...]:
    """The metrics of single videos, set as a profile says: ``{"dynamic_degree": {"threshold_scale": 0.5}}``.

    Args:
        names: which, of the extra ones too; all but the extra ones by default.

    Raises:
        MetricError: a metric or a setting does not exist, or a value is out of range.
    """
    settings = settings or {}
    known = [metric.name for metric in METRICS]
    for name in settings:
        if name not in known:
            raise MetricError(f"no metric {name!r}{did_you_mean(name, known)}; settings are for: {', '.join(known)}")
    chosen = METRICS if names is None else [one for one in (*METRICS, *EXTRA_METRICS) if one.name in names]
    return tuple(_configured(metric, settings.get(metric.name, {})) for metric in chosen)


def _configured(metric: type[Metric], settings: Mapping[str, object]) -> Metric:
    defaults = {field.name: field.default for field in dataclasses.fields(metric)}  # type: ignore[arg-type]
    values: dict[str, object] = {}
    for name, value in settings.items():
        if name not in defaults:
            raise MetricError(
                f"{metric.name} has no setting {name!r}{did_you_mean(name, defaults)}; "
                f"it has: {', '.join(defaults) or 'none'}"
            )
        expected = type(defaults[name])
        # TOML writes 1 for 1.0.
        values[name] = float(value) if expected is float and type(value) is int else value
        if type(values[name]) is not expected:
            raise MetricError(f"{metric.name}: {name} is a {expected.__name__}, not {value!r}")
    return metric(**values)


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


__all__ = [
    "EXTRA_COLUMNS",
    "EXTRA_METRICS",
    "METRICS",
    "METRIC_OF",
    "COLUMNS",
    "VIDEO_COLUMNS",
    "Column",
    "Features",
    "Fvd",
    "Metric",
    "MetricError",
    "Signature",
    "load_metrics",
    "score",
]
