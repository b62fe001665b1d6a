"""What tests of bodies share: a dressed person."""

import pytest


@pytest.fixture(scope="module")
def dress(figure):
    """Builds a person's body."""
    from pvbench.world.body import Outfit, build

    return lambda person, cap="", kind="T-shirt": build(figure, person, Outfit(kind, "blue", cap))
