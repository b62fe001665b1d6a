"""The search for settings: the same trials each time, ranked by what was written down before."""

import dataclasses
from dataclasses import replace

import pytest

from pvbench.method import METHODS, settings_from
from pvbench.profile import load_profile
from pvbench.variant import parse_variant
from workshop.search import (
    PHOTOS,
    Outcome,
    as_run,
    draw,
    leave_one_out,
    order,
    precision_here,
    ran,
    read,
    read_log,
    resolved,
    written,
)
from workshop.trials import ADDITIONS, BY_HAND, LOOKS, SPACES

BASE = Outcome(24, 24, -0.02, 1.0, 0.66, 1.0)


def outcome(**changed):
    return replace(Outcome(24, 24, 0.4, 1.0, 0.66, 1.0, BASE), **changed)


def test_every_method_that_tunes_has_a_space():
    tuned = {name for name in METHODS.names() if METHODS.get(name).tunes and "example" not in name}
    assert set(SPACES) == {*tuned, "keyword"}


@pytest.mark.parametrize("method", sorted(set(SPACES) - {"keyword"}))
def test_trials_are_valid_settings_drawn_by_their_number(method):
    assert draw(method, 0) == {}
    for trial in range(1, 12):
        settings = draw(method, trial)
        assert settings == draw(method, trial)
        variant = parse_variant(f"{method}[{written(settings)}]")
        settings_from(METHODS.get(method).Settings, variant.overrides)
        assert read(written(settings)) == {name: str(value) for name, value in settings.items()}


def test_what_is_tried_by_hand_is_as_much_for_each_method_and_no_trial_twice():
    assert len({len(trials) + LOOKS.get(name, 0) for name, trials in BY_HAND.items()}) == 1
    for method, trials in BY_HAND.items():
        for settings in trials:
            assert settings.keys() <= resolved(method, {}).keys()
        assert len({written(resolved(method, settings)) for settings in trials}) == len(trials)


def test_every_line_of_the_log_says_its_precision():
    assert {row["precision"] for row in read_log()} <= {"float32", "bfloat16"}
    assert precision_here() in ("float32", "bfloat16")


def test_each_addition_of_plus_that_is_on_is_left_out_once():
    cls, found = METHODS.get("personalvideo_plus"), leave_one_out("personalvideo_plus")
    added = {field.name for field in dataclasses.fields(cls.Settings)}
    added -= {field.name for field in dataclasses.fields(METHODS.get("personalvideo").Settings)}
    # A rate is not an addition: without steps there is nothing that it belongs to.
    assert set(ADDITIONS["personalvideo_plus"]) == added - {"warm_rate", "photo_rate"}
    on = {name for name, off in ADDITIONS["personalvideo_plus"].items() if getattr(cls.Settings(), name) != off}
    assert set(found) == {f"without {name}" for name in on}
    assert len(on) >= 3
    for label, settings in found.items():
        name = label.removeprefix("without ")
        assert settings[name] == ADDITIONS["personalvideo_plus"][name]
        settings_from(cls.Settings, settings)
        assert resolved("personalvideo_plus", settings).items() >= settings.items()
    assert leave_one_out("dreambooth_lora") == {}


def test_a_trials_line_names_every_value_it_ran_with():
    assert resolved("dreambooth_lora", {"rank": 32})["rank"] == 32
    assert "token_words" not in resolved("dreambooth_lora", {"token": "rare"})
    assert resolved("dreambooth_lora", {"token": "inverted"})["token_words"] > 0
    assert resolved("keyword", {"token_words": 2})["token_words"] == 2
    assert resolved("magicme", {})["rate"] == load_profile("mini").methods["magicme"]["rate"]
    assert resolved("magicme", {"rate": 4e-2})["rate"] == 4e-2


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({}, 0.0),
        ({"faces_found": 0.99}, 0.0),
        ({"faces_found": 0.97}, 0.02),
        ({"clip_t": 0.66 * 0.90}, 0.05),
        ({"flow": 0.85}, 0.05),
        ({"clip_t": 0.66 * 0.90, "flow": 0.85}, 0.10),
        ({"clip_t": 0.9, "flow": 2.0}, 0.0),
        ({"clip_t": 0.66 * 0.86, "oracle": replace(BASE, clip_t=0.66 * 0.92)}, 0.95 - 0.86 / 0.92),
        ({"clip_t": 0.66 * 0.90, "oracle": replace(BASE, clip_t=0.66 * 0.92)}, 0.0),
        ({"clip_t": 0.66 * 0.90, "oracle": replace(BASE, clip_t=0.66 * 1.1)}, 0.05),
        ({"cells": 18}, 0.25),
        ({"cells": 0}, 1.0),
    ],
)
def test_a_fault_is_what_is_not_kept(changed, fault):
    assert outcome(**changed).fault == pytest.approx(fault)


def test_a_line_of_before_a_setting_came_ran_without_it():
    values = {"rate": 2e-3, "centre": False}
    row = {"method": "personalvideo_plus", "settings": "rate=0.002"}
    assert ran(row, values)
    assert not ran(row, {**values, "centre": True})
    assert not ran(row, {**values, "rate": 4e-3})
    assert ran({**row, "settings": "centre=True,rate=0.002"}, {**values, "centre": True})
    assert as_run(row) == {**ADDITIONS["personalvideo_plus"], "rate": "0.002"}
    assert ran(row, {"rate": 2e-3, "span_noise": 0.0})
    assert not ran(row, {"rate": 2e-3, "span_noise": 0.86})


def test_trials_without_a_fault_go_first_by_likeness():
    rows = [
        {"trial": str(i), "face_sim": face, "fault": fault}
        for i, (face, fault) in enumerate([("0.3", "0.0"), ("0.9", "0.2"), ("0.4", "0.0"), ("0.8", "0.1")])
    ]
    assert [row["trial"] for row in order(rows)] == ["2", "0", "3", "1"]


def test_the_log_is_read_and_may_be_missing(tmp_path):
    assert read_log(tmp_path / "none.csv") == []
    (tmp_path / "log.csv").write_text("method,trial\nbase,1\n")
    assert read_log(tmp_path / "log.csv") == [{"method": "base", "trial": "1"}]


@pytest.mark.parametrize("method", ["dreambooth_lora", "magicme", "personalvideo_plus"])
def test_drawn_trials_of_the_log_are_what_is_drawn_today(method):
    """A draw that changed would run other settings under a number that stands in the log."""
    rows = [row for row in read_log() if row["method"] == method and row["photos"] == PHOTOS]
    drawn = [row for row in rows if row["trial"].isdigit() and row["trial"] != "0"]
    assert drawn
    for row in drawn:
        assert ran(row, resolved(method, draw(method, int(row["trial"])))), row["trial"]
