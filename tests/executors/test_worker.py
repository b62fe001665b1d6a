"""What workers of every kind do: record what a job raised, print into a file, and keep to one thread."""

import subprocess
import sys

import pytest

from pvbench.errors import DeviceError, FaceError, ProfileError, StoreError, VideoError, WeightsError
from pvbench.executors.worker import Refused, print_to


@pytest.mark.parametrize(
    ("error", "fatal"),
    [
        (DeviceError("no GPU"), True),
        (ProfileError("no such part"), True),
        (StoreError("the disk is full"), True),
        (WeightsError("no weights"), True),
        (FaceError("no face"), False),
        (VideoError("no video"), False),
        (ValueError("anything"), False),
        (SystemExit(3), False),
    ],
)
def test_what_every_other_piece_would_raise_too_is_fatal(error, fatal):
    try:
        raise error
    except (Exception, SystemExit) as raised:  # noqa: BLE001 - as workers do
        found = Refused.of(raised)
    assert (found.error, found.message, found.fatal) == (type(error).__name__, str(error), fatal)
    assert found.traceback.startswith("Traceback")
    assert str(error) in found.traceback


def test_an_error_without_a_message_is_told_by_its_name():
    try:
        raise ValueError
    except ValueError as raised:
        assert Refused.of(raised).message == "ValueError()"


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(StoreError, match=r"cannot write .*none/workers\.log: No such file or directory"):
        print_to(tmp_path / "none" / "workers.log")


def test_what_a_process_prints_is_added_to_the_file(tmp_path):
    """In a process of its own: both streams are taken for good, those of libraries in C too."""
    log = tmp_path / "workers.log"
    log.write_text("before\n")
    program = (
        "import os, sys; from pathlib import Path; from pvbench.executors.worker import print_to; "
        f"print_to(Path({str(log)!r})); print('out', flush=True); print('err', file=sys.stderr, flush=True); "
        "os.write(1, b'from C\\n')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"", b"")
    assert log.read_text() == "before\nout\nerr\nfrom C\n"
