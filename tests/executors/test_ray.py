"""Workers that Ray places: the same behaviour as processes, and what a cluster adds."""

import os
import random
import signal
import threading
import time
from collections import Counter, deque
from dataclasses import dataclass

import pytest
from example_jobs import Count, Die, EndWorker, Environment, Fail, Kin, Note, Numbered, Pid, start, start_badly

from pvbench.errors import DeviceError, ExtraError
from pvbench.executors import ray_executor
from pvbench.executors.executor import Done, Failed, Noted
from pvbench.executors.ray_executor import RayCluster, RayExecutor

ray = pytest.importorskip("ray")


@pytest.fixture(scope="module")
def cluster():
    """Ray on this machine, with three CPUs, whatever it has."""
    with RayCluster.connected("local", 3) as found:
        yield found


@pytest.fixture
def one(cluster, tmp_path):
    """A worker of the test's own."""
    with RayExecutor(start, 10, workers=1, shared=tmp_path) as pool:
        yield pool


def drain(executor):
    events = []
    while executor.running:
        events.append(executor.wait())
    return events


def test_results_come_out_and_state_stays_with_the_worker(cluster, tmp_path):
    with RayExecutor(start, 10, workers=1, shared=tmp_path) as pool:
        results = []
        for _ in range(3):
            pool.submit(Count())
            results += [event.result for event in drain(pool)]
    assert results == [11, 12, 13]
    assert not list(tmp_path.iterdir())


class TestTwoWorkers:
    """What leaves them alive, one pair for all."""

    @pytest.fixture(scope="class")
    @classmethod
    def executor(cls, cluster, tmp_path_factory):
        with RayExecutor(start, 10, workers=2, shared=tmp_path_factory.mktemp("shared")) as pool:
            yield pool

    def test_idle_and_running_count_the_workers(self, executor):
        assert (executor.idle, executor.running) == (2, 0)
        executor.submit(Numbered(1))
        executor.submit(Numbered(2))
        assert (executor.idle, executor.running) == (0, 2)
        assert not executor.accepts(Numbered(3))
        with pytest.raises(RuntimeError, match="idle"):
            executor.submit(Numbered(3))
        assert sorted(event.result for event in drain(executor)) == [1, 2]
        with pytest.raises(RuntimeError, match="without a job"):
            executor.wait()

    def test_notes_come_before_the_result(self, executor):
        job = Note(30)
        executor.submit(job)
        assert drain(executor) == [*(Noted(job, number) for number in range(30)), Done(job, None)]

    def test_workers_have_one_thread(self, executor):
        executor.submit(Environment())
        assert drain(executor)[0].result == {
            "OMP_NUM_THREADS": "1",
            "MKL_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        }

    def test_a_job_is_given_to_the_worker_that_is_ready_for_it(self, executor):
        executor.submit(Kin("man"))
        executor.submit(Kin("woman"))
        by_kin = {event.job.affinity: event.result for event in drain(executor)}
        assert len(set(by_kin.values())) == 2
        assert executor.choose([Kin("child"), Kin("woman")]).affinity == "woman"
        for kin in ("woman", "man", "woman"):
            executor.submit(Kin(kin))
            assert drain(executor)[0].result == by_kin[kin]


def test_a_job_that_raises_fails_and_the_worker_lives_on(cluster, tmp_path):
    with RayExecutor(start, 10, workers=1, shared=tmp_path) as pool:
        for job, error in ((Fail("no luck"), "ValueError"), (EndWorker(), "SystemExit")):
            pool.submit(job)
            (event,) = drain(pool)
            assert (event.error, event.crashed) == (error, False)
        pool.submit(Count())
        assert drain(pool)[0].result == 11


def test_a_killed_worker_is_told_of_and_replaced(one):
    one.submit(Die())
    (event,) = drain(one)
    assert isinstance(event, Failed)
    assert event.crashed
    assert "the worker was lost" in event.message
    one.submit(Count())
    assert drain(one)[0].result == 11


@dataclass(frozen=True)
class _NoteAndDie:
    """Sends notes, then ends its process at once."""

    def run(self, state, notify):
        for number in range(5):
            notify(number)
        os.kill(os.getpid(), signal.SIGKILL)


def test_no_note_is_lost_with_its_worker(one):
    one.submit(_NoteAndDie())
    *notes, end = drain(one)
    assert [event.note for event in notes] == [0, 1, 2, 3, 4]
    assert end.crashed


def test_a_start_that_raises_fails_the_job(cluster, tmp_path):
    with RayExecutor(start_badly, None, workers=1, shared=tmp_path) as pool:
        pool.submit(Count())
        (event,) = drain(pool)
    assert (event.error, event.message, event.crashed) == ("WeightsError", "no weights", False)


def test_closing_ends_workers_that_are_busy(cluster, tmp_path):
    with RayExecutor(start, 10, workers=1, shared=tmp_path) as pool:
        pool.submit(Pid())
        pid = pool.wait().note
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    pytest.fail("the worker is still there")


@dataclass(frozen=True)
class _Slow:
    """Says which process it runs in, and takes a little while."""

    number: int

    def run(self, state, notify):
        notify(os.getpid())
        time.sleep(0.2)
        return self.number


def test_of_workers_killed_twenty_times_nothing_is_lost_or_done_twice(cluster, tmp_path):
    """By the caller's rule: what was lost with its worker is given to another."""
    with RayExecutor(start, 10, workers=3, shared=tmp_path) as pool:
        _kill_twenty_times(pool)


def _kill_twenty_times(executor):
    rng = random.Random(0)
    left, running, done, kills = deque(range(24)), {}, Counter(), 0
    while left or executor.running:
        while left and executor.idle:
            executor.submit(_Slow(left.popleft()))
        event = executor.wait()
        if isinstance(event, Noted):
            running[event.job.number] = event.note
            if kills < 20 and rng.uniform(0, 1) < 0.6:
                kills += 1
                threading.Timer(rng.uniform(0, 0.15), os.kill, (event.note, signal.SIGKILL)).start()
        elif isinstance(event, Done):
            done[event.result] += 1
        else:
            assert event.crashed
            left.append(event.job.number)
    assert kills == 20
    assert done == Counter(range(24))


@dataclass(frozen=True)
class _OnDevice:
    device: str


@dataclass(frozen=True)
class _Where:
    """Answers with the device that its worker was started with."""

    needs_device: bool

    def run(self, state, notify):
        return state[0].device


def test_jobs_without_need_of_a_gpu_go_to_workers_without_one(cluster, tmp_path, monkeypatch):
    """The kinds of workers, on a cluster that says it has a GPU."""
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 3.0, "GPU": 1.0})
    with RayExecutor(start, _OnDevice("cuda"), workers=1, shared=tmp_path, spare=1) as pool:
        assert pool._demand == {True: {"num_gpus": 1, "num_cpus": 1}, False: {"num_cpus": 1}}
        pool._demand[True] = {"num_cpus": 1}  # this machine has none
        assert pool.idle == 2
        pool.submit(_Where(needs_device=True))
        assert not pool.accepts(_Where(needs_device=True))
        assert pool.accepts(_Where(needs_device=False))
        pool.submit(_Where(needs_device=False))
        assert {event.job.needs_device: event.result for event in drain(pool)} == {True: "cuda", False: "cpu"}


def test_a_lost_node_takes_its_workers_places_along(cluster, tmp_path, monkeypatch):
    with RayExecutor(start, 10, workers=3, shared=tmp_path) as pool:
        monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 2.0})
        pool.submit(Die())
        drain(pool)
        assert pool.idle == 2


def test_a_folder_that_a_node_does_not_see_is_refused(one):
    one._mark.unlink()
    one.submit(Count())
    (event,) = drain(one)
    assert event.error == "StoreError"
    assert "all nodes share at the same path" in event.message


@pytest.mark.parametrize(("argument", "workers"), [(10, 4), (_OnDevice("cuda"), 1)])
def test_more_workers_than_the_cluster_has_room_for_are_refused(cluster, tmp_path, argument, workers):
    with pytest.raises(DeviceError, match="the cluster has 3 CPUs and 0 GPUs; take fewer --workers"):
        RayExecutor(start, argument, workers, shared=tmp_path)


def test_at_least_one_worker_is_needed(cluster, tmp_path):
    with pytest.raises(ValueError, match="at least one"):
        RayExecutor(start, 10, workers=0, shared=tmp_path)


def test_the_device_is_what_the_cluster_has():
    small, large = RayCluster(4, 0), RayCluster(64, 8)
    assert (small.device("auto"), large.device("auto"), large.device("cpu")) == ("cpu", "cuda", "cpu")
    assert (small.workers("cpu"), large.workers("cuda"), large.workers("cpu")) == (4, 8, 64)
    with pytest.raises(DeviceError, match="no node of the cluster has a GPU"):
        small.device("cuda")
    with pytest.raises(DeviceError, match="whose GPUs Ray gives out"):
        large.device("cuda:1")


def test_the_smallest_gpu_of_a_cluster_decides(cluster, monkeypatch):
    """On a cluster without a GPU the tasks ask for none; what they find is the least of all."""
    asked = []
    remote = ray.remote

    def without(**demand):
        asked.append(demand)
        return remote(num_cpus=0)

    monkeypatch.setattr(ray, "remote", without)
    found = iter([80.0, 24.0, 40.0])
    monkeypatch.setattr(ray, "get", lambda tasks: [next(found) for _ in tasks])
    assert RayCluster(8, 3).least(lambda: 1.0) == 24.0
    assert asked == [{"num_cpus": 0, "num_gpus": 1}]


def test_a_cluster_that_is_not_there_is_told_of(monkeypatch):
    monkeypatch.setattr(ray, "is_initialized", lambda: False)

    def none(**_):
        raise ConnectionError("nobody answers\nat all")

    monkeypatch.setattr(ray, "init", none)
    with (
        pytest.raises(DeviceError, match=r"no Ray cluster at '10\.0\.0\.1:6379': nobody answers; start one"),
        RayCluster.connected("10.0.0.1:6379"),
    ):
        pass


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(ExtraError, match=r'pip install "pvbench\[ray\]"'):
        ray_executor._ray()
