"""The face score cannot be had by hair, skin tone, an average face or a blur."""

import pytest

pytest.importorskip("anny", reason='rendering people needs pip install "pvbench[world]"')

FAKES = (
    "another person",
    "another person, same hair, beard and glasses",
    "another person, same skin tone",
    "another person, same hair and skin tone",
    "average face, same hair and skin tone",
    "same person, strong blur",
)


@pytest.fixture(scope="module")
def table():
    from pvbench.weights import weights_folder
    from pvbench.world.quality import fakes_table, load_face_extractor

    return fakes_table(load_face_extractor(weights_folder("mini")), people=10)


@pytest.mark.parametrize("kind", FAKES)
def test_a_fake_scores_below_nearly_all_true_pairs(table, kind):
    assert table[kind]["mean"] < table["same person"]["p5"]


@pytest.mark.parametrize("kind", ["same person, mild blur", "same person, grey", "same person, colour cast"])
def test_a_worn_picture_of_the_person_scores_above_nearly_all_others(table, kind):
    assert table[kind]["mean"] > table["another person"]["p95"]


def test_faces_are_found_in_all_of_them(table):
    assert min(row["found"] for row in table.values()) > 0.97
