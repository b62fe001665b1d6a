"""Judges of faces and heads know a person again, and say nothing of a picture without one."""

import numpy as np
import pytest

from pvbench.identity import load_identities
from pvbench.pixels import resize_photo
from pvbench.profile import load_profile
from pvbench.weights import weights_folder
from workshop.judges import load_face_extractor, load_judges

PEOPLE = ("ada", "ben", "chloe", "hugo")
JUDGES = ("face", "head", "coach")
GREY = np.full((64, 64, 3), 120, np.uint8)


@pytest.fixture(scope="module")
def weights():
    return weights_folder(load_profile("mini").evaluators["weights"])


@pytest.fixture(scope="module")
def judges(weights):
    return load_judges(weights)


@pytest.fixture(scope="module")
def photos():
    """Two photos of each of four people, as large as the mini profile's frames."""
    people = load_identities(list(PEOPLE))
    return {person.name: [resize_photo(photo, 64, 64) for photo in person.references()[:2]] for person in people}


def test_there_are_three_judges(judges):
    assert tuple(judges) == JUDGES


@pytest.mark.parametrize("name", JUDGES)
def test_a_person_is_nearer_to_their_own_other_photo_than_to_anybody_elses(judges, photos, name):
    first, second = (judges[name]([photos[person][place] for person in PEOPLE]) for place in (0, 1))
    assert first.shape == (len(PEOPLE), 128)
    np.testing.assert_allclose(np.linalg.norm(first, axis=1), 1, atol=1e-5)
    likeness = first @ second.T
    assert (likeness.argmax(axis=1) == np.arange(len(PEOPLE))).all()
    assert np.diag(likeness).min() > 0.3


@pytest.mark.parametrize("name", JUDGES)
def test_a_picture_without_a_face_has_a_row_of_nan_and_leaves_the_others_alone(judges, photos, name):
    judge, (one, other) = judges[name], photos["ada"]
    found = judge([one, GREY, other])
    assert np.isnan(found[1]).all()
    np.testing.assert_allclose(found[[0, 2]], judge([one, other]), atol=1e-5)


@pytest.mark.parametrize("name", JUDGES)
def test_pictures_that_show_nobody_are_all_nan(judges, name):
    found = judges[name]([GREY, GREY])
    assert found.shape == (2, 128)
    assert np.isnan(found).all()


def test_each_judge_has_a_mind_of_its_own(judges, photos):
    rows = [judges[name](photos["ada"]) for name in JUDGES]
    for place, one in enumerate(rows):
        assert all(np.abs(one - other).max() > 0.05 for other in rows[:place])


def test_the_faces_judge_is_the_scoring_sides_extractor(judges, weights, photos):
    extractor = load_face_extractor(weights)
    np.testing.assert_array_equal(extractor(np.stack(photos["ben"])).embedding, judges["face"](photos["ben"]))
