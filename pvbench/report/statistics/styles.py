"""What rows in a style reach: the style, and what they keep of the face, the motion and the prompt."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pvbench.report.data import ReportData, ReportVariant
from pvbench.report.statistics.comparison import identity_means, known, report_rng, share
from pvbench.report.statistics.score import Kept
from pvbench.stats import sign_flip_greater_p


@dataclass(frozen=True)
class InStyle:
    """One row in a style, beside the floor and the ceiling in the same style and beside the row without one.

    A share is None where one of the rows that it needs is missing, or is the row itself.

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
    own, (floor, ceiling) = variant.label, _ends(data, variant.style)
    styled, without = (own, floor, ceiling), (variant.plain, *_ends(data, ""))
    reached = list(data.defined(own, f"style_{variant.style}").values())
    is_end = own in (floor, ceiling)

    def gained(labels: tuple[str, ...], formula: Callable[..., float]) -> Kept | None:
        return None if is_end else share(data, "face_sim", labels, formula)

    def kept(column: str) -> Kept | None:
        return None if own == floor else share(data, column, (own, floor), lambda mine, low: mine / low)

    return InStyle(
        label=own,
        style=variant.style,
        reached=float(np.mean(reached)) if reached else math.nan,
        face=gained(styled, _gain),
        face_without=gained(without, _gain) if ceiling and floor else None,
        face_lost=gained((*without, *styled), _lost),
        p=math.nan if is_end else _above(data, own, floor),
        flow=kept("flow_magnitude"),
        clip_t=kept("clip_t"),
        action=kept("action_right"),
    )


def _gain(own: float, low: float, high: float) -> float:
    return (own - low) / (high - low)


def _lost(*means: float) -> float:
    """Of the row, its floor and its ceiling, without a style and then in one."""
    return _gain(*means[:3]) - _gain(*means[3:])


def _ends(data: ReportData, style: str) -> tuple[str, str]:
    """Labels of the floor and the ceiling in a style, or without one; empty for a row that is missing."""
    return _twin(data, "floor", style), _twin(data, "ceiling", style)


def _twin(data: ReportData, role: str, style: str) -> str:
    plain = next((one.label for one in data.variants if one.role == role), "")
    if not style:
        return plain
    return next((one.label for one in data.variants if one.style == style and one.plain == plain), "")


def _above(data: ReportData, first: str, second: str) -> float:
    own, other = (data.defined(label, "face_sim") for label in (first, second))
    differences = identity_means(known({cell: own[cell] - other[cell] for cell in own if cell in other}))
    if not differences:
        return math.nan
    return sign_flip_greater_p(np.array(list(differences.values())), report_rng("style", first, second))
