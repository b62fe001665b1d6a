"""What the face detector is trained on beside people: empty scenes."""

import numpy as np
import pytest

from workshop.train.face_detector import empty_scenes


def test_empty_scenes_show_every_scene_and_differ_by_seed():
    pytest.importorskip("warp", reason='backdrops come with the light of pip install "pvbench[world]"')
    from pvbench.world.scene import SCENES

    found, other = empty_scenes(2, 3), empty_scenes(2, 4)
    assert found.shape == (2 * len(SCENES), 64, 64, 3)
    assert found.dtype == np.uint8
    assert (found != other).any(axis=(1, 2, 3)).all()
    assert np.array_equal(found, empty_scenes(2, 3))
