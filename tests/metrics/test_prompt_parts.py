"""Shares of what the prompt asks for, worked by hand."""

import math

import numpy as np
import pytest

from pvbench.metrics import MetricError
from pvbench.metrics.prompt_parts import PromptParts


def features(asked=(1, 0, 1, 0)):
    return {
        "world/action": np.array([0.1, 0.7, 0.2], np.float32),
        "world/scene": np.array([[0.4, 0.1], [0.4, 0.1], [0.1, 0.4], [0.4, 0.2]], np.float32),
        "world/colour": np.array([[0.4, 0.1], [0.4, 0.1], [0.1, 0.4], [0.4, 0.2]], np.float32),
        "world/expression": np.array([[0.4, 0.1], [0.4, 0.1], [0.1, 0.4], [0.1, 0.2]], np.float32),
        "text/asked": np.array(asked, np.float32),
    }


def test_shares_of_frames_and_the_likeliest_action():
    assert PromptParts().row(features()) == (1.0, 0.75, 0.25, 0.5)
    assert PromptParts().row(features(asked=(2, 1, 0, 1))) == (0.0, 0.25, 0.75, 0.5)


def test_a_part_that_is_not_asked_for_has_no_value():
    row = PromptParts().row(features(asked=(-1, 0, -1, -1)))
    assert [math.isnan(value) for value in row] == [True, False, True, True]


def test_a_feature_that_is_not_finite_is_refused():
    broken = features()
    broken["world/scene"][1, 0] = np.nan
    with pytest.raises(MetricError, match="world/scene"):
        PromptParts().row(broken)
