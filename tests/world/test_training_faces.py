"""What face networks are trained on: empty scenes without faces, blurs beyond recognition, wiped features."""

import numpy as np
import pytest
import torch

from pvbench.features.face_networks import CROP
from pvbench.world.train import faces


def test_empty_scenes_show_every_scene_and_differ_by_seed():
    pytest.importorskip("warp", reason='backdrops come with the light of pip install "pvbench[world]"')
    from pvbench.world.scene import SCENES

    found, other = faces.empty_scenes(2, 3), faces.empty_scenes(2, 4)
    assert found.shape == (2 * len(SCENES), 64, 64, 3)
    assert found.dtype == np.uint8
    assert (found != other).any(axis=(1, 2, 3)).all()
    assert np.array_equal(found, faces.empty_scenes(2, 3))


def test_a_strong_blur_keeps_the_mean_and_takes_the_features():
    """A Gaussian of at least two final pixels leaves less than 1 % of a wave of four pixels' power."""
    x = torch.arange(48)
    wave = torch.cos(2 * torch.pi * x / 6.0)  # four pixels of the 32-pixel crop are six of the 48-pixel one
    images = wave.expand(3, 3, 48, 48).clone() + 0.25
    blurred = faces._strong_blur(images, np.random.default_rng(0))
    inner = blurred[..., 12:36, 12:36]
    assert float((inner - 0.25).abs().max()) < 0.1
    assert CROP == 32


def test_a_strong_blur_leaves_flat_images_alone():
    images = torch.full((2, 3, 48, 48), 0.3)
    assert torch.allclose(faces._strong_blur(images, np.random.default_rng(1)), images, atol=1e-5)


def test_wiping_smears_eyes_or_mouth_and_leaves_the_rest():
    images = torch.rand(64, 3, 48, 48, generator=torch.Generator().manual_seed(0)) * 2 - 1
    wiped = faces._wiped(images, np.random.default_rng(2))

    def kept(rows):
        """Share of the detail that is left in some rows, by image."""
        return (wiped[:, :, rows, 16:32].std(dim=(1, 2, 3)) / images[:, :, rows, 16:32].std(dim=(1, 2, 3))).numpy()

    eyes, mouth, crown = kept(slice(18, 25)), kept(slice(33, 40)), kept(slice(0, 4))
    assert ((eyes < 0.5) | (mouth < 0.5)).all()
    assert 0.2 < (eyes < mouth).mean() < 0.6
    assert crown.mean() > 0.8
