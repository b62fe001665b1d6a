"""How far frames are in a style, worked by hand."""

import numpy as np
import pytest

from pvbench.metrics import MetricError
from pvbench.metrics.style import StyleReached


def row(*frames):
    return StyleReached().row({"style/probability": np.array(frames, np.float32)})


def test_the_mean_over_frames_of_a_cartoon_and_of_a_sketch():
    assert row([0.2, 0.7, 0.1], [0.0, 0.9, 0.1]) == pytest.approx((0.8, 0.1))


def test_a_photo_is_neither():
    assert row([1.0, 0.0, 0.0]) == (0.0, 0.0)


def test_a_frame_that_was_not_read_is_refused():
    with pytest.raises(MetricError, match="style/probability"):
        row([0.2, 0.7, 0.1], [np.nan, 0.9, 0.1])
