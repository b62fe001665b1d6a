"""What tests of measuring share: two people."""

import pytest
from example_inputs import make_identity

from pvbench.measuring.imported import People


@pytest.fixture
def crowd(tmp_path):
    make_identity(tmp_path / "people", "ann")
    make_identity(tmp_path / "people", "bob", "man")
    return People(tmp_path / "people")
