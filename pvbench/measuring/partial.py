"""A published protocol as far as weights allow: metrics whose networks are missing are left out and told."""

from __future__ import annotations

import dataclasses

from pvbench.errors import WeightsError
from pvbench.evaluator import FeaturePlan
from pvbench.measuring.imported import Problem
from pvbench.measuring.request import MeasureRequest
from pvbench.metrics import metric_class


def as_weights_allow(order: MeasureRequest) -> tuple[MeasureRequest, list[Problem]]:
    """The request without those of its `optional` metrics whose weights are missing, and a problem for each of these.

    Raises:
        WeightsError: those of all metrics are missing; the message is that of the first.
    """
    missing: dict[str, WeightsError] = {}
    for name in order.optional:
        try:
            plan = FeaturePlan(order.profile, metric_class(name).needs)
            for part in plan.parts:
                plan.loaders[part].provide(order.profile)
                plan.loaders[part].signature(order.profile)
        except WeightsError as error:
            missing[name] = error
    left = tuple(name for name in order.metrics if name not in missing)
    if missing and not left:
        raise next(iter(missing.values()))
    problems = [
        Problem(f"metric {name}", f"weights are missing, and it is left out: {error}", stops=False)
        for name, error in missing.items()
    ]
    return dataclasses.replace(order, metrics=left), problems
