"""The face score cannot be had by hair, skin tone, an average face, a blur or a face that lacks features."""

import pytest

pytest.importorskip("anny", reason='rendering people needs pip install "pvbench[world]"')

# The table is in docs/face_score.md.
FAKES = (
    "another person",
    "another person, same hair, beard and glasses",
    "another person, same skin tone",
    "another person, same hair and skin tone",
    "average face, same hair and skin tone",
    "same person, strong blur",
    "same person, mouth wiped out",
    "same person, eyes wiped out",
    "another person, tuned on the reward",
)


@pytest.fixture(scope="module")
def table():
    from pvbench.weights import weights_folder
    from pvbench.world.quality import fakes_table

    return fakes_table(weights_folder("mini"), people=12)


@pytest.mark.parametrize("kind", FAKES)
def test_a_fake_scores_below_nearly_all_true_pairs(table, kind):
    assert table[kind]["mean"] < table["same person"]["p5"]


@pytest.mark.parametrize("kind", ["same person, mild blur", "same person, grey", "same person, colour cast"])
def test_a_worn_picture_of_the_person_scores_above_nearly_all_others(table, kind):
    assert table[kind]["mean"] > table["another person"]["p95"]


def test_faces_are_found_in_all_that_were_not_tuned(table):
    assert min(row["found"] for kind, row in table.items() if "tuned" not in kind) > 0.97


def test_the_rewards_own_recogniser_was_saturated(table):
    assert table["(the same, by the reward's own recogniser)"]["mean"] > 0.95
