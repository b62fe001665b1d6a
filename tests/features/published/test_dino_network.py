"""DINO's embeddings: timm's network, DINO's places of patches at any size, VBench's preparation."""

import math
import pickle

import numpy as np
import pytest
import torch

from pvbench.errors import WeightsError
from pvbench.features.published.dino_network import MEAN, STD, Dino, dino_pixels, load_dino
from pvbench.torchvision_shim import load_torchvision

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def network():
    """A small DINO of random weights, by timm."""
    load_torchvision()
    import timm

    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = timm.create_model("vit_small_patch16_224", pretrained=False, num_classes=0)
        made.pos_embed.data.normal_()
    return made.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def file(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("dino") / "dino.pth"
    torch.save(network.state_dict(), path)
    return path


@pytest.fixture(scope="module")
def dino(file):
    return load_dino(file, CPU)


def frames(count, height, width):
    return np.random.default_rng(0).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def test_square_pictures_are_embedded_as_timm_does(network, dino):
    pictures = frames(2, 224, 224)
    with torch.no_grad():
        wanted = torch.nn.functional.normalize(network(dino_pixels(pictures)), dim=-1)
    np.testing.assert_allclose(dino(pictures), wanted.numpy(), atol=1e-5)


@pytest.mark.parametrize(("rows", "columns"), [(14, 22), (25, 14)])
def test_places_of_patches_are_interpolated_with_dinos_tenth(network, rows, columns):
    """Rows of a grid that grows by one a row, by hand: sampled at the scale of rows + 0.1, with cubic weights."""
    side = 14
    state = {name: value.clone() for name, value in network.state_dict().items()}
    grid = torch.arange(side, dtype=torch.float32)[:, None, None].expand(side, side, 384)
    state["pos_embed"][:, 1:] = grid.reshape(1, side * side, 384)
    made = load_timm(state)
    found = Dino(made, CPU)._positions(rows, columns, square=False)[0, 1:].reshape(rows, columns, 384)
    assert found.shape == (rows, columns, 384)
    for row in range(3, rows - 3):
        place = (row + 0.5) * side / (rows + 0.1) - 0.5
        near = math.floor(place) + np.arange(-1, 3)
        assert found[row, 5, 7].item() == pytest.approx(float((cubic(place - near) * near).sum()), abs=1e-4)
    assert torch.allclose(found[:, 0], found[:, -1], atol=1e-4)


def cubic(distance):
    """Keys's kernel, with torch's -0.75."""
    x = np.abs(distance)
    near = 1.25 * x**3 - 2.25 * x**2 + 1
    return np.where(x < 1, near, -0.75 * x**3 + 3.75 * x**2 - 6 * x + 3)


def load_timm(state):
    import timm

    made = timm.create_model("vit_small_patch16_224", pretrained=False, num_classes=0)
    made.load_state_dict(state)
    return made


def test_oblong_pictures_are_seen_whole_and_company_moves_nothing(dino):
    pictures = frames(3, 60, 100)
    together = dino(pictures)
    assert together.shape == (3, 384)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(together[::-1], dino(pictures[::-1]), atol=1e-5)
    np.testing.assert_allclose(together[:1], dino(pictures[:1]), atol=1e-5)
    changed = pictures.copy()
    changed[:, :, :8] = 0
    assert np.abs(dino(changed) - together).max() > 1e-3


def test_the_short_side_becomes_224_in_whole_levels():
    small = dino_pixels(frames(1, 50, 80))
    assert small.shape == (1, 3, 224, 358)
    levels = small * torch.tensor(STD).view(3, 1, 1) + torch.tensor(MEAN).view(3, 1, 1)
    assert torch.allclose(levels * 255, (levels * 255).round(), atol=1e-3)


def test_nothing_else_is_taken_for_dino(tmp_path, file):
    with pytest.raises(WeightsError, match="is not there; put dino_vitbase16_pretrain"):
        load_dino(tmp_path / "none.pth", CPU)
    (tmp_path / "text.pth").write_text("no weights")
    with pytest.raises(WeightsError, match="damaged"):
        load_dino(tmp_path / "text.pth", CPU)
    with (tmp_path / "code.pth").open("wb") as opened:
        pickle.dump(print, opened, protocol=2)
    with pytest.raises(WeightsError, match="nothing of it was run"):
        load_dino(tmp_path / "code.pth", CPU)
    torch.save({"weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match="no DINO vision transformer"):
        load_dino(tmp_path / "other.pth", CPU)
    state = torch.load(file, weights_only=True)
    torch.save({name: value for name, value in state.items() if name != "norm.weight"}, tmp_path / "part.pth")
    with pytest.raises(WeightsError, match=r"does not fit vit_small_patch16_224: .*norm.weight"):
        load_dino(tmp_path / "part.pth", CPU)
