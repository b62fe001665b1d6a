"""Worker processes."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from example_jobs import Count, Die, EndWorker, Environment, Fail, Hang, Kin, Note, Numbered, start, start_badly

from pvbench.executors.executor import Done, Failed, Noted
from pvbench.executors.local import LocalExecutor


def drain(executor):
    events = []
    while executor.running:
        events.append(executor.wait())
    return events


@pytest.fixture
def executor():
    with LocalExecutor(start, 10, workers=2) as pool:
        yield pool


def test_results_come_out_and_state_stays_with_the_worker():
    with LocalExecutor(start, 10, workers=1) as pool:
        results = []
        for _ in range(3):
            pool.submit(Count())
            results += [event.result for event in drain(pool)]
    assert results == [11, 12, 13]


def test_idle_and_running_count_the_workers(executor):
    assert (executor.idle, executor.running) == (2, 0)
    executor.submit(Numbered(1))
    executor.submit(Numbered(2))
    assert (executor.idle, executor.running) == (0, 2)
    with pytest.raises(RuntimeError, match="idle"):
        executor.submit(Numbered(3))
    assert sorted(event.result for event in drain(executor)) == [1, 2]
    with pytest.raises(RuntimeError, match="without a job"):
        executor.wait()


def test_a_job_is_chosen_by_what_idle_workers_are_ready_for(executor):
    man, woman, child = Kin("man"), Kin("woman"), Kin("child")
    assert executor.choose([man, woman]) is man
    executor.submit(man)
    assert executor.choose([Kin("man"), woman]) is woman
    executor.submit(woman)
    drain(executor)
    assert executor.choose([child, woman, man]) is woman
    assert executor.choose([child, man, woman]) is man
    assert executor.choose([child]) is child
    executor.submit(man)
    assert executor.choose([Kin("man"), woman]) is woman
    executor.submit(woman)
    assert {event.job for event in drain(executor)} == {man, woman}
    assert sorted(worker.affinity for worker in executor._workers) == ["man", "woman"]


def test_of_jobs_that_end_at_once_none_is_forgotten(executor):
    executor.submit(Numbered(1))
    executor.submit(Numbered(2))
    for worker in executor._workers:
        assert worker.pipe.poll(60)
    first = executor.wait()
    assert executor.running == 1
    assert sorted(event.result for event in [first, *drain(executor)]) == [1, 2]


def test_notes_come_before_the_result(executor):
    job = Note(3)
    executor.submit(job)
    assert drain(executor) == [Noted(job, 0), Noted(job, 1), Noted(job, 2), Done(job, None)]


def test_a_job_that_raises_fails_and_the_worker_lives_on(executor):
    executor.submit(Fail("no luck"))
    (event,) = drain(executor)
    assert (event.error, event.message, event.crashed) == ("ValueError", "no luck", False)
    assert "raise ValueError" in event.traceback
    executor.submit(Count())
    assert drain(executor)[0].result == 11


def test_a_job_that_exits_fails_too(executor):
    executor.submit(EndWorker())
    (event,) = drain(executor)
    assert (event.error, event.crashed) == ("SystemExit", False)


def test_a_killed_worker_fails_its_job_and_is_replaced(executor):
    executor.submit(Die())
    (event,) = drain(executor)
    assert isinstance(event, Failed)
    assert event.crashed
    assert "SIGKILL" in event.message
    assert "out of memory" in event.message
    executor.submit(Count())
    assert drain(executor)[0].result == 11


def test_a_start_that_raises_fails_the_job():
    with LocalExecutor(start_badly, None, workers=1) as pool:
        pool.submit(Count())
        (event,) = drain(pool)
    assert (event.error, event.message) == ("WeightsError", "no weights")


def test_workers_have_one_thread_and_the_parents_environment_stays(executor):
    before = os.environ.get("MKL_NUM_THREADS")
    executor.submit(Environment())
    assert drain(executor)[0].result == {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    assert os.environ.get("MKL_NUM_THREADS") == before


def test_closing_ends_workers_that_are_busy(executor):
    executor.submit(Hang())
    executor.wait()
    process = executor._workers[0].process
    pid = process.pid
    executor.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_at_least_one_worker_is_needed():
    with pytest.raises(ValueError, match="at least one"):
        LocalExecutor(start, 10, workers=0)


def test_a_worker_ended_under_a_job_with_a_progress_bar_leaves_nothing_behind(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(
        textwrap.dedent("""
        from example_jobs import Bar, start
        from pvbench.executors.local import LocalExecutor

        if __name__ == "__main__":
            with LocalExecutor(start, 10, workers=1) as pool:
                pool.submit(Bar())
                print(pool.wait().note)
    """)
    )
    done = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        timeout=600,
        check=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1] / "plugin")},
    )
    assert (done.stdout, done.stderr) == ("the bar is there\n", "")


def test_workers_end_when_their_parent_is_killed(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(
        textwrap.dedent("""
        import os, signal
        from example_jobs import Pid, start
        from pvbench.executors.local import LocalExecutor

        if __name__ == "__main__":
            pool = LocalExecutor(start, 10, workers=1)
            pool.submit(Pid())
            print(pool.wait().note, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
    """)
    )
    # The worker inherits standard output, so this returns only when it has ended too.
    done = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        timeout=600,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1] / "plugin")},
    )
    assert done.returncode == -signal.SIGKILL
    assert int(done.stdout) > 0
