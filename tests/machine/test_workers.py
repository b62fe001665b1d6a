"""Workers and their devices."""

from dataclasses import dataclass

import pytest

from pvbench.executors.local import LocalExecutor
from pvbench.machine import devices as device
from pvbench.machine.devices import default_workers, on_device_of_its_own


@dataclass(frozen=True)
class Around:
    device: str
    name: str = "kept"


@pytest.fixture
def gpus(monkeypatch):
    return lambda count: monkeypatch.setattr(device, "_gpus", lambda: count)


def test_workers_take_the_gpus_in_turn(gpus):
    gpus(3)
    assert [on_device_of_its_own(Around("cuda"), number).device for number in range(5)] == [
        "cuda:0",
        "cuda:1",
        "cuda:2",
        "cuda:0",
        "cuda:1",
    ]
    assert on_device_of_its_own(Around("cuda"), 1).name == "kept"
    assert default_workers("cuda") == 3


@pytest.mark.parametrize(("named", "count"), [("cpu", 4), ("cuda:1", 4), ("cuda", 1)])
def test_a_device_that_was_named_or_is_the_only_one_stays(gpus, named, count):
    gpus(count)
    assert on_device_of_its_own(Around(named), 2).device == named


def test_one_worker_on_a_gpu_that_is_named(gpus):
    gpus(4)
    assert default_workers("cuda:1") == 1


class Tell:
    """A job that tells what its worker was started with, or ends it."""

    def __init__(self, ends=False):
        self.ends = ends

    def run(self, state, notify):
        import os

        if self.ends:
            os._exit(3)
        return state


def of_number(argument, number):
    return f"{argument} {number}"


def as_given(argument):
    return argument


def test_a_worker_that_ended_is_replaced_by_one_of_its_number():
    with LocalExecutor(as_given, "worker", 2, of_number) as pool:
        pool.submit(Tell())
        pool.submit(Tell())
        assert {pool.wait().result for _ in range(2)} == {"worker 0", "worker 1"}
        pool.submit(Tell(ends=True))
        assert pool.wait().crashed
        pool.submit(Tell())
        pool.submit(Tell())
        assert {pool.wait().result for _ in range(2)} == {"worker 0", "worker 1"}
