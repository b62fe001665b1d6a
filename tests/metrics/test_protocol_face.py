"""FaceSim by the published scripts' rules, worked by hand: what is left out, what counts 0, several photos."""

import math

import numpy as np
import pytest

from pvbench.metrics.protocol_face import ConsisIDFace, OpenS2VFace


def at(*cosines):
    """Rows whose cosine to the first axis is given; None is a frame without a face."""
    rows = [(math.nan, math.nan) if c is None else (c, math.sqrt(1 - c * c)) for c in cosines]
    return np.array(rows, np.float32)


PHOTO = np.array([[3.0, 0.0]], np.float32)  # of any length


def opens2v(frames, photos=PHOTO):
    given = {"opens2v/cur": frames, "opens2v/arc": frames}
    return OpenS2VFace().row(given | {"reference/protocol_cur": photos, "reference/protocol_arc": photos})


def consisid(frames, photos=PHOTO):
    given = {"consisid/cur": frames, "consisid/arc": frames}
    return ConsisIDFace().row(given | {"reference/protocol_cur": photos, "reference/protocol_arc": photos})


def test_the_mean_of_the_cosines():
    assert opens2v(at(0.6, 0.8)) == pytest.approx((0.7, 0.7))
    assert consisid(at(0.6, 0.8)) == pytest.approx((0.7, 0.7))


def test_frames_without_a_face_are_left_out():
    assert opens2v(at(0.6, None, 0.8)) == pytest.approx((0.7, 0.7))
    assert consisid(at(0.6, None, 0.8)) == pytest.approx((0.7, 0.7))


def test_a_negative_cosine_is_zero_and_opens2v_drops_it_from_cur_alone():
    # The script asks whether the list, not the number, is 0 for Arc: zeros stay.
    cur, arc = opens2v(at(0.6, -0.5))
    assert cur == pytest.approx(0.6)
    assert arc == pytest.approx(0.3)
    assert consisid(at(0.6, -0.5)) == pytest.approx((0.3, 0.3))


@pytest.mark.parametrize("score", [opens2v, consisid])
def test_a_video_without_a_face_is_zero(score):
    assert score(at(None, None)) == (0, 0)
    assert score(at(-0.2, -0.3)) == (0, 0)


@pytest.mark.parametrize("score", [opens2v, consisid])
def test_photos_are_averaged_and_those_without_a_face_left_out(score):
    photos = np.array([[1, 0], [0, 2], [math.nan] * 2], np.float32)
    assert score(at(0.6), photos) == pytest.approx(((0.6 + 0.8) / 2,) * 2)
    assert all(math.isnan(value) for value in score(at(0.6), photos[2:]))
