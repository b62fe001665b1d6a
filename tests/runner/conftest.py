"""Runs of the example profile, each in a second or two."""

import traceback
from collections import Counter, deque

import pytest
from example_inputs import EXAMPLE_PROFILE

from pvbench.executors.executor import Done, Executor, Failed, Noted
from pvbench.runner.grid import run_grid
from pvbench.runner.jobs import Workbench
from pvbench.runner.plan import Choice, make_plan
from pvbench.store import Store


class InlineExecutor(Executor):
    """Does every job where it is submitted, in this process: nothing has to be started, and every call is checked."""

    def __init__(self, surroundings, workers):
        self.bench = Workbench(surroundings)
        self.events = deque()

    @property
    def idle(self):
        return 1 - self.running

    @property
    def running(self):
        return 1 if self.events else 0

    def submit(self, job):
        try:
            result = job.run(self.bench, lambda note: self.events.append(Noted(job, note)))
        except Exception as error:  # noqa: BLE001 - as workers do
            self.events.append(Failed(job, type(error).__name__, str(error), traceback.format_exc()))
        else:
            self.events.append(Done(job, result))

    def wait(self):
        return self.events.popleft()

    def close(self):
        self.events.clear()


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
        options = {"executor": InlineExecutor, "workers": 1} if workers is None else {"workers": workers}
        if executor is not None:
            options["executor"] = executor
        return Run(folder or tmp_path / "run", choice(**changed), **options)

    return go
