"""Faces are aligned exactly and differentiably; detections are merged; embeddings are unit vectors."""

import math

import numpy as np
import pytest
import torch

from pvbench.features.face import CROP, TEMPLATE, crop_faces, embed_faces, similarity
from pvbench.features.mini.face_networks import FaceDetector, PlainRecogniser, ResidualRecogniser

RECOGNISERS = (ResidualRecogniser, PlainRecogniser)


def template(size=CROP):
    return torch.tensor(TEMPLATE, dtype=torch.float64) * (size / 112)


def turned(degrees, scale, x, y):
    """The affine matrix (2, 3) of a similarity."""
    c, s = scale * math.cos(math.radians(degrees)), scale * math.sin(math.radians(degrees))
    return torch.tensor([[c, -s, x], [s, c, y]], dtype=torch.float64)


def moved(points, matrix):
    return points @ matrix[:, :2].T + matrix[:, 2]


def ramp(height, width):
    """An image (1, 3, H, W) whose first two channels are the x and y of each pixel's middle."""
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    return torch.stack([x, y, torch.ones_like(x)])[None]


def pattern(places):
    """A smooth picture (3, H, W) as a function of places (H, W, 2)."""
    x, y = places[..., 0], places[..., 1]
    return torch.stack([torch.sin(x / 5) * torch.cos(y / 6), torch.cos((x + y) / 7), torch.sin((x - 2 * y) / 9)])


def picture(matrix, side=64):
    """The pattern as seen after a similarity moved it."""
    y, x = torch.meshgrid(torch.arange(side) + 0.5, torch.arange(side) + 0.5, indexing="ij")
    places = torch.stack([x, y], dim=-1).double()
    inverse = torch.linalg.inv(matrix[:, :2])
    return pattern((places - matrix[:, 2]) @ inverse.T)[None].float()


# Alignment


@pytest.mark.parametrize("size", [32, 64])
@pytest.mark.parametrize(
    ("degrees", "scale", "x", "y"), [(0, 1, 0, 0), (0, 1, 5, -3), (30, 1, 0, 0), (0, 0.4, 0, 0), (-75, 1.7, 12.5, 40)]
)
def test_a_known_turn_scale_and_shift_is_recovered(degrees, scale, x, y, size):
    wanted = turned(degrees, scale, x, y)
    found = similarity(moved(template(size), wanted)[None], size)
    torch.testing.assert_close(found[0], wanted, rtol=0, atol=1e-10)


def test_every_face_of_a_batch_has_its_own_matrix():
    wanted = torch.stack([turned(10, 1.2, 3, 4), turned(-20, 0.5, 30, 1)])
    landmarks = torch.stack([moved(template(), matrix) for matrix in wanted])
    torch.testing.assert_close(similarity(landmarks), wanted, rtol=0, atol=1e-10)


def test_a_mirrored_face_is_not_mirrored_back():
    flipped = template() * torch.tensor([-1.0, 1.0]) + torch.tensor([32.0, 0.0])
    assert torch.linalg.det(similarity(flipped[None])[0, :, :2]) > 0


def test_noise_on_one_landmark_is_shared_out_by_least_squares():
    landmarks = template()[None].clone()
    landmarks[0, 2] += torch.tensor([2.0, 1.0])
    best = similarity(landmarks)[0]

    def error(matrix):
        return float((moved(template(), matrix) - landmarks[0]).square().sum())

    rng = np.random.default_rng(0)
    for _ in range(200):
        a, b, x, y = rng.normal(size=4) * 0.02
        nearby = best + torch.tensor([[a, -b, x], [b, a, y]], dtype=torch.float64)
        assert error(best) <= error(nearby)


# Crops


def test_a_crop_shows_the_places_that_the_template_names():
    matrix = turned(12, 0.9, 20, 15)
    crop = crop_faces(ramp(64, 80), moved(template(), matrix)[None].float())[0]
    y, x = torch.meshgrid(torch.arange(CROP) + 0.5, torch.arange(CROP) + 0.5, indexing="ij")
    places = moved(torch.stack([x, y], dim=-1).double(), matrix).float()
    # Bilinear interpolation is exact on a ramp.
    torch.testing.assert_close(crop[:2].permute(1, 2, 0), places, rtol=0, atol=2e-3)


@pytest.mark.parametrize(
    ("degrees", "scale", "x", "y"), [(0, 1, 7, 4), (25, 1, 12, -6), (0, 1.4, -8, -9), (-15, 0.8, 9, 12)]
)
def test_a_moved_face_gives_the_same_crop(degrees, scale, x, y):
    own, matrix = turned(0, 1, 16, 16), turned(degrees, scale, x, y)
    landmarks = moved(template(), own)
    crop = crop_faces(picture(turned(0, 1, 0, 0)), landmarks[None].float())
    again = crop_faces(picture(matrix), moved(landmarks, matrix)[None].float())
    torch.testing.assert_close(again, crop, rtol=0, atol=0.02)


def test_a_wider_spread_shows_more_around_the_same_middle():
    landmarks = (template() + 16)[None].float()
    tight, wide = (crop_faces(ramp(64, 64), landmarks, spread=spread)[0, :2] for spread in (1.0, 1.5))
    torch.testing.assert_close(wide.mean(dim=(1, 2)), tight.mean(dim=(1, 2)), rtol=0, atol=1e-3)
    extent = [float(crop[0, 0, -1] - crop[0, 0, 0]) for crop in (tight, wide)]
    assert extent[1] == pytest.approx(1.5 * extent[0], rel=1e-4)


def test_a_larger_crop_shows_the_same_field_more_finely():
    landmarks = moved(template(), turned(8, 0.9, 16, 18))[None].float()
    image = picture(turned(0, 1, 0, 0))
    coarse, fine = crop_faces(image, landmarks, 32), crop_faces(image, landmarks, 64)
    torch.testing.assert_close(torch.nn.functional.avg_pool2d(fine, 2), coarse, rtol=0, atol=0.02)


def test_outside_of_the_image_its_border_is_repeated():
    image = torch.full((1, 3, 64, 64), 0.25)
    crop = crop_faces(image, (template() - 20)[None].float())
    torch.testing.assert_close(crop, torch.full_like(crop, 0.25))


def test_a_crop_is_differentiable_in_the_image_and_not_in_the_landmarks():
    image = picture(turned(0, 1, 0, 0)).requires_grad_(True)
    landmarks = (template() + 16)[None].float().requires_grad_(True)
    crop = crop_faces(image, landmarks)
    gradients = torch.autograd.grad(crop.sum(), [image, landmarks], allow_unused=True)
    assert gradients[0].abs().sum() > 100
    assert gradients[1] is None
    assert not crop_faces(image.detach(), landmarks).requires_grad


def test_the_gradient_reaches_the_face_alone():
    image = torch.zeros(1, 3, 64, 64, requires_grad=True)
    crop_faces(image, (template() + 16)[None].float()).sum().backward()
    assert image.grad[0, 0, 17:47, 17:47].min() > 0
    assert image.grad[0, 0, :14].abs().max() == 0


# The detector


class Scripted(FaceDetector):
    """A detector whose score map and landmarks are given."""

    def __init__(self, faces, rows=16):
        super().__init__(4)
        self.logits = torch.full((1, rows, rows), -9.0)
        self.points = torch.zeros(1, rows, rows, 5, 2)
        for row, column, logit, middle, size in faces:
            self.logits[0, row, column] = logit
            self.points[0, row, column] = torch.tensor(middle) + (template() - 16).float() * size

    def forward(self, images):
        return self.logits, self.points


def detect(*faces, threshold=0.5):
    return Scripted(faces).detect(torch.zeros(1, 3, 64, 64), threshold)[0]


def test_two_faces_apart_are_both_found_the_surer_first():
    found = detect((4, 3, 1.0, (14.0, 18.0), 0.5), (4, 12, 3.0, (50.0, 18.0), 0.5))
    assert len(found.scores) == 2
    assert found.scores[0] > found.scores[1]
    assert found.landmarks[0, :, 0].mean() > found.landmarks[1, :, 0].mean()


def test_two_finds_of_one_face_are_merged():
    found = detect((4, 3, 1.0, (20.0, 20.0), 0.5), (4, 6, 3.0, (21.0, 20.0), 0.5))
    assert len(found.scores) == 1
    assert float(found.scores[0]) == pytest.approx(1 / (1 + math.exp(-3)))


def test_neighbouring_cells_count_once():
    assert len(detect((4, 3, 2.0, (14.0, 18.0), 0.1), (4, 4, 2.5, (60.0, 60.0), 0.1)).scores) == 1


def test_below_the_threshold_there_is_no_face():
    face = (4, 3, 0.0, (14.0, 18.0), 0.5)
    assert len(detect(face, threshold=0.5).scores) == 1
    assert len(detect(face, threshold=0.51).scores) == 0
    assert detect(face, threshold=0.51).landmarks.shape == (0, 5, 2)


def test_the_detector_answers_for_every_cell_of_four_pixels():
    torch.manual_seed(0)
    detector = FaceDetector(8).eval()
    logits, points = detector(torch.randn(2, 3, 64, 48))
    assert logits.shape == (2, 16, 12)
    assert points.shape == (2, 16, 12, 5, 2)
    assert len(detector.detect(torch.randn(3, 3, 64, 64))) == 3


def test_detection_does_not_depend_on_the_batch():
    torch.manual_seed(0)
    detector = FaceDetector(8).eval()
    images = torch.randn(4, 3, 64, 64)
    together = detector.detect(images, 0.3)
    for i, found in enumerate(together):
        torch.testing.assert_close(detector.detect(images[i : i + 1], 0.3)[0].scores, found.scores, rtol=0, atol=1e-5)


# The recognisers


@pytest.mark.parametrize("network", RECOGNISERS)
def test_embeddings_are_unit_vectors_whatever_the_batch(network):
    torch.manual_seed(0)
    model = network().eval()
    crops = torch.rand(3, 3, CROP, CROP) * 2 - 1
    with torch.no_grad():
        found = model(crops)
        alone = torch.cat([model(crop[None]) for crop in crops])
    assert found.shape == (3, 128)
    torch.testing.assert_close(found.norm(dim=-1), torch.ones(3))
    torch.testing.assert_close(alone, found, rtol=0, atol=1e-5)


def test_a_face_and_its_mirror_image_are_one():
    torch.manual_seed(0)
    network = ResidualRecogniser().eval().requires_grad_(False)
    crops = torch.rand(3, 3, CROP, CROP) * 2 - 1
    found, plain, mirrored = embed_faces(network, crops), network(crops), network(crops.flip(-1))
    torch.testing.assert_close(found, embed_faces(network, crops.flip(-1)))
    torch.testing.assert_close(found, torch.nn.functional.normalize(plain + mirrored, dim=-1))
    assert (found - plain).abs().max() > 1e-3


def test_the_two_recognisers_are_of_different_make():
    """Other activation, no shortcuts and another read-out on the scoring side; they share what every such net has."""
    reward, scoring = (
        {type(module).__name__ for module in network().modules() if not list(module.children())}
        for network in RECOGNISERS
    )
    assert reward & scoring <= {"Conv2d", "Linear", "Flatten", "Identity", "BatchNorm1d", "BatchNorm2d"}
    assert reward - scoring
    assert scoring - reward
    assert any("Residual" in type(module).__name__ for module in list(RECOGNISERS[0]().modules())[1:])
    assert not any(hasattr(module, "skip") for module in RECOGNISERS[1]().modules())
