"""Workers that need no process of their own: every job is done where it is submitted, and every call is checked."""

import contextlib
import io
import traceback
from collections import deque

from pvbench.executors.executor import Done, Executor, Failed, Noted
from pvbench.runner.jobs import Workbench


class InlineExecutor(Executor):
    """In the place of `LocalExecutor`: one worker, which is this process; what libraries print is dropped."""

    def __init__(self, start, argument, workers, for_worker=lambda argument, number: argument):
        self.start, self.argument = start, for_worker(argument, 0)
        self.state = []
        self.events = deque()

    @property
    def idle(self):
        return 1 - self.running

    @property
    def running(self):
        return 1 if self.events else 0

    def submit(self, job):
        try:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                if not self.state:
                    self.state.append(self.start(self.argument))
                result = job.run(self.state[0], lambda note: self.events.append(Noted(job, note)))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - as workers do
            self.events.append(Failed(job, type(error).__name__, str(error), traceback.format_exc()))
        else:
            self.events.append(Done(job, result))

    def wait(self):
        return self.events.popleft()

    def close(self):
        self.events.clear()
        self.state.clear()


def here(setup, workers):
    """The executor as `run_grid` takes it."""
    return InlineExecutor(Workbench, setup, workers)


def work_inline(monkeypatch):
    """Runs and measurings take this executor, whatever number of workers is asked for."""
    for place in ("pvbench.runner.grid", "pvbench.measuring.place"):
        monkeypatch.setattr(f"{place}.LocalExecutor", InlineExecutor)
    for place in ("pvbench.runner.jobs", "pvbench.measuring.jobs"):
        monkeypatch.setattr(f"{place}.print_to", lambda log: None)
