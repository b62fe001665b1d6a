"""What the benchmarks share: the mini profile's backbone, loaded once. Run with `pytest benchmarks`."""

from __future__ import annotations

import pytest

pytest.importorskip("pytest_benchmark")


@pytest.fixture(scope="session")
def profile():
    from pvbench.profile import load_profile

    return load_profile("mini")


@pytest.fixture(scope="session")
def backbone(profile):
    import torch

    from pvbench.backbone import load_backbone

    torch.set_num_threads(1)
    return load_backbone(profile, "cpu")


@pytest.fixture(scope="session")
def identity():
    from pvbench.identity import load_identities

    return load_identities(["ada"])[0]
