"""A profile's numbers for the backbone are checked before a network is loaded."""

from dataclasses import replace

import pytest

from pvbench.backbones.mini import MiniLoader
from pvbench.errors import ProfileError
from pvbench.profile import load_profile


@pytest.mark.parametrize(
    ("name", "wrong", "expected"),
    [
        *(("shared_noise", wrong, "from 0 to 1") for wrong in (-0.1, 1.5, "half", True)),
        *(("joint_attention", wrong, "number of positions") for wrong in (-1, 0.5, "all", True)),
    ],
)
def test_a_number_out_of_range_is_told(name, wrong, expected):
    profile = load_profile("mini")
    profile = replace(profile, backbone={**profile.backbone, name: wrong})
    with pytest.raises(ProfileError, match=f"{name} is .*{expected}"):
        MiniLoader.signature(profile)
