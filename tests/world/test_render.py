"""Photos and videos show what a shot asks for."""

import numpy as np
import pytest

pytest.importorskip("warp", reason='the miniature world needs pip install "pvbench[world]"')

from pvbench.world.render import Shot, render


@pytest.fixture(scope="module")
def film(figure, person):
    """Renders a shot of the person."""

    def made(shot, seed=0, **how):
        return render(figure, person, shot, np.random.default_rng(seed), **how)

    return made


def test_a_photo_is_one_frame_and_a_video_many(film):
    photo, video = film(Shot("nod"), domain="photo"), film(Shot("nod"), frames=4)
    assert photo.frames.shape == (1, 64, 64, 3)
    assert video.frames.shape == (4, 64, 64, 3)
    assert video.landmarks.shape == (4, 5, 2)
    assert video.yaw.shape == (4,)
    assert video.frames.dtype == np.uint8


def test_a_seed_determines_a_video(film):
    shot = Shot("wave", "smiling", "beach", "jacket", "red", "white")
    np.testing.assert_array_equal(film(shot, 1, frames=2).frames, film(shot, 1, frames=2).frames)
    assert (film(shot, 1, frames=2).frames != film(shot, 2, frames=2).frames).mean() > 0.3


@pytest.mark.parametrize("domain", ["video", "photo", "cartoon"])
def test_the_last_frame_alone_is_that_of_the_whole(film, domain):
    whole, alone = film(Shot("nod"), domain=domain), film(Shot("nod"), domain=domain, last=True)
    for name in ("frames", "landmarks", "yaw", "person", "head"):
        np.testing.assert_array_equal(getattr(alone, name), getattr(whole, name)[-1:], err_msg=name)


def test_an_unknown_domain_is_told(film):
    with pytest.raises(ValueError, match="domain is 'film'; expected photo, video, cartoon or sketch"):
        film(Shot(), domain="film")


def test_landmarks_mark_the_eyes_of_the_picture(film):
    found = film(Shot("still", scene="snow"), domain="photo", size=256)
    grey = found.frames[0].mean(axis=-1)
    for x, y in found.landmarks[0, :2].round().astype(int):
        eye = grey[y - 4 : y + 5, x - 6 : x + 7]
        cheek = grey[y + 22 : y + 32, x - 6 : x + 7]
        assert eye.min() < 0.6 * cheek.mean()


@pytest.mark.parametrize(("colour", "channel"), [("red", 0), ("green", 1), ("blue", 2)])
def test_a_shirt_has_the_colour_that_is_asked_for(film, colour, channel):
    chest = film(Shot(colour=colour, clothes="turtleneck"), domain="photo").frames[0, 58:, 24:40].mean(axis=(0, 1))
    assert chest.argmax() == channel
    assert chest[channel] > 1.4 * np.delete(chest, channel).max()


def test_a_cap_covers_the_top_of_the_head(film):
    bare, capped = (film(Shot(cap=cap), domain="photo").frames[0].astype(int) for cap in ("", "yellow"))
    changed = np.abs(capped - bare).sum(axis=-1) > 40
    assert changed[:28].mean() > 0.1
    assert changed[40:].mean() < 0.02


def test_a_waving_hand_comes_into_the_picture(film):
    waving, still = (film(Shot(action, scene="snow"), frames=8).frames.astype(int) for action in ("wave", "still"))
    side = np.abs(np.diff(waving[:, 20:, :24], axis=0)).mean(), np.abs(np.diff(still[:, 20:, :24], axis=0)).mean()
    assert side[0] > 3 * side[1]


def test_walking_closer_makes_the_face_larger(film):
    marks = film(Shot("walk closer")).landmarks
    eyes = np.linalg.norm(marks[:, 1] - marks[:, 0], axis=-1)
    assert eyes[-1] > 1.3 * eyes[0]


def test_the_yaw_that_is_reported_is_the_one_that_is_seen(film):
    found = film(Shot("turn right"))
    offset = found.landmarks[:, 2, 0] - found.landmarks[:, :2, 0].mean(axis=1)
    assert np.corrcoef(offset, found.yaw)[0, 1] > 0.98
    assert np.abs(found.yaw).max() <= 40


def test_resolution_changes_the_grain_and_not_the_picture(film):
    shot = Shot("smile", scene="desert")
    small, large = film(shot, domain="photo", size=64), film(shot, domain="photo", size=256)
    averaged = large.frames[0].reshape(64, 4, 64, 4, 3).mean(axis=(1, 3))
    assert np.abs(averaged - small.frames[0]).mean() < 4
    np.testing.assert_allclose(large.landmarks, 4 * small.landmarks, rtol=1e-3)
