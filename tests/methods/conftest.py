"""The mini backbone with a third of its steps: enough to see what a method does."""

import dataclasses

import pytest

from pvbench.backbones import load_backbone
from pvbench.identity import load_identities
from pvbench.profile import load_profile


@pytest.fixture(scope="session")
def short_profile():
    profile = load_profile("mini")
    return dataclasses.replace(profile, sampling=dataclasses.replace(profile.sampling, steps=4))


@pytest.fixture(scope="session")
def short_backbone(short_profile):
    import torch

    torch.set_num_threads(1)
    return load_backbone(short_profile, "cpu")


@pytest.fixture(scope="session")
def ada():
    return load_identities(["ada"])[0]
