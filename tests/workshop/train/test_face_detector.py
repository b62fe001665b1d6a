"""What the face detector is trained on: empty scenes, and people that are moved with their landmarks."""

import numpy as np
import pytest
import torch

from workshop.train.face_detector import _moved, empty_scenes


def test_empty_scenes_show_every_scene_and_differ_by_seed():
    pytest.importorskip("warp", reason='backdrops come with the light of pip install "pvbench[world]"')
    from pvbench.world.scene import SCENES

    found, other = empty_scenes(2, 3), empty_scenes(2, 4)
    assert found.shape == (2 * len(SCENES), 64, 64, 3)
    assert found.dtype == np.uint8
    assert (found != other).any(axis=(1, 2, 3)).all()
    assert np.array_equal(found, empty_scenes(2, 3))


def test_landmarks_move_with_the_picture():
    images, points = -torch.ones(16, 3, 64, 64), torch.full((16, 5, 2), 32.0)
    # A white spot at the first landmark, far from the others' place.
    points[:, 0] = torch.tensor([24.0, 40.0])
    points[:, 1] = torch.tensor([40.0, 40.0])
    images[:, :, 37:43, 21:27] = 1
    images[:, :, 37:43, 37:43] = 1
    seen, moved = _moved(images, points, np.random.default_rng(0))
    inside = ((moved[:, 0] > 6) & (moved[:, 0] < 58)).all(dim=1)
    assert int(inside.sum()) >= 6
    for i in inside.nonzero()[:, 0].tolist():
        x, y = (int(value) for value in moved[i, 0])
        assert float(seen[i, 0, y - 1 : y + 2, x - 1 : x + 2].max()) > 0.5
