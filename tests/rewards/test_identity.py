"""The identity reward: nothing to gain from the own face, gradients through the picture, frames without a face."""

import numpy as np
import pytest
import torch

from pvbench.errors import FaceError
from pvbench.features.face import TEMPLATE
from pvbench.features.mini.face_networks import FaceDetector, ResidualRecogniser
from pvbench.reward import Jitter
from pvbench.rewards.identity import FaceReward

SIDE = 64


class BrightSpot(FaceDetector):
    """Finds one face in the middle of every picture that is not black, and a second one in white pictures."""

    def __init__(self):
        super().__init__(4)

    def forward(self, images):
        n = len(images)
        logits = torch.full((n, 16, 16), -9.0)
        points = torch.zeros(n, 16, 16, 5, 2)
        points[:, 7:10, 7:10] = torch.tensor(TEMPLATE) * (32 / 112) + 16
        logits[:, 8, 8] = torch.where(images.amax(dim=(1, 2, 3)) > -0.99, 9.0, -9.0)
        points[:, 7:10, 0:3] = torch.tensor(TEMPLATE) * (8 / 112)
        logits[:, 8, 1] = torch.where(images.mean(dim=(1, 2, 3)) > 0.99, 8.0, -9.0)
        return logits, points


@pytest.fixture(scope="module")
def reward():
    torch.manual_seed(0)
    return FaceReward(BrightSpot(), ResidualRecogniser().eval().requires_grad_(False), torch.device("cpu"))


@pytest.fixture(scope="module")
def photo():
    generator = torch.Generator().manual_seed(1)
    return torch.randint(40, 215, (SIDE, SIDE, 3), generator=generator, dtype=torch.uint8).numpy()


def as_image(photo):
    return torch.from_numpy(photo).permute(2, 0, 1)[None].float() / 127.5 - 1


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_the_references_own_picture_loses_nothing(reward, photo):
    reference = reward.reference([photo], SIDE, SIDE)
    found = reward(as_image(photo), reference, Jitter(), generator())
    torch.testing.assert_close(found, torch.zeros(1), rtol=0, atol=1e-5)


def test_another_picture_loses_more_and_at_most_two(reward, photo):
    reference = reward.reference([photo], SIDE, SIDE)
    other = torch.rand(1, 3, SIDE, SIDE, generator=generator(4)) * 2 - 1
    found = float(reward(other, reference, Jitter(), generator()))
    assert 0.01 < found <= 2


def test_gradients_reach_the_face_of_the_picture(reward, photo):
    reference = reward.reference([photo], SIDE, SIDE)
    image = (torch.rand(1, 3, SIDE, SIDE, generator=generator(4)) * 2 - 1).requires_grad_(True)
    reward(image, reference, Jitter(0.1, 0.1, 0.1), generator()).sum().backward()
    assert image.grad[0, :, 20:44, 20:44].abs().sum() > 0
    assert image.grad[0, :, :10].abs().sum() == 0


def test_descending_on_the_pixels_brings_the_face_closer(reward, photo):
    reference = reward.reference([photo], SIDE, SIDE)
    image = (torch.rand(1, 3, SIDE, SIDE, generator=generator(4)) * 2 - 1).requires_grad_(True)
    before = float(reward(image.detach(), reference, Jitter(), generator()))
    for _ in range(20):
        (slope,) = torch.autograd.grad(reward(image, reference, Jitter(), generator()).sum(), image)
        image = (image - 0.05 * slope / slope.abs().max()).detach().requires_grad_(True)
    assert float(reward(image.detach(), reference, Jitter(), generator())) < 0.7 * before


def test_pictures_without_a_face_have_no_loss(reward, photo):
    reference = reward.reference([photo], SIDE, SIDE)
    black = torch.full((2, 3, SIDE, SIDE), -1.0)
    assert reward(black, reference, Jitter(), generator()) is None
    assert reward(torch.cat([black, as_image(photo)]), reference, Jitter(), generator()).shape == (1,)


def test_the_generator_determines_the_jitter(reward, photo):
    reference = reward.reference([photo], SIDE, SIDE)
    found = [float(reward(as_image(photo), reference, Jitter(0.3, 0.3, 0.3), generator(seed))) for seed in (1, 1, 2)]
    assert found[0] == found[1] != found[2]


def test_references_images_and_crops_are_changed_each_by_its_own_size(reward, photo, monkeypatch):
    """Of the paper is the references' alone: the image that is scored is the image that was made."""
    from pvbench.rewards import identity

    reference, seen = reward.reference([photo], SIDE, SIDE), []
    embed = identity.embed_faces
    monkeypatch.setattr(identity, "embed_faces", lambda network, crops: (seen.append(crops), embed(network, crops))[1])
    calm = reward(as_image(photo), reference, Jitter(), generator())
    plain, made = seen
    for jitter, changed in ((Jitter(reference=0.3), (True, False)), (Jitter(image=0.3), (False, True)),
                            (Jitter(crop=0.3), (False, True))):  # fmt: skip
        seen.clear()
        found = reward(as_image(photo), reference, jitter, generator())
        assert (not torch.equal(seen[0], plain), not torch.equal(seen[1], made)) == changed
        assert not torch.equal(found, calm)


def test_several_references_are_averaged(reward, photo):
    one = reward.reference([photo], SIDE, SIDE)
    three = reward.reference([photo] * 3, SIDE, SIDE)
    image = torch.rand(1, 3, SIDE, SIDE, generator=generator(4)) * 2 - 1
    torch.testing.assert_close(
        reward(image, three, Jitter(), generator()), reward(image, one, Jitter(), generator()), rtol=0, atol=1e-5
    )


@pytest.mark.parametrize(("level", "what"), [(0, "no face"), (255, "2 faces")])
def test_a_reference_that_cannot_serve_is_told(reward, photo, level, what):
    with pytest.raises(FaceError, match=f"reference photo 2 of 2 shows {what}; expected exactly one"):
        reward.reference([photo, np.full_like(photo, level)], SIDE, SIDE)


def test_the_mask_is_one_on_the_face_and_falls_off_around_it(reward):
    """Eye distance 10.1 pixels and reach 1.5: half a power of e at 15.1 pixels from the middle."""
    images = torch.zeros(2, 3, SIDE, SIDE)
    images[1] = -1.0
    mask = reward.face_mask(images)
    assert mask.shape == (2, 1, SIDE, SIDE)
    middle = (torch.tensor(TEMPLATE) * (32 / 112) + 16).mean(dim=0)
    row, column = int(middle[1]), int(middle[0])
    assert float(mask[0, 0, row, column]) > 0.99
    assert float(mask[0, 0, row, column - 15]) == pytest.approx(0.607, abs=0.03)
    assert float(mask[0, 0, 0, 0]) < 0.1
    assert float(mask[1].max()) == 0.0


def test_with_jitter_the_finest_pixels_earn_less(reward):
    checks = (torch.arange(32)[:, None] + torch.arange(32)) % 2 * 2.0 - 1
    crops = checks.expand(8, 3, 32, 32)
    torch.testing.assert_close(reward._blurred(crops, 0.0, generator()), crops)
    found = reward._blurred(crops, 0.1, generator())
    assert float(found.std()) < 0.8 * float(crops.std())


def test_the_moved_crop_stays_near_the_face(reward):
    marks = (torch.tensor(TEMPLATE) * (32 / 112) + 16).expand(400, 5, 2)
    torch.testing.assert_close(reward._moved(marks, 0.0, generator()), marks)
    drift = (reward._moved(marks, 0.15, generator()) - marks).mean(dim=1)
    eyes = float((marks[0, 1] - marks[0, 0]).norm())
    assert abs(float(drift.mean())) < 0.1
    assert 0.05 * eyes < float(drift.std()) < 0.1 * eyes


def test_landmarks_are_of_the_best_face_and_nan_without_one(reward):
    images = torch.cat([torch.zeros(1, 3, SIDE, SIDE), -torch.ones(1, 3, SIDE, SIDE), torch.ones(1, 3, SIDE, SIDE)])
    found = reward.landmarks(images)
    assert found.shape == (3, 5, 2)
    torch.testing.assert_close(found[0], torch.tensor(TEMPLATE) * (32 / 112) + 16)
    assert bool(found[1].isnan().all())
    # Two faces are in the white picture; the one in the middle has the higher score.
    torch.testing.assert_close(found[2], found[0])
