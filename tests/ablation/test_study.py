"""Studies as they are written: those that ship can be run and read; a wrong one says what is wrong."""

import re

import pytest

from pvbench.ablation.study import select_studies, shipped_studies
from pvbench.errors import MethodError, StudyError
from pvbench.profile import load_profile
from pvbench.report.published import published_ablations
from pvbench.variant import missing, parse_variant

GOOD = """
[[study]]
name = "mine"
question = "What for?"
complete = "all"
people = 3
rows = { "all" = "base", "none" = "oracle" }

[[study.claim]]
column = "face_sim"
higher = "all"
lower = "none"
"""


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "mine.toml"
        path.write_text(text)
        return str(path)

    return write


@pytest.mark.parametrize("study", shipped_studies().values(), ids=lambda study: study.name)
def test_every_shipped_row_can_be_run_on_the_miniature_world(study):
    for text in study.rows.values():
        assert missing(parse_variant(text), load_profile("mini")) == []


def test_the_published_ablations_have_studies_with_their_claims():
    studies = {study.published: study for study in shipped_studies().values() if study.published}
    assert set(studies) == {table.title for table in published_ablations()}
    for study in studies.values():
        assert any(claim.published for claim in study.claims)
        assert study.people >= 10
        assert study.table is not None


def test_claims_name_rows_and_an_equality_its_margin():
    scr = shipped_studies()["scr"]
    equal = [claim for claim in scr.claims if claim.equal]
    assert [(claim.column, claim.margin) for claim in equal] == [("face_sim", 0.02)]
    assert {claim.first for claim in scr.claims} == {"SCR"}


def test_the_higher_row_of_a_number_that_should_fall_is_the_worse_one(write):
    path = write(GOOD.replace('column = "face_sim"', 'column = "warping_error"'))
    (study,) = select_studies([path])
    (claim,) = study.claims
    assert (claim.first, claim.second) == ("none", "all")


def test_all_are_taken_where_none_is_named_and_each_once():
    assert [study.name for study in select_studies([])] == list(shipped_studies())
    assert [study.name for study in select_studies(["scr", "span", "scr"])] == ["scr", "span"]


def test_a_file_of_ones_own_is_taken_with_all_its_studies(write):
    (study,) = select_studies([write(GOOD)])
    assert study.name == "mine"
    assert study.people == 3
    assert study.claims[0].first == "all"
    assert not study.claims[0].published


def test_a_misspelt_study_is_told_with_the_nearest():
    with pytest.raises(StudyError, match=r"unknown study 'spann' \(did you mean 'span'\?\)"):
        select_studies(["spann"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('name = "mine"', 'name = "my own"'), "expected a name of letters"),
        (('name = "mine"', 'name = "mine"\nrow = 1'), "unknown field 'row'"),
        (('complete = "all"', 'complete = "al"'), "complete: there is no row 'al' (did you mean 'all'?)"),
        (('complete = "all"', ""), "complete: there is no row None"),
        (('{ "all" = "base", "none" = "oracle" }', '{ "all" = "base" }'), "two or more names with a method"),
        (("people = 3", "people = 0"), "people is 0; expected how many"),
        (('column = "face_sim"', 'column = "face_sin"'), "no number 'face_sin' (did you mean 'face_sim'?)"),
        (('lower = "none"', 'lower = "nothing"'), "claim about face_sim: there is no row 'nothing'"),
        (('lower = "none"', ""), "expected higher and lower, or equal"),
        (('lower = "none"', 'lower = "none"\nmargin = 1'), "expected higher and lower, or equal"),
        (('question = "What for?"', 'published = "Table 9"'), "the paper has no ablation 'Table 9'"),
        (("people = 3", 'people = 3\nequal_seconds = { "x" = "all" }'), "expected { row = NAME, to = NAME }"),
    ],
)
def test_a_study_that_makes_no_sense_is_told(write, change, message):
    with pytest.raises(StudyError, match=re.escape(message)):
        select_studies([write(GOOD.replace(*change))])


def test_a_file_that_holds_none_or_is_none_is_told(write, tmp_path):
    with pytest.raises(StudyError, match="holds no study"):
        select_studies([write("x = 1")])
    with pytest.raises(StudyError, match="is no TOML"):
        select_studies([write("[[study")])
    with pytest.raises(StudyError, match="cannot be read"):
        select_studies([str(tmp_path / "absent.toml")])


def test_a_method_that_is_not_installed_is_told(write):
    with pytest.raises(MethodError, match="unknown method 'bass'"):
        select_studies([write(GOOD.replace('"base"', '"bass"'))])


def test_a_study_of_ones_own_may_not_take_a_shipped_name(write):
    with pytest.raises(StudyError, match="two studies are named 'scr'"):
        select_studies(["scr", write(GOOD.replace('"mine"', '"scr"'))])
