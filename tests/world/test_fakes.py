"""The face score cannot be had by hair, skin tone, an average face or a blur."""

import pytest

pytest.importorskip("anny", reason='rendering people needs pip install "pvbench[world]"')

# docs/face_score.md: these two need a recogniser that is trained longer. Strict: the marks go when they hold.
_NOT_YET = pytest.mark.xfail(strict=True, reason="the scoring recogniser is not trained to its target yet")
FAKES = (
    "another person",
    "another person, same hair, beard and glasses",
    "another person, same skin tone",
    "another person, same hair and skin tone",
    pytest.param("average face, same hair and skin tone", marks=_NOT_YET),
    pytest.param("same person, strong blur", marks=_NOT_YET),
)


@pytest.fixture(scope="module")
def table():
    from pvbench.weights import weights_folder
    from pvbench.world.quality import fakes_table, load_face_extractor

    return fakes_table(load_face_extractor(weights_folder("mini")), people=12)


@pytest.mark.parametrize("kind", FAKES)
def test_a_fake_scores_below_nearly_all_true_pairs(table, kind):
    assert table[kind]["mean"] < table["same person"]["p5"]


@pytest.mark.parametrize("kind", ["same person, mild blur", "same person, grey", "same person, colour cast"])
def test_a_worn_picture_of_the_person_scores_above_nearly_all_others(table, kind):
    assert table[kind]["mean"] > table["another person"]["p95"]


def test_faces_are_found_in_all_of_them(table):
    assert min(row["found"] for row in table.values()) > 0.97
