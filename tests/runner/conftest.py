"""Runs of the example profile, each in a second or two."""

from collections import Counter

import pytest
from example_inputs import EXAMPLE_PROFILE
from inline_workers import here

from pvbench.runner.grid import run_grid
from pvbench.runner.plan import Choice, make_plan
from pvbench.store import Store


class Recorder:
    """An observer that remembers."""

    def __init__(self):
        self.plans = []
        self.tallies = {}
        self.left = []
        self.doing = []
        self.failures = []
        self.notes = []
        self.ends = 0

    def planned(self, plan, survey, tallies, workers, seconds):
        self.plans.append((workers, seconds))

    def advanced(self, tallies, seconds_left, doing):
        self.tallies = {stage: (tally.done, tally.failed, tally.total) for stage, tally in tallies.items()}
        self.left.append(seconds_left)
        self.doing.append(doing)

    def failed(self, failure):
        self.failures.append(failure)

    def noted(self, text):
        self.notes.append(text)

    def ended(self):
        self.ends += 1


class Run:
    """The result of a run, what was seen of it, and how many pieces of work of each stage it did."""

    def __init__(self, folder, choice, **options):
        self.store = Store(folder)
        self.recorder = Recorder()
        before = len(self.store.read_log())
        self.result = run_grid(make_plan(choice), self.store, self.recorder, **{"device": "cpu", **options})
        log = self.store.read_log()[before:]
        self.log = log
        self.work = dict(Counter(entry["stage"] for entry in log))


@pytest.fixture
def choice(people):
    """The example grid: two methods, two people, three prompts."""

    def choose(**changed):
        return Choice(**{"profile": EXAMPLE_PROFILE, "identities": people, **changed})

    return choose


@pytest.fixture
def run(tmp_path, choice):
    """Runs the example grid, changed as asked, in the same folder each time; with `workers`, in processes."""

    def go(*, folder=None, workers=None, executor=None, **changed):
        options = {"executor": here, "workers": 1} if workers is None else {"workers": workers}
        if executor is not None:
            options["executor"] = executor
        return Run(folder or tmp_path / "run", choice(**changed), **options)

    return go
