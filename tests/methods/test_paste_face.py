"""A photo's face in the untuned video: contract, places by landmarks, frames and photos without a face."""

import numpy as np
import pytest
from short_contract import ShortContract

from pvbench.errors import FaceError, SettingError
from pvbench.method import request_for
from pvbench.methods.base import Base, BaseSettings
from pvbench.methods.paste_face import PasteFace, PasteFaceSettings, _similarity, pasted

POINTS = np.array([[22.0, 24], [42, 24], [32, 34], [25, 44], [39, 44]])


class TestPasteFace(ShortContract):
    method = PasteFace

    def test_only_the_face_differs_from_the_untuned_video(self, profile, backbone, identity, requests, videos):
        plain = list(Base(BaseSettings(), backbone, profile).generate(identity, None, requests))
        for ours, theirs in zip(videos, plain, strict=True):
            changed = np.abs(ours.frames.astype(int) - theirs.frames).max(axis=-1) > 0
            assert 0.02 < changed.mean() < 0.5
            assert not changed[:, 0].any()


def test_a_face_of_the_same_place_is_pasted_pixel_by_pixel():
    photo = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    frame = np.zeros_like(photo)
    found = pasted(frame, POINTS, photo, POINTS, reach=1.1)
    assert (found[30:38, 28:36] == photo[30:38, 28:36]).all()
    assert (found[:5] == 0).all()
    assert (found[:, -8:] == 0).all()


def test_a_face_that_is_moved_turned_and_scaled_lands_on_the_landmarks():
    turn = 1.5 * np.array([[np.cos(0.3), -np.sin(0.3)], [np.sin(0.3), np.cos(0.3)]])
    places = POINTS @ turn.T + [5, -3]
    matrix = _similarity(POINTS, places)
    np.testing.assert_allclose((POINTS - 0.5) @ matrix[:, :2].T + matrix[:, 2] + 0.5, places, atol=1e-9)


def test_a_frame_without_a_face_stays_as_it_is(ada, short_backbone, short_profile, monkeypatch):
    method = PasteFace(PasteFaceSettings(), short_backbone, short_profile)
    request = request_for(ada, short_prompt(), 0)
    untuned = short_backbone.sample(request.prompt.render("woman"), request.noise_seed)
    seen = PasteFace._landmarks

    def blind(self, frames):
        found = seen(self, frames)
        if len(frames) > 1:
            found[2] = np.nan
        return found

    monkeypatch.setattr(PasteFace, "_landmarks", blind)
    (video,) = method.generate(ada, None, [request])
    same = (video.frames == untuned.frames).reshape(len(video.frames), -1).all(axis=1)
    assert same[2]
    assert not same[[0, 1, 3]].any()


def test_a_photo_without_a_face_is_named(ada, short_backbone, short_profile, monkeypatch):
    method = PasteFace(PasteFaceSettings(), short_backbone, short_profile)
    monkeypatch.setattr(PasteFace, "_landmarks", lambda self, frames: np.full((len(frames), 5, 2), np.nan))
    with pytest.raises(FaceError, match=r"no face is found in .*reference_1\.jpg"):
        list(method.generate(ada, None, [request_for(ada, short_prompt(), 0)]))


def test_a_reach_of_nothing_is_refused():
    with pytest.raises(SettingError, match=r"reach is 0\.0; expected a number above 0"):
        PasteFaceSettings(reach=0.0)


def short_prompt():
    from pvbench.prompt import load_prompts

    return load_prompts("mini_evaluation").prompts[0]
