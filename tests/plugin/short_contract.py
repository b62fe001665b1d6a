"""The contract of methods on the mini backbone with half of its steps and frames."""

import pytest

from pvbench.testing import MethodContract


class ShortContract(MethodContract):
    """The fixtures are the tests' own."""

    @pytest.fixture(scope="class")
    @classmethod
    def profile(cls, short_profile):
        return short_profile

    @pytest.fixture(scope="class")
    @classmethod
    def backbone(cls, short_backbone):
        return short_backbone
