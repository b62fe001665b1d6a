"""What a run will take, before and in the middle of it."""

import json

import pytest
from example_inputs import EXAMPLE_PROFILE

from pvbench.errors import WeightsError
from pvbench.runner.forecast import forecast
from pvbench.runner.licences import licences_of
from pvbench.runner.missing import Missing
from pvbench.runner.plan import Choice, make_plan
from pvbench.store import Store


@pytest.fixture
def ahead(choice, tmp_path):
    def ahead(workers=1, **changed):
        return forecast(make_plan(choice(**changed)), Store(tmp_path / "run"), "cpu", workers)

    return ahead


def by_stage(found, row):
    return {one.stage: one for one in found.work if one.row == row}


def test_an_empty_folder_lacks_everything_at_the_profiles_prices(ahead):
    found = ahead()
    assert (found.cells, found.made) == (12, 0)
    stamp, drift = by_stage(found, "example_stamp"), by_stage(found, "example_drift")
    assert {stage: (one.left, one.total) for stage, one in stamp.items()} == {
        "tune": (2, 2),
        "generate": (6, 6),
        "measure": (6, 6),
    }
    assert set(drift) == {"generate", "measure"}
    assert stamp["tune"].seconds == 0.1
    assert {one.measured for one in found.work} == {0}
    assert found.worker_hours == pytest.approx((2 * 0.1 + 12 * 0.01 + 12 * 0.01) / 3600)
    assert found.disk_bytes > 12 * 1000


def test_more_workers_end_sooner_and_cost_the_same(ahead):
    one, four = ahead(), ahead(workers=4)
    assert one.worker_hours == four.worker_hours
    assert four.hours == pytest.approx(one.hours / 4)


def test_nothing_is_made_by_asking(ahead, tmp_path):
    ahead()
    assert not (tmp_path / "run").exists()


def test_what_is_there_is_not_left_and_its_seconds_are_those_measured(ahead, run):
    run(prompts="1")
    found = ahead()
    stamp = by_stage(found, "example_stamp")
    assert (stamp["tune"].left, stamp["tune"].total) == (0, 2)
    assert (stamp["generate"].left, stamp["measure"].left) == (4, 4)
    assert (stamp["tune"].measured, stamp["generate"].measured) == (2, 2)
    assert found.made == 4
    run()
    done = ahead()
    assert done.worker_hours == 0
    assert done.disk_bytes == 0
    assert done.made == done.cells == 12


def test_a_new_variant_is_tuned_for_everybody(ahead, run):
    run()
    found = ahead(methods="example_stamp,example_stamp[steps=5]")
    assert by_stage(found, "example_stamp")["tune"].left == 0
    assert by_stage(found, "example_stamp[steps=5]")["tune"].left == 2


def test_it_can_be_read_by_a_program(ahead):
    told = json.loads(json.dumps(ahead().in_words(), allow_nan=False))
    assert told["cells"] == 12
    assert {one["stage"] for one in told["work"]} == {"tune", "generate", "measure"}
    assert told["hours"] == pytest.approx(told["worker_hours"] / told["workers"])


def test_memory_and_licences_of_published_networks_are_told():
    from pvbench.evaluator import evaluator_loaders
    from pvbench.profile import load_profile

    loaders = evaluator_loaders(load_profile("animatediff"))
    assert any(loader.memory_gib for loader in loaders.values())
    assert any(loader.licence(load_profile("animatediff")) for loader in loaders.values())


def test_an_adapter_that_rows_share_is_counted_once(ahead, run):
    found = ahead(methods="example_stamp,example_stamp[lift=9]")
    assert by_stage(found, "example_stamp")["tune"].left == 2
    assert "tune" not in by_stage(found, "example_stamp[lift=9]")
    run(methods="example_stamp", prompts="1")
    later = ahead(methods="example_stamp[lift=9],example_stamp")
    assert (by_stage(later, "example_stamp[lift=9]")["tune"].left, later.made) == (0, 2)


def test_all_weights_that_are_missing_are_named_at_once_and_the_rest_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("PVBENCH_WEIGHTS", str(tmp_path / "none"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))
    choice = Choice("hunyuan", "base,personalvideo", "2", "3")
    with pytest.raises(WeightsError):
        make_plan(choice)
    missing = Missing(tolerated=True)
    found = forecast(make_plan(choice, missing), Store(tmp_path / "run"), "cuda", 1, missing)
    assert found.cells == 12
    assert found.worker_hours > 1
    assert found.in_words()["missing"] == list(found.missing)
    told = "\n".join(found.missing)
    for said in ("buffalo_l (face) is not there", "HPS_v2.1 (hps) is not there", "there is no 'hunyuanvideo-community"):
        assert told.count(said) == 1, said


def test_a_plan_of_which_weights_are_missing_ends_with_one(pvbench, tmp_path, monkeypatch):
    monkeypatch.setenv("PVBENCH_WEIGHTS", str(tmp_path / "none"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))
    asked = ("plan", "--profile", "wan", "--methods", "base", "--identities", "1", "--prompts", "1", "--device", "cpu")
    status, printed, told = pvbench(*asked)
    assert status == 1, told
    assert "0 of 1 videos" in printed
    assert "Missing: profile 'wan' [backbone] base: there is no" in " ".join(printed.split())
    status, printed, _ = pvbench(*asked, "--json")
    assert status == 1
    assert len(json.loads(printed)["missing"]) == 1


def test_the_machines_memory_of_checkpoints_is_said_by_row(pvbench, people, monkeypatch):
    monkeypatch.setattr("pvbench.runner.forecast.expected_host_gib", lambda plan: {"example_stamp": 60.0})
    asked = ("plan", "--profile", EXAMPLE_PROFILE, "--methods", "example_stamp", "--identities", people)
    _, printed, _ = pvbench(*asked, "--device", "cpu")
    assert "Memory of the machine for example_stamp: about 60 GiB a worker, by estimate." in printed
    _, printed, _ = pvbench(*asked, "--device", "cpu", "--json")
    assert json.loads(printed)["host_gib"] == {"example_stamp": 60.0}


def test_licences_of_rewards_are_told_where_a_row_asks_for_them():
    told = {}
    for methods in ("base", "base,personalvideo"):
        missing = Missing(tolerated=True)
        told[methods] = licences_of(make_plan(Choice("animatediff", methods, "1", "1"), missing))
    assert told["base"]["face"] == "InsightFace's models: non-commercial research only"
    assert "identity reward" not in told["base"]
    assert told["base,personalvideo"]["identity reward"] == "InsightFace's models: non-commercial research only"
    assert told["base,personalvideo"]["semantic reward"].startswith("Apache-2.0")
