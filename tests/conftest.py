"""Every call in the tests is checked against the annotated types and array shapes."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

from jaxtyping import install_import_hook

install_import_hook("pvbench", "checked_calls.check")

import pytest
from example_inputs import make_identity


@pytest.fixture
def people(tmp_path):
    """The --identities text for two people of the tests' own."""
    ann = make_identity(tmp_path / "people", "ann", "woman", 90)
    bob = make_identity(tmp_path / "people", "bob", "man", 180)
    return f"{ann},{bob}"
