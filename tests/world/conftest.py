"""The body model, for the tests that render."""

import pytest

MISSING = 'rendering people needs pip install "pvbench[world]"'


@pytest.fixture(scope="session")
def figure():
    """anny's mesh, built once a process in some six seconds."""
    pytest.importorskip("warp", reason=MISSING)
    pytest.importorskip("anny", reason=MISSING)
    from pvbench.world.figure import load_figure

    return load_figure()


@pytest.fixture(scope="session")
def person(figure):
    """A held-out person with short hair, no beard and no glasses."""
    from dataclasses import replace

    from pvbench.world.person import Look, pool_person

    found = pool_person("held-out", 7, figure.face_sliders())
    return replace(found, look=Look("short", "brown", "none", "none", 1))
