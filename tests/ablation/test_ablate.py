"""`pvbench ablate` on the example profile: tables, matching by seconds, going on where it was, and what is refused."""

import json
import re
from pathlib import Path

import pytest
from example_inputs import EXAMPLE_PROFILE, make_identity

from pvbench.ablation.ablate import ablate
from pvbench.ablation.matching import FILE, tuning_seconds
from pvbench.errors import SettingError, StudyError
from pvbench.runner.plan import Choice
from pvbench.store import Store

STUDY = """
[[study]]
name = "strength"
question = "How strong must the stamp be?"
complete = "half"
people = 2

[study.rows]
"half" = "example_stamp"
"faint" = "example_stamp[strength=0.1]"
"short" = "example_stamp[steps=1]"

[study.equal_seconds]
"short, equal seconds" = { row = "short", to = "half" }

[[study.claim]]
column = "face_sim"
higher = "half"
lower = "faint"
published = true

[[study.claim]]
column = "clip_t"
equal = ["half", "short, equal seconds"]
margin = 0.01
"""


@pytest.fixture
def study(tmp_path):
    path = tmp_path / "strength.toml"
    path.write_text(STUDY)
    return str(path)


@pytest.fixture
def go(tmp_path, people, study, inline):
    def go(**changed):
        choice = Choice(**{"profile": EXAMPLE_PROFILE, "identities": people, **changed})
        return ablate(tmp_path / "out", [study], choice, device="cpu", workers=1)

    return go


def test_workers_are_where_they_are_asked_for(tmp_path, people, study, monkeypatch):
    choice = Choice(profile=EXAMPLE_PROFILE, identities=people)
    with pytest.raises(SettingError, match="add --executor ray"):
        ablate(tmp_path / "out", [study], choice, device="cpu", workers=1, address="10.0.0.1:6379")
    asked = []

    def run_at(executor, address, plan, *_):
        asked.append((executor, address, len(plan.variants)))
        raise KeyboardInterrupt

    monkeypatch.setattr("pvbench.ablation.ablate.run_at", run_at)
    with pytest.raises(KeyboardInterrupt):
        ablate(tmp_path / "out", [study], choice, executor="ray", address="auto")
    assert asked == [("ray", "auto", 4)]


def test_a_study_ends_in_tables_with_a_verdict_on_each_claim(go, tmp_path):
    (result,) = go()
    assert [one.verdict for one in result.claims()] == ["undecided", "undecided"]  # two people prove nothing
    assert {one.first for one in result.differences()} == {
        "example_stamp[strength=0.1]",
        "example_stamp[steps=1]",
        result.labels["short, equal seconds"],
    }
    folder = tmp_path / "out" / "ablation"
    page = (folder / "ablation.md").read_text()
    assert "How strong must the stamp be?" in page
    assert "exploratory: strength" in page
    assert "| half |" in page.replace("  ", " ")
    assert "half = short, equal seconds (within 1.00)" in page
    assert (folder / "ablation.tex").read_text().startswith(r"\documentclass")
    told = json.loads((folder / "ablation.json").read_text())["studies"]["strength"]
    assert set(told["rows"]) == {"half", "faint", "short", "short, equal seconds"}
    assert [claim["verdict"] for claim in told["claims"]] == ["undecided", "undecided"]
    assert told["claims"][0]["published"]
    assert told["rows"]["half"]["tuning_seconds"] > 0


def test_a_second_call_makes_nothing_and_writes_the_same_bytes(go, tmp_path):
    go()
    files = {path: path.read_bytes() for path in (tmp_path / "out" / "ablation").iterdir()}
    log = Store(tmp_path / "out").read_log()
    go()
    assert Store(tmp_path / "out").read_log() == log
    assert {path: path.read_bytes() for path in (tmp_path / "out" / "ablation").iterdir()} == files


def test_steps_of_equal_seconds_follow_from_the_log_and_are_kept(go, tmp_path):
    (result,) = go()
    log = Store(tmp_path / "out").read_log()
    half, short = (tuning_seconds(log, label) for label in ("example_stamp", "example_stamp[steps=1]"))
    (steps,) = json.loads((tmp_path / "out" / FILE).read_text()).values()
    assert steps == max(1, round(half / short))
    assert result.labels["short, equal seconds"] == f"example_stamp[steps={steps}]"
    # Another run of the same folder takes what was chosen, however long its tunings take.
    (tmp_path / "out" / FILE).write_text(json.dumps({"example_stamp[steps=1] as long as example_stamp": 7}))
    (again,) = go()
    assert again.labels["short, equal seconds"] == "example_stamp[steps=7]"


def test_what_tunings_share_does_not_count():
    log = [
        {"stage": "tune", "variant": "a", "seconds": 5.0, "shared_seconds": 3.0},
        {"stage": "tune", "variant": "a", "seconds": 4.0},
        {"stage": "tune", "variant": "b", "seconds": 9.0},
        {"stage": "generate", "variant": "a", "seconds": 100.0},
    ]
    assert tuning_seconds(log, "a") == 3.0
    with pytest.raises(StudyError, match=r"no tuning of 'c'.*new folder"):
        tuning_seconds(log, "c")


def test_a_method_without_steps_cannot_be_matched(tmp_path, people):
    path = tmp_path / "drift.toml"
    path.write_text(STUDY.replace('"short" = "example_stamp[steps=1]"', '"short" = "example_drift"'))
    with pytest.raises(StudyError, match="example_drift has no setting steps"):
        ablate(tmp_path / "out", [str(path)], Choice(EXAMPLE_PROFILE, identities=people), device="cpu", workers=1)


def test_a_setting_that_does_not_exist_is_told_before_anything_is_made(tmp_path, people, study):
    path = tmp_path / "later.toml"
    path.write_text(STUDY.replace('"strength"', '"later"').replace("strength=0.1", "strenght=0.1"))
    with pytest.raises(SettingError, match="strenght"):
        ablate(tmp_path / "out", [study, str(path)], Choice(EXAMPLE_PROFILE, identities=people), device="cpu")
    assert not (tmp_path / "out").exists()


def test_the_command_prints_the_verdicts_with_status_0(pvbench, study, people, inline):
    options = ["--profile", EXAMPLE_PROFILE, "--identities", people, "--device", "cpu", "--workers", "1"]
    status, out, _ = pvbench("ablate", study, *options, "--out", "out")
    assert status == 0
    assert "strength: face_sim, half > faint: undecided" in out
    assert "tables in out/ablation/ablation.md" in out


def test_people_without_a_card_are_called_as_one_says(pvbench, study, inline, tmp_path):
    for name in ("eve", "max"):
        (make_identity(tmp_path / "photos", name) / "card.toml").unlink()
    options = ["--profile", EXAMPLE_PROFILE, "--identities", str(tmp_path / "photos"), "--prompts", "1"]
    options += ["--device", "cpu", "--workers", "1", "--class-noun", "eve=woman,max=man", "--out", "out"]
    status, printed, told = pvbench("ablate", study, *options)
    assert status == 0, told
    assert "eve (woman), max (man)" in " ".join(printed.split())
    assert json.loads(Path("out/plan.json").read_text())["choice"]["class_noun"] == "eve=woman,max=man"


def test_videos_that_failed_are_counted_with_status_1_and_made_by_the_next_call(
    pvbench, study, people, inline, monkeypatch
):
    command = ["ablate", study, "--profile", EXAMPLE_PROFILE, "--identities", people, "--device", "cpu"]
    command += ["--workers", "1", "--out", "out"]
    monkeypatch.setenv("EXAMPLE_FAILS", "example_stamp:ann:surf")
    status, _, errors = pvbench(*command)
    assert status == 1
    failed = re.search(r"(\d+) videos? failed: see out/failures; the same command tries again", errors)
    tables = Path("out/ablation/ablation.md")
    assert f"Videos that failed and are left out: {failed[1]}." in tables.read_text()
    monkeypatch.delenv("EXAMPLE_FAILS")
    assert pvbench(*command)[0] == 0
    assert "failed" not in tables.read_text()


def test_a_misspelt_study_is_told_with_status_2(pvbench):
    status, _, errors = pvbench("ablate", "spann")
    assert status == 2
    assert "did you mean 'span'?" in errors


def test_studies_are_listed(pvbench):
    status, out, _ = pvbench("list", "studies")
    assert status == 0
    assert "In which of the steps is the adapter active?" in out
