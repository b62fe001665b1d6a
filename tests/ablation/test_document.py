"""What a study's document says of planted differences: verdicts, failed rows, and rows of equal seconds."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from pvbench.ablation.document import StudyResult, claim_words, claims_table, document, in_words, rows_table
from pvbench.ablation.study import Claim, EqualSeconds, Study
from pvbench.report import CellKey, ReportData, ReportIdentity, ReportPrompt, ReportVariant
from pvbench.report.document.block import Paragraph, Table

ROWS = {"without": "m[part=off]", "all": "m", "short": "m[steps=5]"}
AGAIN = "short, equal seconds"
LABELS = {**ROWS, AGAIN: "m[steps=20]"}
SECONDS = {"m": 40.0, "m[part=off]": 20.4, "m[steps=5]": 10.0, "m[steps=20]": 39.6, "base": math.nan}
LEVELS = {"m": 0.5, "m[part=off]": 0.4, "m[steps=5]": 0.5, "m[steps=20]": 0.6, "base": 0.1}
HIGHER = Claim("clip_t", "all", "without", published=True)
STUDY = Study(
    "parts", "What is the part worth?", ROWS, "all", 10, (HIGHER,), {AGAIN: EqualSeconds("short", "all")},
    caution="Read both matchings.",
)  # fmt: skip


def result(people=8, claims=(HIGHER,), lacking=(), **changed):
    """A study of which every row has its level of CLIP-T, but for a little noise; rows that are lacking have failed."""
    rng = np.random.default_rng(0)
    names, prompts = [f"person{k}" for k in range(people)], [f"p{k}" for k in range(4)]
    cells = [CellKey(name, prompt, 0) for name in names for prompt in prompts]
    scores = {
        label: {cell: {"clip_t": level + 0.005 * rng.normal()} for cell in cells if label not in lacking}
        for label, level in LEVELS.items()
    }
    # The floor stands first in a run's plan.
    variants = [ReportVariant("base", "base", role="floor"), *(ReportVariant(label, "m") for label in LABELS.values())]
    data = ReportData(
        profile="mini",
        variants=tuple(variants),
        identities=tuple(ReportIdentity(name, "woman") for name in names),
        prompts=tuple(ReportPrompt(prompt, "a <V>") for prompt in prompts),
        seeds=(0,),
        scores=scores,
        evaluators={"clip": {"name": "score-clip"}},
        metrics=("clip_t",),
    )
    return StudyResult.of(replace(STUDY, claims=tuple(claims), **changed), data, LABELS, SECONDS)


def texts(table):
    """The rows of a table by their first column, without it."""
    return {row[0].text: [entry.text for entry in row[1:]] for row in table.rows}


def claimed(found):
    """The only row of the table of claims."""
    (row,) = claims_table(found).rows
    return row


@pytest.fixture(scope="module")
def planted():
    return result()


def test_a_claim_that_holds_is_reproduced(planted):
    words, whose, difference, p, verdict = claimed(planted)
    assert (words.text, whose.text, verdict.text) == ("CLIP-T: all > without", "the paper", "reproduced")
    assert float(difference.text) == pytest.approx(10, abs=0.5)
    assert difference.text.startswith("+")
    low, high = json.loads(difference.below)
    assert 9 < low < float(difference.text) < high < 11
    # All eight people agree, which one of 2^8 patterns of signs does.
    assert p.text == f"{2**-8:.3g}"


def test_the_other_direction_is_contradicted():
    words, whose, difference, p, verdict = claimed(result(claims=[Claim("clip_t", "without", "all")]))
    assert (words.text, whose.text, verdict.text) == ("CLIP-T: without > all", "ours", "contradicted")
    assert difference.text.startswith("-")
    assert p.text == "1"


def test_a_difference_that_people_do_not_share_is_undecided():
    found = claimed(result(claims=[Claim("clip_t", "all", "short")]))
    assert found[4].text == "undecided"
    low, high = json.loads(found[2].below)
    assert low < 0 < high


@pytest.mark.parametrize(("second", "verdict"), [("short", "reproduced"), ("without", "contradicted")])
def test_an_equality_is_told_with_its_margin(second, verdict):
    words, *_, found = claimed(result(claims=[Claim("clip_t", "all", second, margin=0.02)]))
    assert words.text == f"CLIP-T: all = {second} (within 2.00)"
    assert found.text == verdict


def test_a_number_that_should_fall_has_the_better_row_below():
    assert claim_words(Claim("warping_error", "all", "without")) == "all < without"


def test_rows_that_are_the_same_are_one_row_with_both_names():
    """As where the steps that take another row's seconds are a row's own."""
    labels = {**ROWS, AGAIN: ROWS["short"]}
    planted = result()
    data = replace(planted.data, variants=tuple(one for one in planted.data.variants if one.label != LABELS[AGAIN]))
    same = StudyResult.of(planted.study, data, labels, SECONDS)
    assert list(texts(rows_table(same))) == ["all", "without", f"short = {AGAIN}", "base"]


def test_claims_about_numbers_that_were_not_measured_have_no_table():
    (block,) = [
        block
        for block in document([result(claims=[Claim("face_sim", "all", "without")])]).sections[0].blocks
        if isinstance(block, Table)
    ]
    assert block.name == "parts-rows"


def test_few_people_decide_nothing_and_are_called_exploratory():
    few, many = result(people=5), replace(result(people=6), study=replace(STUDY, name="enough"))
    assert claimed(few)[4].text == "undecided"
    (lead,) = document([few, many]).lead
    assert lead.text.startswith("2 studies: parts, enough. With fewer than 6 people nothing is called reproduced")
    assert lead.text.endswith("exploratory: parts.")
    assert document([many]).lead == (Paragraph("1 study: enough."),)


def test_both_matchings_stand_between_the_complete_row_and_the_floor(planted):
    table = rows_table(planted)
    assert table.header == ("Row", "CLIP-T ↑", "Tuning, s")
    assert list(texts(table)) == ["all", "without", "short", AGAIN, "base"]
    assert [row[-1] for row in texts(table).values()] == ["40", "20", "10", "40", "–"]
    assert table.rules == (1,)
    assert {"short: `m[steps=5]`", f"{AGAIN}: `m[steps=20]`"} <= set(table.notes)


def test_a_claim_about_a_row_of_equal_seconds_is_about_its_own_videos():
    steps, seconds = (claimed(result(claims=[Claim("clip_t", row, "all")])) for row in ("short", AGAIN))
    assert steps[4].text == "undecided"
    assert (seconds[0].text, seconds[4].text) == (f"CLIP-T: {AGAIN} > all", "reproduced")


def test_a_difference_to_the_complete_row_has_a_star_where_it_is_significant(planted):
    shown = {row[0].text: row[1] for row in rows_table(planted).rows}
    assert {name: entry.text.endswith("*") for name, entry in shown.items()} == {
        "all": False, "without": True, "short": False, AGAIN: True, "base": False,
    }  # fmt: skip
    assert shown["without"].below.startswith("-") and shown[AGAIN].below.startswith("+")
    # Neither the complete row nor the floor is compared with it.
    assert shown["all"].below == shown["base"].below == ""
    assert float(shown["all"].text) == pytest.approx(50, abs=0.5)


def test_a_row_that_failed_has_dashes_and_leaves_its_claim_undecided():
    found = result(lacking=["m[part=off]"])
    assert texts(rows_table(found))["without"] == ["–", "20"]
    assert [entry.text for entry in claimed(found)[2:]] == ["–", "–", "undecided"]
    assert "Videos that failed and are left out: 32." in document([found]).sections[0].blocks[0].text
    told = in_words([found])["studies"]["parts"]
    assert told["rows"]["without"]["scores"]["clip_t"] == {"value": None, "interval": None, "n": 0}
    assert {one["first"] for one in told["differences"]} == {"m[steps=5]", "m[steps=20]"}
    (claim,) = told["claims"]
    assert (claim["difference"], claim["interval"], claim["p_holm"]) == (None, None, None)
    assert claim["verdict"] == "undecided"


def test_the_grid_and_what_to_beware_of_stand_first(planted):
    (section,) = document([planted]).sections
    assert section.title == "What is the part worth?"
    assert section.blocks[0] == Paragraph("8 people x 4 prompts x 1 seeds, profile mini. Read both matchings.")
    assert [block.name for block in section.blocks[1:]] == ["parts-rows", "parts-claims"]


def test_a_study_without_claims_has_no_table_of_them():
    (section,) = document([result(claims=())]).sections
    assert [block.name for block in section.blocks if isinstance(block, Table)] == ["parts-rows"]


def test_a_study_of_the_paper_ends_in_the_papers_own_numbers():
    (section,) = document([result(published="Semantic consistency reward")]).sections
    assert "Semantic consistency reward" in section.blocks[-1].caption
    assert len(section.blocks) == 4


def test_a_claim_about_a_number_that_was_not_measured_is_left_out():
    found = result(claims=[HIGHER, Claim("face_sim", "all", "without")])
    assert claimed(found)[0].text == "CLIP-T: all > without"
    assert len(in_words([found])["studies"]["parts"]["claims"]) == 1


def test_programs_are_told_the_same_in_natural_units(planted):
    told = in_words([planted])
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    study = told["studies"]["parts"]
    assert {name: row["tuning_seconds"] for name, row in study["rows"].items()} == {
        "all": 40.0, "without": 20.4, "short": 10.0, AGAIN: 39.6,
    }  # fmt: skip
    (claim,) = study["claims"]
    assert (claim["metric"], claim["claim"], claim["published"]) == ("clip_t", "all > without", True)
    assert (claim["verdict"], claim["p_holm"]) == ("reproduced", 2**-8)
    assert claim["difference"] == pytest.approx(0.1, abs=0.005)
    (without,) = (one for one in study["differences"] if one["first"] == "m[part=off]")
    assert without["difference"] == pytest.approx(-claim["difference"])
    assert (without["significant"], without["identities"], without["n"]) == (True, 8, 32)
