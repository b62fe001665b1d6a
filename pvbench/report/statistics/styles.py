"""What rows in a style reach: the style, and what they keep of the face, the motion and the prompt."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pvbench.report.data import ReportData, ReportVariant
from pvbench.report.statistics.comparison import identity_means, known, report_rng, share
from pvbench.report.statistics.score import Kept
from pvbench.stats import sign_flip_greater_p


@dataclass(frozen=True)
class InStyle:
    """One row in a style, beside the floor and the ceiling in the same style and beside the row without one.

    A share is None where one of the rows that it needs is missing.

    Attributes:
        reached: mean probability of the style; NaN where it was not measured.
        face: Face Sim. from the floor in the style (0) to the ceiling in the style (1).
        face_without: the same of the row without a style, between floor and ceiling without one.
        face_lost: `face_without` minus `face`.
        p: one-sided sign-flip test over people of a Face Sim. above that of the floor in the style; NaN without it.
        flow, clip_t, action: mean flow, CLIP-T and right action as shares of the floor's in the style.
    """

    label: str
    style: str
    reached: float
    face: Kept | None
    face_without: Kept | None
    face_lost: Kept | None
    p: float
    flow: Kept | None
    clip_t: Kept | None
    action: Kept | None


def rows_in_styles(data: ReportData) -> tuple[InStyle, ...]:
    """The rows in a style, in the order of the tables; none where there are none."""
    return tuple(_row(data, variant) for variant in data.in_table_order if variant.style)


def _row(data: ReportData, variant: ReportVariant) -> InStyle:
    own, ends = variant.label, _ends(data, variant.style)
    floor = ends[0]
    between = None not in ends and own not in ends
    styled = (own, *map(str, ends))
    without = (variant.plain, *map(str, _ends(data, "")))
    whole = between and {*without} <= {one.label for one in data.variants}
    reached = list(data.defined(own, f"style_{variant.style}").values())
    return InStyle(
        label=own,
        style=variant.style,
        reached=float(np.mean(reached)) if reached else math.nan,
        face=share(data, "face_sim", styled, _gain) if between else None,
        face_without=share(data, "face_sim", without, _gain) if whole else None,
        face_lost=share(data, "face_sim", (*without, *styled), _lost) if whole else None,
        p=_above(data, own, str(floor)) if floor is not None and own not in ends else math.nan,
        **{
            name: None
            if floor is None or own == floor
            else share(data, column, (own, floor), lambda mine, low: mine / low)
            for name, column in (("flow", "flow_magnitude"), ("clip_t", "clip_t"), ("action", "action_right"))
        },
    )


def _gain(own: float, low: float, high: float) -> float:
    return (own - low) / (high - low)


def _lost(*means: float) -> float:
    """Of the row, its floor and its ceiling, without a style and then in one."""
    return _gain(*means[:3]) - _gain(*means[3:])


def _ends(data: ReportData, style: str) -> tuple[str | None, str | None]:
    """Labels of the floor and the ceiling in a style, or without one."""
    return _twin(data, "floor", style), _twin(data, "ceiling", style)


def _twin(data: ReportData, role: str, style: str) -> str | None:
    """Label of the row that is the floor or the ceiling of rows in a style, or without one."""
    plain = next((one.label for one in data.variants if one.role == role), None)
    if plain is None or not style:
        return plain
    return next((one.label for one in data.variants if one.style == style and one.plain == plain), None)


def _above(data: ReportData, first: str, second: str) -> float:
    own, other = (data.defined(label, "face_sim") for label in (first, second))
    differences = identity_means(known({cell: own[cell] - other[cell] for cell in own if cell in other}))
    if not differences:
        return math.nan
    return sign_flip_greater_p(np.array(list(differences.values())), report_rng("style", first, second))
