"""When a file's frames are shown, by their time stamps: the rate that a file declares may be any."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvbench.video.video import rate_of

SHORTEST, INSTEAD = Fraction(1, 100), Fraction(1, 10)
"""Seconds: a frame of an animation that is shown for no longer is shown for a tenth of a second, as browsers do."""
_STEADY, _AGREES = 0.1, 0.01
"""By so much of their mean gaps may differ in a steady video, and by so much of its length may a rate be wrong."""


@dataclass(frozen=True)
class Pace:
    """How a video's frames follow each other.

    Attributes:
        fps: frames a second, on average where they are shown for unequal times.
        shown: seconds from the first frame at which each is shown, and at which the last ends; None for equal times.
    """

    fps: float
    shown: NDArray[np.float64] | None = None


def pace_of(
    stamps: Sequence[int | None], last: int, tick: Fraction, declared: Iterable[Fraction | None]
) -> Pace | None:
    """The pace of frames by their time stamps; None where neither these nor the declared rates say anything.

    The first declared rate that agrees with the time stamps is taken: these are rounded to ticks.

    Args:
        stamps: of the frames as they are shown, in ticks; None where a file has none.
        last: for how many ticks the last frame is shown; 0 where a file does not say.
        tick: in seconds.
        declared: frames a second, as the file's head has them.
    """
    rates = [rate for rate in declared if rate]
    known = [stamp for stamp in stamps if stamp is not None]
    if len(known) < max(2, len(stamps)) or known[0] == known[-1]:
        return Pace(float(rate_of(float(rates[0])))) if rates else None
    times = np.array(known, np.float64)
    gaps = np.diff(times)
    mean = float(gaps.mean())
    close = max(1.0, _STEADY * mean)
    if gaps.max() - gaps.min() <= close and last <= gaps.max() + close:
        return Pace(float(rate_of(float(_rate(times, tick, rates)))))
    end = times[-1] + max(last, float(np.median(gaps)))
    shown = (np.append(times, end) - times[0]) * float(tick)
    return Pace(float(rate_of(len(known) / shown[-1])), shown)


def stream_pace(stream: Any, stamps: Sequence[int | None], last: int) -> Pace | None:
    """The pace of the frames of a decoder's stream; in a GIF, a hundredth of a second is a tenth, as in browsers.

    Args:
        stamps, last: as `pace_of` has them.
    """
    tick, declared = stream.time_base, (stream.average_rate, stream.guessed_rate)
    if stream.codec_context.name == "gif" and None not in stamps:
        known = [stamp for stamp in stamps if stamp is not None]
        gaps = [after - before for before, after in pairwise(known)]
        longer = [gap if gap * tick > SHORTEST else round(INSTEAD / tick) for gap in gaps]
        if longer != gaps:
            stamps, declared = [0, *accumulate(longer)], (None, None)
            last = last if not last or last * tick > SHORTEST else longer[-1]
    return pace_of(stamps, last, tick, declared)


def _rate(times: NDArray[np.float64], tick: Fraction, declared: Sequence[Fraction]) -> float | Fraction:
    """Frames a second: as declared where that agrees with the time stamps, else a whole number that does, else any."""
    ticks, gaps = times[-1] - times[0], len(times) - 1
    measured = float(gaps / (ticks * float(tick)))
    for rate in (*declared, Fraction(max(1, round(measured)))):
        if abs(gaps / (float(rate) * float(tick)) - ticks) <= max(1.5, _AGREES * ticks):
            return rate
    return measured
