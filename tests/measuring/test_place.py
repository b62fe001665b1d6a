"""Where videos are measured: what becomes of work that its worker is lost with, and Ray beside processes."""

from collections import deque
from contextlib import nullcontext
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from example_inputs import EXAMPLE_PROFILE, contents, make_identity
from example_jobs import Count, start

from pvbench.errors import PvbenchError, SettingError
from pvbench.executors import ray_executor
from pvbench.executors.executor import Done, Executor, Failed, reads
from pvbench.executors.ray_executor import RayCluster, _RayWorker
from pvbench.identity import load_identity
from pvbench.measuring import place as places
from pvbench.measuring.jobs import Bench, InputJob, Piece, VideoJob
from pvbench.measuring.measure import measure
from pvbench.measuring.place import Place
from pvbench.measuring.request import MeasureRequest
from pvbench.profile import load_profile
from pvbench.video import Video, write_video


class Losing(Executor):
    """Does jobs in this process, and loses workers first: `losses` says with how many each thing is lost."""

    attempts = 3
    crashed = True
    losses: ClassVar[dict[str, int]] = {}

    def __init__(self, setup, workers):
        self.bench, self.waiting, self.lost = Bench(setup), deque(), []

    @property
    def idle(self):
        return 1 - len(self.waiting)

    @property
    def running(self):
        return len(self.waiting)

    def submit(self, job):
        self.waiting.append(job)

    def wait(self):
        job = self.waiting.popleft()
        name = job.piece.path.stem if isinstance(job, VideoJob) else getattr(job.given, "name", "a text")
        self.lost.append(name)
        if self.lost.count(name) <= self.losses.get(name, 0):
            return Failed(job, "GenerationError", "the worker was lost", "", crashed=self.crashed)
        return Done(job, job.run(self.bench, lambda note: None))

    def close(self):
        self.waiting.clear()


@pytest.fixture
def order(tmp_path, noise):
    """Measuring two videos of ann."""
    make_identity(tmp_path / "people", "ann")
    for number, name in enumerate(("surf-0", "read-0")):
        noise(tmp_path / "videos" / "mine" / "ann" / f"{name}.mkv", 60 + number)

    def make(**options):
        options = {"identities": tmp_path / "people", "out": tmp_path / "out", "workers": 1} | options
        return MeasureRequest((tmp_path / "videos",), load_profile(EXAMPLE_PROFILE), **options)

    return make


@pytest.fixture
def noise():
    """Writes a video of noise of a seed."""

    def write(path, seed):
        path.parent.mkdir(parents=True, exist_ok=True)
        frames = np.random.default_rng(seed).integers(1, 255, (6, 32, 24, 3), dtype=np.uint8)
        write_video(path, Video(frames, 8.0))

    return write


@pytest.fixture
def losing(monkeypatch):
    """Workers that are lost with things so often; returns what was tried, in its order."""

    def go(crashed=True, **losses):
        pools = []

        def pool(place, setup, workers):
            pools.append(Losing(setup, workers))
            return pools[0]

        monkeypatch.setattr(Losing, "losses", {name.replace("_", "-"): count for name, count in losses.items()})
        monkeypatch.setattr(Losing, "crashed", crashed)
        monkeypatch.setattr(places.Place, "pool", pool)
        return pools

    return go


@pytest.mark.parametrize("lost", ["surf_0", "ann"])
def test_what_is_lost_with_its_worker_is_made_by_another(order, losing, lost):
    pools = losing(**{lost: 2})
    done = measure(order())
    assert (done.made, done.failed, done.problems) == (2, 0, ())
    assert pools[0].lost.count(lost.replace("_", "-")) == 3


def test_a_video_that_ends_every_worker_is_given_up_and_the_rest_goes_on(order, losing):
    pools = losing(surf_0=9)
    done = measure(order(allow_partial=True))
    assert (done.made, done.failed) == (1, 1)
    assert pools[0].lost.count("surf-0") == Losing.attempts
    assert "the worker was lost" in (done.report / "report.md").read_text()


def test_a_person_whose_photos_end_every_worker_ends_the_measuring(order, losing):
    losing(ann=9)
    with pytest.raises(PvbenchError, match="the worker was lost"):
        measure(order())


def test_what_goes_wrong_with_a_worker_that_lives_on_ends_the_measuring(order, losing):
    """As a node that does not see the videos: every other video would fail as well."""
    pools = losing(surf_0=1, read_0=1, crashed=False)
    with pytest.raises(PvbenchError, match="the worker was lost"):
        measure(order())
    assert len([name for name in pools[0].lost if name.endswith("-0")]) == 1


def test_nothing_is_connected_where_nothing_is_left_to_compute(order, monkeypatch):
    metrics = ("clip_t",)
    measure(order(metrics=metrics))
    monkeypatch.setattr(RayCluster, "connected", lambda *_: pytest.fail("it connects"))
    assert measure(order(metrics=metrics, executor="ray")).reused == 2


def test_an_address_without_ray_is_refused(order):
    with pytest.raises(SettingError, match=r"--address 10\.0\.0\.1:6379: it is Ray's; add --executor ray"):
        Place(order(address="10.0.0.1:6379"))


@pytest.mark.parametrize(
    ("cluster", "options", "expected"),
    [
        (RayCluster(12, 0), {"workers": None}, ("cpu", 12)),
        (RayCluster(64, 8), {"workers": None}, ("cuda", 8)),
        (RayCluster(64, 8), {"workers": None, "device": "cpu"}, ("cpu", 64)),
        (RayCluster(64, 8), {"workers": 3}, ("cuda", 3)),
    ],
)
def test_workers_take_the_clusters_gpus_or_else_its_cpus(order, monkeypatch, cluster, options, expected):
    monkeypatch.setattr(RayCluster, "connected", lambda *_: nullcontext(cluster))
    with Place(order(executor="ray", **options)) as place:
        assert (place.device, place.workers, place.memory(place.workers)) == (*expected, None)


def test_jobs_tell_what_they_read(tmp_path):
    person = load_identity(make_identity(tmp_path, "ann"))
    video = VideoJob(Piece("video", "a", Path("a.mkv"), (), ()))
    assert reads(video) == (Path("a.mkv"),)
    assert reads(InputJob(person, (), ())) == person.scoring != ()
    assert reads(InputJob("a woman reads", (), ())) == reads(Count()) == ()


def test_a_node_that_does_not_see_a_video_says_so(tmp_path, monkeypatch):
    pytest.importorskip("ray")
    mark = tmp_path / "mark"
    mark.write_text("mark")
    job = VideoJob(Piece("video", "a", tmp_path / "a.mkv", (), ()))
    worker = _RayWorker(start, 10, None, mark, Path.cwd())
    kind, (error, message, _), _ = worker.run(1, job)
    assert (kind, error) == ("failed", "StoreError")
    assert f"does not see {tmp_path / 'a.mkv'}: put what is read where all nodes see it" in message


def test_measuring_on_ray_has_the_bytes_of_processes_though_a_worker_is_killed(order, tmp_path, monkeypatch):
    pytest.importorskip("ray")
    measure(order(out=tmp_path / "local"))
    marker = tmp_path / "marker"
    monkeypatch.setenv("EXAMPLE_KILLS_WORKER", f"measuring@{marker}")
    monkeypatch.setattr(ray_executor, "HANDED_ON", ("PVBENCH_", "EXAMPLE_"))
    with RayCluster.connected("local", 2):
        done = measure(order(out=tmp_path / "ray", executor="ray", workers=2))
    assert marker.exists()
    assert (done.made, done.failed) == (2, 0)
    assert contents(tmp_path / "ray") == contents(tmp_path / "local")
