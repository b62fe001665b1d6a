"""What tests of measuring share: two people, and a folder of videos of them."""

import pytest
from example_inputs import make_identity
from measured_folder import clip

from pvbench.measuring.imported import People


@pytest.fixture
def crowd(tmp_path):
    make_identity(tmp_path / "people", "ann")
    make_identity(tmp_path / "people", "bob", "man")
    return People(tmp_path / "people")


@pytest.fixture
def crowded(tmp_path):
    """Two people, two methods, three prompts."""
    make_identity(tmp_path / "people", "ann", brightness=90)
    make_identity(tmp_path / "people", "bob", "man", 180)
    seed = 0
    for method in ("mine", "theirs"):
        for person in ("ann", "bob"):
            for prompt in ("surf", "read", "wave"):
                clip(tmp_path / "videos" / method / person / f"{prompt}-0.mkv", seed)
                seed += 1
    return tmp_path


@pytest.fixture
def world(crowded, inline):
    """The same, measured without processes."""
    return crowded
