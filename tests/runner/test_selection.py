"""People without a card: what they are called, and what is said before anything is made of them."""

import csv

import numpy as np
import pytest
from example_inputs import EXAMPLE_PROFILE, make_identity
from PIL import Image

from pvbench.errors import IdentityError
from pvbench.runner.plan import Choice, make_plan, plan_from_summary
from pvbench.runner.selection import notes_on, select_identities, with_class_nouns


@pytest.fixture
def photos(tmp_path):
    """A folder with two people without a card, and one of whose photos cannot be read."""
    for name in ("eve", "max"):
        (make_identity(tmp_path / "photos", name) / "card.toml").unlink()
    (tmp_path / "photos" / "max" / "torn.jpg").write_bytes(b"no picture")
    return tmp_path / "photos"


@pytest.fixture
def crowd(photos):
    return select_identities(str(photos))


@pytest.mark.parametrize(
    ("text", "nouns"),
    [
        (None, ["person", "person"]),
        ("woman", ["woman", "woman"]),
        ("eve=woman, max=man", ["woman", "man"]),
        ("max=man", ["person", "man"]),
        ("woman,max=man", ["woman", "man"]),
    ],
)
def test_people_without_a_card_are_called_as_one_says(crowd, text, nouns):
    called = with_class_nouns(crowd, text)
    assert [one.class_noun for one in called] == nouns
    assert [one.description for one in called] == [f"a {noun}" for noun in nouns]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("girl", r"'girl' is not one of man, woman, person"),
        ("wonan", r"'wonan' is not one of .* \(did you mean 'woman'\?\)"),
        ("mx=man", r"'mx' is not an identity without a card \(did you mean 'max'\?\); these are eve, max"),
    ],
)
def test_what_names_no_noun_or_nobody_is_refused(crowd, text, message):
    with pytest.raises(IdentityError, match=message):
        with_class_nouns(crowd, text)


def test_a_card_says_it_already(people):
    with pytest.raises(IdentityError, match="every identity here has a card, which says its class noun"):
        with_class_nouns(select_identities(people), "man")


def test_the_noun_stands_in_prompts_and_keys_and_comes_back_with_the_plan(photos, tmp_path):
    def plan(noun):
        return make_plan(Choice(EXAMPLE_PROFILE, "example_drift", str(photos), "1", class_noun=noun))

    plain, called = plan(None), plan("woman")
    (prompt,) = called.prompts
    assert prompt.render(called.identities[0].class_noun).startswith("a woman ")
    assert {plain.video_key(c) for c in plain.cells}.isdisjoint({called.video_key(c) for c in called.cells})
    assert called.choice.command.endswith("--class-noun woman")
    assert plan_from_summary(called.summary(), tmp_path / "plan.json").identities == called.identities


def test_consent_and_photos_left_out_are_said_once(crowd, people):
    consent, torn, unscored = notes_on(crowd)
    assert unscored.startswith("No photo is kept for scoring of eve, max: numbers that compare a video with photos")
    kept, *others = notes_on([one.with_photos_apart() for one in crowd])
    assert kept == "Kept for scoring and not tuned on: eve 2.png; max 2.png. A card can say others."
    assert others == [consent, torn]
    assert "whose consent there is: eve (person), max (person). Make videos of people only where they agree" in consent
    assert torn.startswith("identity max: ")
    assert "torn.jpg" in torn
    assert torn.endswith("it is left out")
    assert notes_on(select_identities(people)) == ()


def test_a_run_says_it_before_it_begins(pvbench, inline, photos):
    asked = ("--profile", EXAMPLE_PROFILE, "--methods", "example_drift", "--identities", str(photos), "--prompts", "1")
    for command, ended in (("plan", 0), ("run", 1)):
        status, printed, told = pvbench(command, *asked, "--workers", "1", "--device", "cpu", "--class-noun", "man")
        assert status == ended, printed + told
        assert "eve (man), max (man)" in " ".join(printed.split())
        assert "torn.jpg" in printed


@pytest.mark.parametrize("card", [True, False], ids=["a card", "a single photo"])
def test_without_a_photo_for_scoring_what_compares_with_photos_is_left_out(pvbench, inline, tmp_path, card):
    people = tmp_path / "people"
    make_identity(people, "eve", brightness=90)
    lone = make_identity(people, "max", "man", 180, images=2 if card else 1, scoring=0)
    if not card:
        (lone / "card.toml").unlink()
    asked = ("--profile", EXAMPLE_PROFILE, "--methods", "example_drift,example_stamp", "--identities", f"{people}/")
    status, printed, told = pvbench("run", *asked, "--workers", "1", "--device", "cpu", "--out", "out")
    assert status == 0, printed + told
    note = "No photo is kept for scoring of max: numbers that compare a video with photos of the person are left out"
    assert note in " ".join(printed.split())
    assert note in (tmp_path / "out" / "report" / "report.md").read_text()
    with (tmp_path / "out" / "report" / "scores.csv").open(newline="") as file:
        known = {(row["identity"], row["metric"]) for row in csv.DictReader(file) if row["value"]}
    compared = {"face_sim", "clip_i", "clip_t", "flow_magnitude"}
    assert compared <= {metric for identity, metric in known if identity == "eve"}
    assert compared & {metric for identity, metric in known if identity == "max"} == {"clip_t", "flow_magnitude"}


def test_a_plain_photo_for_scoring_without_a_face_is_left_out_and_told(pvbench, inline, tmp_path):
    lone = make_identity(tmp_path / "people", "max", "man", 180, images=6, scoring=0)
    (lone / "card.toml").unlink()
    Image.fromarray(np.zeros((80, 72, 3), np.uint8)).save(lone / "5.png")
    asked = ("--profile", EXAMPLE_PROFILE, "--methods", "example_drift", "--identities", f"{lone}/", "--prompts", "1")
    for _ in range(2):
        status, printed, told = pvbench("run", *asked, "--workers", "1", "--device", "cpu", "--out", "out")
        assert status == 0, printed + told
        report = (tmp_path / "out" / "report" / "report.md").read_text()
        assert "Of max the photo 5.png, which was kept for scoring, is left out: reference 1 shows no face" in report
        (tmp_path / "out" / "report" / "report.md").unlink()
    for name in ("1.png", "2.png", "3.png", "4.png"):
        (lone / name).unlink()
    status, _, told = pvbench("run", *asked, "--workers", "1", "--device", "cpu", "--out", "out")
    assert status == 2
    assert "none of 1 photo can be used: 5.png: reference 1 shows no face" in told
