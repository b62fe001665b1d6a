"""Runs on a Ray cluster: the bytes of a local run, and cells that survive their workers."""

import pytest
from example_inputs import contents

from pvbench.errors import SettingError, StoreError
from pvbench.executors import ray_executor
from pvbench.executors.ray_executor import RayCluster, RayExecutor
from pvbench.runner.jobs import start_worker
from pvbench.runner.observer import Silent
from pvbench.runner.place import run_at
from pvbench.runner.plan import make_plan
from pvbench.store import Store

pytest.importorskip("ray")


@pytest.fixture(scope="module")
def cluster():
    with RayCluster.connected("local", 2) as found:
        yield found


@pytest.fixture
def on_ray(cluster, run, monkeypatch):
    """Runs the example grid on workers of the cluster, in a folder of its own."""
    monkeypatch.setattr(ray_executor, "HANDED_ON", ("PVBENCH_", "EXAMPLE_"))

    def go(folder, workers=1):
        def start(setup, workers):
            return RayExecutor(start_worker, setup, workers, shared=folder)

        return run(folder=folder, workers=workers, executor=start)

    return go


def test_a_run_has_the_bytes_of_a_local_one(on_ray, run, tmp_path):
    found = on_ray(tmp_path / "ray", workers=2)
    assert found.work == {"tune": 2, "generate": 12, "measure": 12}
    run(folder=tmp_path / "local")
    assert contents(tmp_path / "ray") == contents(tmp_path / "local")


def test_work_that_is_lost_with_its_worker_is_done_by_another(on_ray, run, tmp_path, monkeypatch):
    """A worker is killed while it tunes, the next one while it makes a video, the third while it measures."""
    moments = ("example_stamp:bob:step0", "example_drift:ann:read", "measuring")
    markers = [tmp_path / f"killed{number}" for number in range(3)]
    monkeypatch.setenv("EXAMPLE_KILLS_WORKER", "|".join(map("{}@{}".format, moments, markers)))
    found = on_ray(tmp_path / "ray")
    assert all(marker.exists() for marker in markers)
    assert found.result.complete
    assert found.store.failures() == {}
    # Each piece once, and no more.
    assert found.work == {"tune": 2, "generate": 12, "measure": 12}
    monkeypatch.delenv("EXAMPLE_KILLS_WORKER")
    run(folder=tmp_path / "local")
    assert contents(tmp_path / "ray") == contents(tmp_path / "local")


def test_a_piece_that_ends_every_worker_is_given_up(on_ray, tmp_path, monkeypatch):
    monkeypatch.setenv("EXAMPLE_KILLS_WORKER", "example_drift:ann:read")
    monkeypatch.setattr(RayExecutor, "attempts", 2)
    found = on_ray(tmp_path / "ray")
    (failure,) = found.store.failures().values()
    assert "the worker was lost" in failure.message
    assert found.work == {"tune": 2, "generate": 11, "measure": 11}


def test_a_full_disk_ends_the_run(on_ray, tmp_path, monkeypatch):
    monkeypatch.setenv("EXAMPLE_FILLS_DISK", "example_drift:bob:read")
    with pytest.raises(StoreError, match="disk is full"):
        on_ray(tmp_path / "ray")


def test_an_address_without_ray_is_refused(choice, tmp_path):
    with pytest.raises(SettingError, match="add --executor ray"):
        run_at("local", "10.0.0.1:6379", make_plan(choice()), Store(tmp_path), Silent(), "cpu", 1)
