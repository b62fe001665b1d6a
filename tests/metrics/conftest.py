"""Where the recorded values of the public reference implementations are."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def reference() -> Path:
    """The folder of recorded reference values; the test is skipped where there is none.

    The values were made with unmodified reference code. They are not shipped (several inputs may not be copied), so
    the folder is named by PVBENCH_REFERENCE or lies beside the checkout as ``shared/reference``.
    """
    named = os.environ.get("PVBENCH_REFERENCE")
    folder = Path(named) if named else Path(__file__).parents[3] / "shared" / "reference"
    if not (folder / "expected").is_dir():
        pytest.skip(f"no recorded reference values in {folder}; set PVBENCH_REFERENCE to their folder")
    return folder
