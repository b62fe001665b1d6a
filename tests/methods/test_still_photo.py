"""The first photo in every frame: contract, and what it must not do."""

import numpy as np
from short_contract import ShortContract

from pvbench.methods.still_photo import StillPhoto
from pvbench.pixels import resize_photo


class TestStillPhoto(ShortContract):
    method = StillPhoto

    def test_different_requests_give_different_videos(self, videos):
        """Neither prompt nor seed matters here: that is the point."""
        assert len({video.digest for video in videos}) == 1

    def test_every_frame_is_the_first_photo(self, identity, videos):
        photo = resize_photo(identity.references()[0], 64, 64)
        assert (videos[0].frames == photo).all()
        assert np.ptp(photo) > 50
