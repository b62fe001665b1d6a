"""What the harness costs: its share of a run, and the same command again when nothing is left to do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest

WORKERS = 2


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run's folder and the wall-clock seconds of its command."""
    out = tmp_path_factory.mktemp("run")
    began = time.perf_counter()
    run(out)
    return out, time.perf_counter() - began


def run(out):
    """Two people, eight prompts, one tuned method and two that are not, as a user runs it."""
    command = ["run", "--methods", "base,dreambooth_lora,oracle", "--identities", "2", "--prompts", "8"]
    subprocess.run(
        [sys.executable, "-m", "pvbench.cli", *command, "--workers", str(WORKERS), "--out", str(out)],
        check=True,
        capture_output=True,
        env=os.environ | {"NO_COLOR": "1"},
    )


def test_the_share_of_a_run_that_is_not_tuning_sampling_or_measuring(finished, capsys):
    out, wall = finished
    pieces = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    work = sum(piece["seconds"] for piece in pieces) / WORKERS
    # Starting workers, loading networks, planning, writing, reporting, and waiting for the last worker.
    with capsys.disabled():
        print(
            f"\n{wall:.0f} s, of them {work:.0f} s of work on each of {WORKERS} workers: {1 - work / wall:.1%} overhead"
        )
    assert 0 < work < wall


def test_a_run_with_nothing_to_do(benchmark, finished):
    benchmark.pedantic(run, args=(finished[0],), rounds=3, warmup_rounds=1)
