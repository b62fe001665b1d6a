"""The photo under a panning camera: contract, motion by the measure of Dynamic Degree, and settings out of range."""

import numpy as np
import pytest
from short_contract import ShortContract

from pvbench.errors import SettingError
from pvbench.features.flow import optical_flow
from pvbench.method import request_for
from pvbench.methods.pan_photo import PanPhoto, PanPhotoSettings
from pvbench.metrics.dynamic_degree import flow_threshold, is_dynamic


class TestPanPhoto(ShortContract):
    method = PanPhoto

    @pytest.fixture(scope="class")
    @classmethod
    def profile(cls, mini_profile):
        """Motion is measured over all frames."""
        return mini_profile

    def test_it_counts_as_dynamic(self, videos):
        for video in videos:
            assert is_dynamic(optical_flow(video.frames).top5, flow_threshold(64, 64))

    def test_a_faster_sweep_moves_more(self, profile, identity, evaluation):
        request = request_for(identity, evaluation[0], 0)

        def change(sweeps):
            (video,) = PanPhoto(PanPhotoSettings(sweeps=sweeps), None, profile).generate(identity, None, [request])
            return np.abs(np.diff(video.frames.astype(int), axis=0)).mean()

        assert change(0.25) < change(0.5) < change(1.0)


@pytest.mark.parametrize(("field", "value"), [("zoom", 1.0), ("zoom", 0.5), ("sweeps", 0.0), ("sweeps", -1.0)])
def test_a_setting_out_of_its_range_is_refused(field, value):
    with pytest.raises(SettingError, match=f"{field} is {value}; expected a number above"):
        PanPhotoSettings(**{field: value})
