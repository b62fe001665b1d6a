"""What a run cost: medians by row, the last of repeated pieces, memory where it is known, files beside the report."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
from example_inputs import EXAMPLE_PROFILE

from pvbench.cli import app
from pvbench.runner.costs import costs_of, write_costs
from pvbench.store import Store


def tune(label, identity, seconds, **more):
    return {"stage": "tune", "variant": label, "identity": identity, "seconds": seconds, "device": "cpu", **more}


def video(label, identity, prompt, seconds, **more):
    cell = {"identity": identity, "prompt": prompt, "seed": 0}
    return {"stage": "generate", "variant": label, "seconds": seconds, "device": "cuda", **cell, **more}


def test_medians_of_each_row():
    log = [
        *(tune("mine", name, seconds, shared_seconds=4.0) for name, seconds in [("a", 10.0), ("b", 30.0), ("c", 20.0)]),
        *(video("mine", "a", prompt, seconds) for prompt, seconds in [("x", 1.0), ("y", 2.0), ("z", 6.0)]),
        video("other", "a", "x", 5.0),
    ]
    mine, other, none = costs_of(log, ["mine", "other", "third"])
    assert (mine.tune_seconds, mine.shared_seconds, mine.tunings) == (20.0, 4.0, 3)
    assert (mine.video_seconds, mine.videos) == (2.0, 3)
    assert mine.person_seconds(4) == 28.0
    assert mine.devices == ("cpu", "cuda")
    assert math.isnan(other.tune_seconds)
    assert other.person_seconds(4) == 20.0
    assert (none.tunings, none.videos) == (0, 0)
    assert math.isnan(none.person_seconds(4))


def test_of_a_piece_that_was_made_twice_the_last_counts():
    (found,) = costs_of([tune("mine", "a", 10.0), tune("mine", "a", 14.0)], ["mine"])
    assert (found.tune_seconds, found.tunings) == (14.0, 1)


def test_memory_is_the_most_of_any_piece_and_unknown_in_old_logs():
    log = [video("mine", "a", "x", 1.0, peak_gib=1.5), video("mine", "a", "y", 1.0, peak_gib=2.5)]
    assert costs_of(log, ["mine"])[0].video_gib == 2.5
    assert math.isnan(costs_of([video("mine", "a", "x", 1.0)], ["mine"])[0].video_gib)


def test_a_shared_tuning_is_a_cost_of_every_row_that_shares_it():
    log = [tune("mine", "a", 10.0), video("mine", "a", "x", 1.0), video("mine[named=off]", "a", "x", 2.0)]
    mine, bare = costs_of(log, ["mine", "mine[named=off]"], {"mine[named=off]": "mine"})
    assert (mine.person_seconds(1), bare.person_seconds(1), bare.tunings) == (11.0, 12.0, 1)


def test_lines_of_other_stages_and_broken_ones_are_passed_over():
    log = [{"stage": "measure", "variant": "mine", "seconds": 3.0}, {"stage": "tune"}, {}, tune("mine", "a", None)]
    assert costs_of(log, ["mine"])[0].tunings == 0


_LARGE = """
from pvbench.machine.peak import measured_peak
with measured_peak("cpu") as before:
    pass
with measured_peak("cpu") as during:
    held = bytearray(300 << 20)
    held[::4096] = b"x" * len(held[::4096])
    del held
print(before.gib, during.gib)
"""


def test_a_large_array_shows_in_the_peak():
    """In a process of its own: of one that has had gigabytes, a system may take some back meanwhile."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pytest.skip("this system does not count peaks anew")
    printed = subprocess.run([sys.executable, "-c", _LARGE], capture_output=True, text=True, check=True).stdout
    before, during = map(float, printed.split())
    if math.isnan(before):
        pytest.skip("this system does not tell")
    assert during - before > 0.25


@pytest.fixture
def done(tmp_path, people, monkeypatch, inline):
    monkeypatch.chdir(tmp_path)
    options = ("--profile", EXAMPLE_PROFILE, "--identities", people, "--workers", "1", "--device", "cpu")
    app(["run", *options, "--methods", "base,example_stamp", "--out", "out"], standalone_mode=False)
    return tmp_path / "out"


def test_a_run_leaves_what_it_cost_beside_its_report(done):
    rows = {row["label"]: row for row in json.loads((done / "cost" / "cost.json").read_text())}
    assert set(rows) == {"base", "example_stamp"}
    assert rows["base"]["tune_seconds"] is None
    assert rows["example_stamp"]["tunings"] > 0
    assert rows["example_stamp"]["tune_gib"] > 0
    assert rows["example_stamp"]["person_seconds"] > 0
    page = (done / "cost" / "cost.md").read_text()
    assert "| example_stamp |" in page
    assert "pvbench run" in page
    assert (done / "cost" / "cost.png").read_bytes().startswith(b"\x89PNG")
    # A log that was lost costs the figures, not the run.
    store = Store(done)
    assert write_costs(done, store.read_log()) == done / "cost" / "cost.md"
    assert write_costs(done, []) is None


def test_what_gpus_took_is_plotted_in_their_hours(done, monkeypatch):
    """Ten seconds of a GPU are not ten hours; what the axis says is looked at where it is drawn."""
    from matplotlib.axes import Axes

    said = []
    monkeypatch.setattr(Axes, "set_xlabel", lambda self, text, *_, **__: said.append(text))
    log = Store(done).read_log()
    write_costs(done, log)
    write_costs(done, [{**entry, "device": "cuda"} for entry in log])
    assert said == ["seconds of one worker for a person with 3 videos", "GPU-hours for a person with 3 videos"]


def test_a_number_that_no_video_has_is_a_dash(done):
    path = done / "report" / "aggregates.json"
    content = json.loads(path.read_text())
    for row in content["methods"].values():
        row["scores"]["face_sim"] |= {"value": None, "interval": {"low": None, "high": None}}
    path.write_text(json.dumps(content))
    page = write_costs(done, Store(done).read_log()).read_text()
    rows = [line for line in page.splitlines() if line.startswith(("| base", "| example_stamp"))]
    assert [line.split("|")[-2].strip() for line in rows] == ["–", "–"]
