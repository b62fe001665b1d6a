"""How long what is left will take."""

from typing import Any

import pytest

from pvbench.profile import Cost
from pvbench.runner.estimate import Costs

COST = Cost({"slow": 40.0}, {"slow": 1.5}, 0.25)


def test_before_anything_was_seen_the_profile_says():
    costs = Costs(COST, "cpu")
    assert costs.seconds("tune", "slow") == 40
    assert costs.seconds("tune", "other") == COST.default_tune_s
    assert costs.seconds("generate", "slow") == 1.5
    assert costs.seconds("generate", "other") == COST.default_video_s
    assert costs.seconds("measure", "slow") == 0.25


def test_the_profiles_seconds_are_scaled_and_what_was_seen_is_not():
    costs = Costs(COST, "cpu", scales={("tune", "slow"): 0.5, ("measure", "slow"): 4.0})
    assert costs.seconds("tune", "slow") == 20
    assert costs.seconds("measure", "slow") == 1
    assert costs.seconds("generate", "slow") == 1.5
    costs.observe("tune", "slow", 7)
    assert costs.seconds("tune", "slow") == 7


def test_what_was_seen_goes_before_the_profile():
    costs = Costs(COST, "cpu")
    for seconds in (10, 30, 11):
        costs.observe("tune", "slow", seconds)
    assert costs.seconds("tune", "slow") == 11
    assert costs.seconds("generate", "slow") == 1.5


def test_an_earlier_runs_log_is_taken_for_the_same_device_alone():
    log: list[dict[str, Any]] = [
        {"stage": "tune", "method": "slow", "device": "cuda", "seconds": 2},
        {"stage": "tune", "method": "slow", "device": "cpu", "seconds": 20},
        {"stage": "tune"},
        {},
    ]
    assert Costs(COST, "cpu", log).seconds("tune", "slow") == 20
    assert Costs(COST, "cuda", log).seconds("tune", "slow") == 2


def test_workers_share_the_work():
    costs = Costs(COST, "cpu")
    pieces = {("tune", "slow"): 2.0, ("generate", "slow"): 20.0, ("measure", "slow"): 20.0}
    assert costs.total(pieces, 1) == pytest.approx(80 + 30 + 5)
    assert costs.total(pieces, 2) == pytest.approx(57.5)
    assert costs.total(pieces, 2, fresh=True) > costs.total(pieces, 2)


def test_nothing_left_takes_no_time():
    assert Costs(COST, "cpu").total({}, 2, fresh=True) == 0
