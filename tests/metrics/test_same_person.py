"""Face, skin, hair and look, each at its limit, worked by hand."""

import math

import numpy as np
import pytest

from pvbench.metrics import MetricError
from pvbench.metrics.gallery import UNKNOWN
from pvbench.metrics.look import LABELS
from pvbench.metrics.same_person import SamePerson, evidence

LIMITS = {"face": 0.7, "skin": 15.0, "hair": 30.0, "look": 0.05}
COLOUR = np.array([[50, 10, 20]], np.float32)


def features(cosines=(0.8, 0.8), skin=0.0, hair=0.0, look=0.9, missing=0):
    """A video whose frames have these cosines, distances of colours and probabilities of every label."""
    count, none = len(cosines), np.full((missing, 3), np.nan, np.float32)
    faces = np.array([[c, math.sqrt(1 - c**2), 0] for c in cosines], np.float32).reshape(-1, 3)
    words = np.tile(np.array([[look, 1 - look]], np.float32), (count, 1))

    def coloured(distance):
        return np.concatenate([np.tile(COLOUR + np.array([[0, 0, distance]]), (count, 1)).astype(np.float32), none])

    return {
        "face/embedding": np.concatenate([faces, none]),
        "face/detected": np.array([1] * count + [0] * missing, np.float32),
        "truth/face": np.array([[1, 0, 0]], np.float32),
        "colours/skin": coloured(skin),
        "colours/crown": coloured(hair),
        "truth/skin": COLOUR,
        "truth/crown": COLOUR,
        **{f"look/{label}": np.concatenate([words, none[:, :2]]) for label in LABELS},
        **{f"reference/look_{label}": np.array([[0.9, 0.1]], np.float32) for label in LABELS},
    }


def passes(**changed):
    (value,) = SamePerson(**LIMITS).row(features(**changed))
    return value


def test_a_video_within_all_limits_passes():
    assert passes() == 1
    assert passes(cosines=(0.75, 0.75), skin=14.9, hair=29.9, look=0.06) == 1


@pytest.mark.parametrize("beyond", [{"cosines": (0.69, 0.69)}, {"skin": 15.1}, {"hair": 30.1}, {"look": 0.04}], ids=str)
def test_one_limit_that_is_not_kept_is_enough(beyond):
    assert passes(**beyond) == 0


def test_the_face_is_averaged_over_all_frames_and_is_zero_where_there_is_none():
    assert evidence(features(cosines=(0.9, 0.5)))[0] == pytest.approx(0.7)
    assert evidence(features(cosines=(0.8, 0.8), missing=2))[0] == pytest.approx(0.4)
    assert passes(cosines=(0.8, 0.8, 0.8), missing=1) == 0


def test_a_label_that_one_frame_denies_is_no_longer_likely():
    given = features()
    given["look/beard"][1] = [1e-6, 1]
    assert evidence(given)[3] == pytest.approx(math.sqrt(0.9 * 2e-6), rel=1e-3)
    assert SamePerson(**LIMITS).row(given) == (0,)


def test_a_video_without_a_face_does_not_pass():
    assert passes(cosines=(), missing=3) == 0
    face, *others = evidence(features(cosines=(), missing=3))
    assert face == 0
    assert all(math.isnan(one) for one in others)


@pytest.mark.parametrize("without", ["truth/face", "truth/skin", "truth/crown"])
def test_without_the_true_video_there_is_no_number(without):
    given = features() | {without: UNKNOWN[without]}
    assert math.isnan(SamePerson(**LIMITS).row(given)[0])


def test_without_limits_there_is_no_number():
    assert math.isnan(SamePerson().row(features())[0])


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"face": 1.2}, r"face is 1\.2; expected a number from 0 to 1 for face and look"),
        ({"look": -0.1}, r"look is -0\.1"),
        ({"skin": math.nan}, "skin is nan"),
        ({"hair": 0.0}, r"set together or not at all; got .*'hair': 0\.0"),
    ],
    ids=str,
)
def test_limits_that_cannot_be_are_refused(limits, message):
    with pytest.raises(MetricError, match=message):
        SamePerson(**LIMITS | limits)


def test_a_head_that_was_not_read_is_refused():
    given = features()
    given["look/glasses"][0] = np.nan
    with pytest.raises(MetricError, match=r"look/glasses.*2 frames with a face"):
        SamePerson(**LIMITS).row(given)
