"""Killed at any moment and started again, a run ends with the same bytes as one that was left alone."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from example_inputs import EXAMPLE_PROFILE, contents, make_identity

PLUGIN = Path(EXAMPLE_PROFILE).parent


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with two people, where commands run."""
    folder = tmp_path_factory.mktemp("resume")
    make_identity(folder / "people", "ann", "woman", 90)
    make_identity(folder / "people", "bob", "man", 180)
    return folder


def asked(out, workers):
    options = ("--profile", EXAMPLE_PROFILE, "--identities", "people/ann,people/bob", "--device", "cpu")
    return "run", *options, "--out", out, "--workers", str(workers)


def in_a_process(home, out, workers=2, **environment):
    """One `pvbench run` in a process of its own, with everything it printed."""
    return subprocess.run(
        [sys.executable, "-m", "pvbench.cli", *asked(out, workers)],
        cwd=home,
        capture_output=True,
        text=True,
        timeout=600,
        preexec_fn=_heed_interrupts,
        env={**os.environ, "PYTHONPATH": str(PLUGIN), **environment},
    )


def _heed_interrupts():
    """Tests that a shell runs in the background inherit that SIGINT is ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture(scope="module")
def undisturbed(home):
    """What a run holds that was left alone."""
    done = in_a_process(home, "undisturbed")
    assert done.returncode == 0, done.stderr
    return contents(home / "undisturbed")


@pytest.fixture
def goes_on(home, pvbench, inline, monkeypatch):
    """The same command again, in this process; returns what the folder then holds."""
    monkeypatch.chdir(home)

    def go(out):
        status, printed, told = pvbench(*asked(out, 1))
        assert status == 0, printed + told
        return contents(home / out)

    return go


@pytest.mark.parametrize(
    ("moment", "workers"),
    [
        ("evaluators", 1),
        ("example_stamp:ann:step1", 2),
        ("example_stamp:bob:read", 1),
        ("example_drift:ann:wave", 2),
    ],
)
def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(home, undisturbed, goes_on, moment, workers):
    out = moment.replace(":", "-")
    killed = in_a_process(home, out, workers, EXAMPLE_KILLS_RUN=moment)
    assert killed.returncode == -signal.SIGKILL
    assert contents(home / out).keys() != undisturbed.keys()
    assert goes_on(out) == undisturbed


def test_a_run_killed_at_every_stage_in_turn_ends_with_the_same_bytes(home, undisturbed):
    for moment in ("evaluators", "example_stamp:bob:step2", "example_drift:bob:read", "example_stamp:ann:surf"):
        assert in_a_process(home, "often", workers=1, EXAMPLE_KILLS_RUN=moment).returncode == -signal.SIGKILL
    assert in_a_process(home, "often").returncode == 0
    assert contents(home / "often") == undisturbed


@pytest.mark.parametrize(("variable", "workers"), [("EXAMPLE_INTERRUPTS_RUN", 2), ("EXAMPLE_ENDS_RUN", 1)])
def test_an_interrupted_run_says_that_it_can_go_on(home, undisturbed, goes_on, variable, workers):
    stopped = in_a_process(home, variable, workers, **{variable: "example_drift:ann:read"})
    assert stopped.returncode == 130
    assert "run the same command again to go on" in stopped.stderr
    assert "Traceback" not in stopped.stderr
    assert goes_on(variable) == undisturbed


def test_a_second_run_imports_nothing_heavy(home, undisturbed):
    script = (
        "import sys\n"
        "from pvbench import cli\n"
        f"sys.argv = ['pvbench', 'run', '--profile', {EXAMPLE_PROFILE!r}, '--identities', 'people/ann,people/bob',\n"
        "            '--out', 'undisturbed']\n"
        "try:\n"
        "    cli.main()\n"
        "finally:\n"
        "    print('heavy:', sorted({'torch', 'ray', 'matplotlib', 'scipy', 'av', 'cv2'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=home,
        capture_output=True,
        text=True,
        timeout=600,
        env={**os.environ, "PYTHONPATH": str(PLUGIN)},
    )
    assert "Everything is there already" in done.stdout, done.stderr
    assert "heavy: []" in done.stdout
