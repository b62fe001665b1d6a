"""Who watches a run: told what was planned, how far it is and what failed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from pvbench.runner.plan import Plan
from pvbench.runner.survey import Survey
from pvbench.store import Failure


@dataclass
class Tally:
    """How far one stage is: pieces of work in all, done and failed, and the share of a tuning under way."""

    total: int = 0
    done: int = 0
    failed: int = 0
    under_way: float = 0.0


@runtime_checkable
class Observer(Protocol):
    """Shows a person how a run goes."""

    def planned(self, plan: Plan, survey: Survey, tallies: dict[str, Tally], workers: int, seconds: float) -> None:
        """Before anything is done: what there is to do, and how many seconds it may take."""

    def advanced(self, tallies: dict[str, Tally], seconds_left: float, doing: str) -> None:
        """Something was done; `doing` says in a few words what is under way."""

    def failed(self, failure: Failure) -> None:
        """A cell or a tuning failed; the run goes on."""

    def noted(self, text: str) -> None:
        """Something worth telling."""

    def ended(self) -> None:
        """Nothing more will come."""


class Silent:
    """An observer that shows nothing."""

    def planned(self, plan: Plan, survey: Survey, tallies: dict[str, Tally], workers: int, seconds: float) -> None:
        """Nothing is shown."""

    def advanced(self, tallies: dict[str, Tally], seconds_left: float, doing: str) -> None:
        """Nothing is shown."""

    def failed(self, failure: Failure) -> None:
        """Nothing is shown; the report lists it."""

    def noted(self, text: str) -> None:
        """Nothing is shown."""

    def ended(self) -> None:
        """Nothing is shown."""


def tallies_of(plan: Plan, survey: Survey) -> dict[str, Tally]:
    """How far each stage is before anything is done."""
    adapters = len(plan.tuning_rows) * len(plan.identities)
    cells = len(plan.cells)
    return {
        "tune": Tally(adapters, adapters - len(survey.tunings)),
        "generate": Tally(cells, len(survey.made)),
        "measure": Tally(cells, len(survey.measured)),
    }
