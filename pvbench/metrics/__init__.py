"""Metrics: features of videos in, rows of numbers out, each with its signature; found by name, from any package."""

import dataclasses
import functools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from pvbench.errors import did_you_mean
from pvbench.metrics.gallery import with_derived
from pvbench.metrics.metric import Column, Features, Metric, MetricError, SetMetric, Signature, Signed
from pvbench.registry import Registry

PAPER = ("face_sim", "dynamic_degree", "temporal_consistency", "clip_t", "clip_i", "fvd")
"""The metrics of the paper's Table 1, which are made where none is named."""

SETS: Mapping[str, tuple[str, ...]] = {
    "all": PAPER,
    "personalvideo": PAPER,
    "opens2v": ("opens2v_face", "opens2v_aesthetic", "opens2v_motion"),
    "consisid": ("consisid_face", "consisid_fid", "consisid_clip_score"),
    "ipvg": ("consisid_face", "consisid_fid", "consisid_clip_score"),
    "vbench": (
        "dynamic_degree",
        "subject_consistency",
        "background_consistency",
        "temporal_flickering",
        "aesthetic_quality",
    ),
}
"""Names that stand for several metrics: the paper's, and those of published protocols.

The IPVG challenge has released no scorer; its four numbers are those of ConsisID's script. Of OpenS2V-Eval's
scores and VBench's sixteen dimensions those are here that these networks compute.
"""

PROTOCOLS = ("opens2v", "consisid", "ipvg", "vbench")
"""Of these sets, published protocols, some of whose numbers may be had where others' weights are missing."""

_BUILT_IN = (
    *PAPER,
    "identity_consistency",
    "subject_consistency",
    "background_consistency",
    "temporal_flickering",
    "warping_error",
    "hps_score",
    "prompt_parts",
    "line_up",
    "verification",
    "head_sim",
    "look",
    "same_person",
    "copying",
)
_TABLE = ("face_sim", "dynamic_degree", "fvd", "temporal_consistency", "clip_t", "clip_i")
"""In a table FVD stands where the paper has it."""


def _check_metric(where: str, cls: type[Signed]) -> None:
    if not issubclass(cls, Metric | SetMetric):
        raise MetricError(f"{where} derives from neither Metric nor SetMetric")
    if not dataclasses.is_dataclass(cls):
        raise MetricError(f"{where} is not a dataclass; make it a frozen one whose fields are its settings")
    if not cls.columns:
        raise MetricError(f"{where} has no columns; a metric has one number at least")


METRICS: Registry[Signed] = Registry(
    "metric", Signed, MetricError, ("version", "needs", "parts", "columns"), _check_metric
)


@functools.cache
def installed() -> tuple[type[Signed], ...]:
    """The metrics that work, pvbench's own first; those that do not import are for `list` and `doctor` to tell."""
    found: list[type[Signed]] = []
    taken: set[str] = set()
    own = [name for name in _BUILT_IN if name in METRICS.names()]
    for name in [*own, *(name for name in METRICS.names() if name not in own)]:
        try:
            cls = METRICS.get(name)
        except MetricError:
            continue
        columns = {column.name for column in cls.columns}
        if not columns & taken:
            found.append(cls)
            taken |= columns
    return tuple(found)


def metric_class(name: str) -> type[Signed]:
    """The metric of that name.

    Raises:
        MetricError: for an unknown name, one that does not import or keep the interface, or one whose numbers are
            called as those of another.
    """
    cls = METRICS.get(name)
    if cls not in installed():
        columns = {column.name for column in cls.columns}
        other = next(one for one in installed() if columns & {column.name for column in one.columns})
        twin = sorted(columns & {column.name for column in other.columns})[0]
        raise MetricError(f"metric {name!r} has a number {twin!r}, as the metric {other.name!r} has; rename one")
    return cls


class _Lazy(Mapping[str, Column]):
    """Columns by name, collected when they are first asked for, so that importing this module imports no plug-in."""

    def __init__(self, kept: Callable[[type[Signed], Column], bool]) -> None:
        self._kept = kept

    @functools.cached_property
    def _columns(self) -> dict[str, Column]:
        return {column.name: column for one in installed() for column in one.columns if self._kept(one, column)}

    def __getitem__(self, name: str) -> Column:
        return self._columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)


COLUMNS: Mapping[str, Column] = _Lazy(lambda one, column: True)
"""Every number that a report can hold, by its name in the files."""

VIDEO_COLUMNS: Mapping[str, Column] = _Lazy(lambda one, column: issubclass(one, Metric) and one.name in PAPER)
"""Every number that a single video has by default."""

EXTRA_COLUMNS: Mapping[str, Column] = _Lazy(lambda one, column: issubclass(one, Metric) and one.name not in PAPER)
"""The numbers of single videos that are made only where their metric is named."""


@functools.cache
def metric_of(column: str) -> type[Signed]:
    """Which metric makes a number."""
    return next(one for one in installed() if any(own.name == column for own in one.columns))


def columns_in(group: str, names: Collection[str] | None = None) -> tuple[str, ...]:
    """The numbers that stand in a table, in its order, of the metrics named; of the paper's metrics by default."""
    asked = PAPER if names is None else names
    found = [name for name, column in COLUMNS.items() if column.group == group and metric_of(name).name in asked]
    return tuple(sorted(found, key=lambda name: _TABLE.index(name) if name in _TABLE else len(_TABLE)))


def choose(text: str | None, default: Sequence[str] = ("all",)) -> tuple[str, ...]:
    """The metrics that a text names by comma, each by its name or several by that of a set, as in `SETS`.

    Args:
        default: what is taken for None, as a profile says.

    Raises:
        MetricError: one does not exist or cannot be used, or none is named.
    """
    known = tuple(one.name for one in installed())
    asked = list(default) if text is None else [part.strip() for part in text.split(",") if part.strip()]
    names = [name for one in asked for name in SETS.get(one, (one,))]
    for name in names:
        if name not in METRICS.names():
            near = did_you_mean(name, (*SETS, *known))
            raise MetricError(f"unknown metric {name!r}{near}; known: {', '.join((*SETS, *known))}")
        metric_class(name)
    if not names:
        raise MetricError(f"--metrics names none; known: {', '.join((*SETS, *known))}")
    return tuple(dict.fromkeys(names))


def of_protocols(text: str | None) -> tuple[str, ...]:
    """The metrics that a text as `choose` takes it names by a published protocol alone, and not by themselves."""
    asked = [part.strip() for part in (text or "").split(",")]
    named = {name for one in asked if one not in PROTOCOLS for name in SETS.get(one, (one,))}
    found = [name for one in asked if one in PROTOCOLS for name in SETS[one] if name not in named]
    return tuple(dict.fromkeys(found))


def reads(names: Collection[str] | None, feature: str) -> bool:
    """Whether one of the metrics named reads a feature; of the paper's metrics by default."""
    return any(feature in metric_class(name).needs for name in (PAPER if names is None else names))


def check_features(names: Collection[str], made: Collection[str] | None) -> None:
    """Refuses a metric that reads what no evaluator makes, before anything is computed.

    Args:
        made: the features that the evaluators can make; None where they do not say.

    Raises:
        MetricError: naming the metric and the feature.
    """
    there = None if made is None else with_derived(made)
    for name in names if there is not None else ():
        for need in metric_class(name).needs:
            if need not in (there or ()):
                hint = _who_makes(need) or (
                    f"which no evaluator makes{did_you_mean(need, there or ())}; leave it out with --metrics, or "
                    f"install what makes it"
                )
                raise MetricError(f"metric {name!r} needs the feature {need!r}, {hint}")


def _who_makes(feature: str) -> str:
    """What to do where a profile's evaluators do not make a feature, but another kind's; empty where none does."""
    from pvbench.evaluator import EVALUATORS, KINDS

    for kind, parts in KINDS.items():
        if any(feature in group.features for name in parts.values() for group in EVALUATORS.get(name).groups):
            example = "mini" if kind == "mini" else "animatediff"
            return (
                f"which no evaluator of this profile makes; take a profile whose evaluators are of the kind {kind}, "
                f"such as --profile {example}, or leave it out with --metrics"
            )
    return ""


def load_metrics(
    settings: Mapping[str, Mapping[str, object]] | None = None, names: Collection[str] | None = None
) -> tuple[Metric, ...]:
    """The metrics of single videos, set as a profile says: ``{"dynamic_degree": {"threshold_scale": 0.5}}``.

    Args:
        names: which; those of the paper by default.

    Raises:
        MetricError: a metric or a setting does not exist, or a value is out of range.
    """
    settings = settings or {}
    known = [one.name for one in installed() if issubclass(one, Metric)]
    for name in settings:
        if name not in known:
            raise MetricError(f"no metric {name!r}{did_you_mean(name, known)}; settings are for: {', '.join(known)}")
    asked = PAPER if names is None else names
    return tuple(
        _configured(one, settings.get(one.name, {}))
        for one in installed()
        if issubclass(one, Metric) and one.name in asked
    )


def load_set_metrics(names: Collection[str] | None = None) -> tuple[type[SetMetric], ...]:
    """The metrics of sets of videos that are asked for; those of the paper by default."""
    asked = PAPER if names is None else names
    return tuple(one for one in installed() if issubclass(one, SetMetric) and one.name in asked)


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


def known_of(features: Features, metrics: Sequence[Metric]) -> tuple[Metric, ...]:
    """The metrics that a cell can have: without those that compare with photos where none are kept for scoring."""
    return tuple(one for one in metrics if all(n in features or not n.startswith("reference/") for n in one.needs))


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
    "COLUMNS",
    "EXTRA_COLUMNS",
    "METRICS",
    "PROTOCOLS",
    "PAPER",
    "VIDEO_COLUMNS",
    "Column",
    "Features",
    "Metric",
    "MetricError",
    "SetMetric",
    "Signature",
    "check_features",
    "choose",
    "columns_in",
    "installed",
    "known_of",
    "load_metrics",
    "load_set_metrics",
    "metric_class",
    "metric_of",
    "of_protocols",
    "reads",
    "score",
]
