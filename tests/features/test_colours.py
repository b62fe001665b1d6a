"""Colours of heads: patches of known colour, at known places."""

import numpy as np
import pytest

from pvbench.features.colours import colours_of
from pvbench.features.face import TEMPLATE
from pvbench.profile import load_profile

# sRGB and CIELAB under D65, by the definitions; OpenCV reads tables, which are up to .3 off.
KNOWN = {
    (255, 0, 0): (53.24, 80.09, 67.20),
    (255, 255, 255): (100.0, 0.0, 0.0),
    (119, 119, 119): (50.03, 0.0, 0.0),
    (0, 0, 255): (32.30, 79.19, -107.86),
}


def picture(skin, crown, *, side=112, at=(60, 80)):
    """A frame of green, with a face whose crop is as large as a recogniser's: a patch for skin, one above it."""
    frame = np.zeros((240, 240, 3), np.uint8)
    frame[:] = (0, 255, 0)
    x, y = at
    frame[y + int(0.45 * side) : y + int(0.8 * side), x + int(0.1 * side) : x + int(0.9 * side)] = skin
    frame[y - int(0.2 * side) : y + int(0.2 * side), x + int(0.1 * side) : x + int(0.9 * side)] = crown
    return frame, np.array(TEMPLATE) * side / 112 + at


@pytest.mark.parametrize(("skin", "crown"), [((255, 0, 0), (0, 0, 255)), ((119, 119, 119), (255, 255, 255))])
def test_a_patch_has_its_colour(skin, crown):
    frame, landmarks = picture(skin, crown)
    found = colours_of(frame[None], landmarks[None])
    np.testing.assert_allclose(found["skin"], [KNOWN[skin]], atol=0.3)
    np.testing.assert_allclose(found["crown"], [KNOWN[crown]], atol=0.3)


def test_places_go_with_the_face():
    plain, landmarks = picture((255, 0, 0), (0, 0, 255))
    small, moved = picture((255, 0, 0), (0, 0, 255), side=56, at=(150, 100))
    found = colours_of(np.stack([plain, small]), np.stack([landmarks, moved]))
    np.testing.assert_allclose(found["skin"][0], found["skin"][1], atol=0.1)
    np.testing.assert_allclose(found["crown"][0], found["crown"][1], atol=0.1)


def test_a_frame_without_a_face_has_no_colours():
    frame, landmarks = picture((255, 0, 0), (0, 0, 255))
    found = colours_of(np.stack([frame, frame]), np.stack([landmarks, np.full((5, 2), np.nan)]))
    for rows in found.values():
        assert rows.shape == (2, 3)
        assert np.isfinite(rows[0]).all()
        assert np.isnan(rows[1]).all()
    nobody = colours_of(frame[None], np.full((1, 5, 2), np.nan))
    assert all(np.isnan(rows).all() for rows in nobody.values())


def test_a_face_at_the_edge_of_the_frame_has_colours():
    frame, landmarks = picture((255, 0, 0), (0, 0, 255), at=(60, -10))
    found = colours_of(frame[None], landmarks[None])
    assert np.isfinite(found["skin"]).all()
    assert np.isfinite(found["crown"]).all()


def test_the_signature_names_the_places():
    from pvbench.features.colours import HeadColoursLoader

    signature = HeadColoursLoader.signature(load_profile("mini"))
    assert signature["skin"] == [0.25, 0.54, 0.75, 0.70]
    assert signature["crown"] == [0.30, -0.06, 0.70, 0.08]
