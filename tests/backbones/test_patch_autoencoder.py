"""The VAE on patches starts as principal components and talks as diffusers' own."""

import numpy as np
import pytest
import torch

from pvbench.backbones.patch_autoencoder import PatchAutoencoder
from workshop.train.autoencoder import psnr, start_from_components

COMPONENTS = 12


@pytest.fixture(scope="module")
def images():
    """Smooth random pictures (24, 3, 32, 32) in [-1, 1]."""
    rng = np.random.default_rng(0)
    coarse = torch.from_numpy(rng.normal(size=(24, 3, 9, 9)).astype(np.float32))
    smooth = torch.nn.functional.interpolate(coarse, size=(32, 32), mode="bicubic", align_corners=True)
    return (0.5 * smooth + 0.05 * torch.from_numpy(rng.normal(size=(24, 3, 32, 32)).astype(np.float32))).clamp(-1, 1)


@pytest.fixture(scope="module")
def model(images):
    torch.manual_seed(0)
    fresh = PatchAutoencoder(latent_channels=COMPONENTS, channels=16, encoder_depth=1, decoder_depth=1).eval()
    start_from_components(fresh, images)
    return fresh


def patches(images):
    """(n, 48) rows of 4 x 4 pixels, channels first, as numpy alone cuts them."""
    n, c, h, w = images.shape
    cut = images.reshape(n, c, h // 4, 4, w // 4, 4).transpose(0, 2, 4, 1, 3, 5)
    return cut.reshape(-1, c * 16).astype(np.float64)


def components(images, count):
    """Reconstruction of the patches from their first principal components."""
    rows = patches(images)
    mean = rows.mean(axis=0)
    _, _, basis = np.linalg.svd(rows - mean, full_matrices=False)
    return mean + (rows - mean) @ basis[:count].T @ basis[:count]


def test_the_start_reconstructs_as_pca_does(model, images):
    array = images.numpy()
    error = (np.clip(components(array, COMPONENTS), -1, 1) - patches(array)) / 2
    each = np.square(error).reshape(len(array), -1).mean(axis=1)
    wanted = float((-10 * np.log10(each)).mean())
    assert psnr(model, images) == pytest.approx(wanted, abs=0.01)
    assert wanted > 20


def test_the_start_reconstructs_patch_by_patch_as_pca_does(model, images):
    with torch.no_grad():
        found = model(images).numpy()
    np.testing.assert_allclose(patches(found), components(images.numpy(), COMPONENTS), atol=1e-4)


def test_fresh_latents_are_uncorrelated_and_ordered_by_size(model, images):
    with torch.no_grad():
        latents = model.encode(images).latent_dist.mode()
    rows = latents.permute(0, 2, 3, 1).reshape(-1, COMPONENTS)
    covariance = torch.cov(rows.T)
    spread = covariance.diagonal().sqrt()
    assert (spread[:-1] >= spread[1:] - 1e-5).all()
    assert (covariance - covariance.diagonal().diag()).abs().max() < 1e-3 * covariance.diagonal().max()
    torch.testing.assert_close(rows.mean(dim=0), torch.zeros(COMPONENTS), rtol=0, atol=1e-3)


def test_a_latent_has_a_cell_for_every_patch(model, images):
    latents = model.encode(images[:2]).latent_dist.mode()
    assert latents.shape == (2, COMPONENTS, 8, 8)
    assert model.decode(latents).sample.shape == (2, 3, 32, 32)


def test_the_interface_is_that_of_autoencoder_kl(model, images):
    from diffusers import AutoencoderKL

    torch.manual_seed(0)
    theirs = AutoencoderKL(
        block_out_channels=(8, 8, 8),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        latent_channels=COMPONENTS,
        norm_num_groups=4,
    ).eval()
    for vae in (model, theirs):
        with torch.no_grad():
            encoded = vae.encode(images[:2])
            latents = encoded.latent_dist.sample(torch.Generator().manual_seed(0))
            decoded = vae.decode(latents)
            assert latents.shape == vae.encode(images[:2], return_dict=False)[0].mode().shape == (2, COMPONENTS, 8, 8)
            assert decoded.sample.shape == images[:2].shape
            torch.testing.assert_close(vae.decode(latents, return_dict=False)[0], decoded.sample)
        assert isinstance(vae.config.scaling_factor, float)
        assert len(vae.config.block_out_channels) == 3
        assert vae.dtype == torch.float32
        assert hasattr(vae.config, "force_upcast")


def test_a_sample_is_the_mode(model, images):
    distribution = model.encode(images[:1]).latent_dist
    torch.testing.assert_close(distribution.sample(), distribution.mode(), rtol=0, atol=1e-5)


def test_a_saved_model_comes_back_with_its_scale(model, images, tmp_path):
    model.register_to_config(scaling_factor=0.75)
    model.save_pretrained(tmp_path)
    assert not list(tmp_path.glob("*.bin"))
    again = PatchAutoencoder.from_pretrained(tmp_path).eval()
    assert again.config.scaling_factor == 0.75
    with torch.no_grad():
        torch.testing.assert_close(again(images[:2]), model(images[:2]))


def test_training_can_improve_on_the_components(model, images):
    loss = torch.nn.functional.mse_loss(model(images), images)
    loss.backward()
    for branch in (model.encoder, model.decoder):
        assert branch.leave.weight.grad.abs().max() > 0
    model.zero_grad()
