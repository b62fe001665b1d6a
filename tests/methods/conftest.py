"""A method on the mini backbone with half of its steps and frames."""

import pytest

from pvbench.method import METHODS, settings_from


@pytest.fixture
def make(short_backbone, short_profile):
    """A method of that name with these settings."""

    def made(name, **settings):
        cls = METHODS.get(name)
        return cls(settings_from(cls.Settings, settings), short_backbone, short_profile)

    return made


@pytest.fixture
def quiet():
    """Progress that nobody watches."""
    return lambda step, total, losses: None
