"""Freed memory is kept for what comes next."""

import subprocess
import sys

import pytest

# The arrays are smaller than what glibc would keep by itself, and written to, so that their pages are there.
SCRIPT = """
import numpy as np
from pvbench.machine.memory import keep_freed_memory
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096
{call}
arrays = [np.ones(2**21) for _ in range(8)]
full = resident()
del arrays
print((full - resident()) >> 20)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads Linux's /proc")
@pytest.mark.parametrize(
    ("call", "given_back"), [("", 128), ("keep_freed_memory()", 0), ("keep_freed_memory(kept=2**20)", 128)]
)
def test_freed_arrays_stay_up_to_what_is_kept(call, given_back):
    done = subprocess.run([sys.executable, "-c", SCRIPT.format(call=call)], capture_output=True, text=True, check=True)
    assert int(done.stdout) == pytest.approx(given_back, abs=24)
