"""Pictures as HPSv2 sees them: how they are resized and padded, worked by hand."""

import numpy as np
import pytest
import torch

from pvbench.features.published.open_clip_model import MEAN, STD, hps_pixels


def test_hps_pads_with_black_before_the_mean_is_taken_off():
    # 2 x 4 at side 4: nothing to resize, one black row above and one below.
    frame = np.full((1, 2, 4, 3), 255, np.uint8)
    found = hps_pixels(frame, 4)[0] * torch.tensor(STD).view(3, 1, 1) + torch.tensor(MEAN).view(3, 1, 1)
    rows = torch.tensor([0.0, 1, 1, 0]).view(1, 4, 1).expand(3, 4, 4)
    torch.testing.assert_close(found, rows, atol=1e-6, rtol=0)


def test_hps_resizes_by_the_long_side():
    # 8 x 4 of one level at side 4: 4 x 2 of that level, a black column on each side.
    found = hps_pixels(np.full((1, 8, 4, 3), 51, np.uint8), 4)[0]
    levels = found * torch.tensor(STD).view(3, 1, 1) + torch.tensor(MEAN).view(3, 1, 1)
    columns = torch.tensor([0.0, 0.2, 0.2, 0]).expand(3, 4, 4)
    torch.testing.assert_close(levels, columns, atol=1e-6, rtol=0)
    # An odd rest: the larger half of the border is below.
    levels = hps_pixels(np.full((1, 3, 4, 3), 255, np.uint8), 4)[0, 0] * STD[0] + MEAN[0]
    torch.testing.assert_close(levels[:, 0], torch.tensor([1.0, 1, 1, 0]), atol=1e-6, rtol=0)


def test_hps_filters_bicubically_and_does_not_clip():
    # From 8 to 4 the filter is twice as wide: Keys' cubic, a = -0.5, at 0.25, 0.75, 1.25 and 1.75 of an output pixel.
    w25, w75, w125, w175 = 0.8671875, 0.2265625, -0.0703125, -0.0234375
    step = np.zeros((1, 8, 8, 3), np.uint8)
    step[:, :, 4:] = 255
    levels = hps_pixels(step, 4)[0, 0, 0] * STD[0] + MEAN[0]
    # Output 0 sees inputs 0 to 4, of which 4 is white; output 1 sees 0 to 6, of which 4, 5 and 6 are.
    first = w175 / (2 * w25 + w75 + w125 + w175)
    second = (w75 + w125 + w175) / (2 * (w25 + w75 + w125) + w175)
    assert first < 0
    assert levels.tolist() == pytest.approx([first, second, 1 - second, 1 - first], abs=1e-6)
