"""What a run folder holds of a plan."""

from __future__ import annotations

from dataclasses import dataclass

from pvbench.runner.plan import Cell, Plan
from pvbench.runner.survey import Survey, take_survey
from pvbench.store import Failure, Features, Store


@dataclass(frozen=True)
class RunResult:
    """What a run folder holds of a plan: the features of each measured cell, and why others have none."""

    plan: Plan
    store: Store
    survey: Survey
    failures: dict[Cell, Failure]

    def features(self, cell: Cell) -> Features | None:
        """All features of one cell; None for one that failed or was never made."""
        return self.survey.features(cell, self.plan.text(cell))

    @property
    def complete(self) -> bool:
        """Whether every cell was made and measured."""
        return all(cell in self.survey.measured for cell in self.plan.cells)


def collect(plan: Plan, store: Store, survey: Survey | None = None) -> RunResult:
    """What the folder holds of the plan, without making anything."""
    survey = survey or take_survey(plan, store)
    recorded = store.failures()
    failures = {}
    for cell in plan.cells:
        if cell not in survey.measured:
            keys = (plan.video_key(cell), plan.adapter_key(plan.variant(cell.variant), plan.identity(cell.identity)))
            failure = next((recorded[key] for key in keys if key in recorded), None)
            if failure is not None:
                failures[cell] = failure
    return RunResult(plan, store, survey, failures)
