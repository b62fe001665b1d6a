"""A protocol as far as weights allow."""

import socket

import pytest

from pvbench.errors import WeightsError
from pvbench.features.published.settings import with_weights
from pvbench.measuring.partial import as_weights_allow
from pvbench.measuring.request import MeasureRequest
from pvbench.metrics import SETS, choose, of_protocols
from pvbench.profile import load_profile


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """A request of the published evaluators, none of whose weights are there or can be fetched."""

    def refuse(*address):
        raise OSError("the test allows no network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setenv("PVBENCH_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("HOME", str(tmp_path))
    profile = load_profile("animatediff")

    def make(text, *weights):
        return MeasureRequest(
            (tmp_path,), with_weights(profile, weights), tmp_path / "out", choose(text), optional=of_protocols(text)
        )

    return make


def test_what_weights_are_missing_for_is_left_out_and_told(asked):
    order, problems = as_weights_allow(asked("vbench"))
    assert order.metrics == ("temporal_flickering",)
    assert [problem.where for problem in problems] == [
        f"metric {name}" for name in SETS["vbench"] if name != "temporal_flickering"
    ]
    assert not any(problem.stops for problem in problems)
    assert all("weights are missing, and it is left out: " in problem.what for problem in problems)


def test_a_file_of_ones_own_brings_its_metric_back(asked, tmp_path):
    own = tmp_path / "raft.pth"
    own.write_bytes(b"weights")
    order, _ = as_weights_allow(asked("vbench", f"raft={own}"))
    assert order.metrics == ("dynamic_degree", "temporal_flickering")


def test_what_is_asked_for_by_its_own_name_is_not_left_out(asked):
    order, problems = as_weights_allow(asked("vbench,clip_t"))
    assert order.metrics == ("temporal_flickering", "clip_t")
    assert len(problems) == 4
    assert of_protocols("vbench,dynamic_degree") == tuple(name for name in SETS["vbench"] if name != "dynamic_degree")
    assert of_protocols("all") == of_protocols(None) == ()


def test_without_any_of_them_there_is_nothing_to_do(asked):
    with pytest.raises(WeightsError):
        as_weights_allow(asked("consisid"))
