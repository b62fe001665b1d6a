"""How long what is left will take, from what this and earlier runs in the folder measured."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from typing import Any

from pvbench.profile import Cost

# Loading the networks, once a worker, before anything is measured.
_LOADING_SECONDS = 8.0
_REMEMBERED = 50


class Costs:
    """Seconds of one worker for one tuning, one video made, one video measured, by method.

    The median of what was seen on this device goes before the profile's figures.

    Args:
        scales: by stage and method, what the profile's figures are multiplied with, see `scales_of`.
    """

    def __init__(
        self,
        cost: Cost,
        device: str,
        log: Iterable[Mapping[str, Any]] = (),
        scales: Mapping[tuple[str, str], float] | None = None,
    ) -> None:
        self._cost, self._scales = cost, scales or {}
        self._seen: dict[tuple[str, str], list[float]] = {}
        for entry in log:
            stage, method, seconds = entry.get("stage"), entry.get("method"), entry.get("seconds")
            if (
                isinstance(stage, str)
                and isinstance(method, str)
                and isinstance(seconds, int | float)
                and entry.get("device") == device
            ):
                self.observe(stage, method, seconds)

    def observe(self, stage: str, method: str, seconds: float) -> None:
        """One more measured piece of work; the latest ones count."""
        seen = self._seen.setdefault((stage, method), [])
        seen.append(seconds)
        del seen[:-_REMEMBERED]

    def seconds(self, stage: str, method: str) -> float:
        """What one piece of work of that stage and method costs one worker."""
        seen = self._seen.get((stage, method))
        return statistics.median(seen) if seen else self._said(stage, method) * self._scales.get((stage, method), 1.0)

    def _said(self, stage: str, method: str) -> float:
        if stage == "tune":
            return self._cost.tune_s.get(method, self._cost.default_tune_s)
        if stage == "generate":
            return self._cost.video_s.get(method, self._cost.default_video_s)
        return self._cost.measure_s

    def total(self, pieces: Mapping[tuple[str, str], float], workers: int, fresh: bool = False) -> float:
        """Seconds until so many pieces by (stage, method) are done; `fresh` adds loading the networks."""
        work = sum(count * self.seconds(stage, method) for (stage, method), count in pieces.items())
        return work / workers + (_LOADING_SECONDS if fresh and work else 0.0)
