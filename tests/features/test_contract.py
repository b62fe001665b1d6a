"""The evaluators of the miniature world keep the contract, and those of the tests' own."""

import numpy as np
import pytest
from example_inputs import EXAMPLE_PROFILE
from pvbench_example import DifferencesLoader, EndsLoader, FacesLoader, PicturesLoader

from pvbench.features.differences import FrameDifferencesLoader
from pvbench.features.mini.clip import MiniClipLoader
from pvbench.features.mini.face import MiniFaceLoader
from pvbench.features.mini.flow import DisLoader
from pvbench.features.mini.hps import MiniHpsLoader
from pvbench.features.mini.video import MiniVideoLoader
from pvbench.identity import load_identities
from pvbench.testing import EvaluatorContract


class WithFaces(EvaluatorContract):
    """Photos and a video that show a face, as the shipped networks need them."""

    @pytest.fixture
    def photos(self):
        return list(load_identities(["ada"])[0].references())

    @pytest.fixture
    def video(self, profile):
        from pvbench.pixels import resize_photo
        from pvbench.video import Video

        frame = resize_photo(load_identities(["ada"])[0].references()[0], 64, 64)
        return Video(np.stack([np.roll(frame, step, axis=1) for step in range(8)]), 8.0)


class TestMiniFace(WithFaces):
    loader = MiniFaceLoader


class TestMiniClip(WithFaces):
    loader = MiniClipLoader


class TestDis(EvaluatorContract):
    loader = DisLoader


class TestFrameDifferences(EvaluatorContract):
    loader = FrameDifferencesLoader


class TestMiniVideo(EvaluatorContract):
    loader = MiniVideoLoader


class TestMiniHps(EvaluatorContract):
    loader = MiniHpsLoader


class TestExampleFaces(EvaluatorContract):
    loader, profile_name = FacesLoader, EXAMPLE_PROFILE


class TestExamplePictures(EvaluatorContract):
    loader, profile_name = PicturesLoader, EXAMPLE_PROFILE


class TestExampleDifferences(EvaluatorContract):
    loader, profile_name = DifferencesLoader, EXAMPLE_PROFILE


class TestExampleEnds(EvaluatorContract):
    loader, profile_name = EndsLoader, EXAMPLE_PROFILE
