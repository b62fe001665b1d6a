"""What the command line tells: lists, versions, help and the doctor."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from example_inputs import EXAMPLE_PROFILE

from pvbench import __version__, doctor
from pvbench.profile import load_profile
from pvbench.torchvision_shim import load_torchvision
from pvbench.weights.published import OPTIONS


@pytest.mark.parametrize("what", ["methods", "metrics", "profiles", "prompts"])
def test_lists_are_printed(pvbench, what):
    status, out, _ = pvbench("list", what, "--profile", EXAMPLE_PROFILE)
    assert status == 0
    expected = {"methods": "example_drift", "metrics": "face_sim_detected", "profiles": "profile", "prompts": "surf"}
    assert expected[what] in out


def test_people_and_prompts_for_development_are_listed_apart(pvbench):
    for what, benchmark, development in (("identities", "ada", "alma"), ("prompts", "ev01-", "de01-")):
        scored, chosen = (pvbench("list", what, *split)[1] for split in ((), ("--split", "development")))
        assert benchmark in scored
        assert development not in scored
        assert development in chosen
        assert benchmark not in chosen


def test_methods_are_listed_with_their_settings(pvbench):
    out = pvbench("list", "methods")[1]
    assert "side=right | left" in out
    assert "noise that drifts" in out


def test_the_version_is_printed(pvbench):
    assert pvbench("--version")[1].strip() == f"pvbench {__version__}"


def test_help_loads_neither_torch_nor_ray():
    script = (
        "import sys\nfrom pvbench import cli\nsys.argv = ['pvbench', '--help']\n"
        "try:\n    cli.main()\nfinally:\n"
        "    print(sorted({'torch', 'ray', 'numpy', 'warp', 'anny'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=600, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "measure" in done.stdout


def test_the_doctor_names_what_is_wrong(pvbench, monkeypatch):
    monkeypatch.setenv("EXAMPLE_BAD_WEIGHTS", "backbone")
    status, out, _ = pvbench("doctor", "--profile", EXAMPLE_PROFILE, "--device", "cpu")
    assert status == 2
    assert "weights of the example are corrupt" in out
    assert "4 to score, 2 to tune on, none in both" in out


def test_the_doctor_tells_weights_that_every_report_needs_from_those_of_one_metric(pvbench, monkeypatch, tmp_path):
    monkeypatch.setenv("PVBENCH_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "400")
    status, out, _ = pvbench("doctor", "--profile", "animatediff", "--device", "cpu")
    lines = {line.split()[1].rstrip(":"): line for line in out.splitlines() if len(line.split()) > 1}
    assert status == 2
    assert lines["flow"].split()[0] == "bad"
    assert lines["hps"].split()[0] == "note"
    assert "only hps_score needs it" in lines["hps"]
    assert "HPS_v2.1_compressed.pt" in out
    assert lines["backbone"].split()[0] == "note"
    assert "pvbench run needs it, pvbench measure does not" in lines["backbone"]


def test_the_doctor_looks_at_weights_of_ones_own_and_says_what_each_part_takes(pvbench, monkeypatch, tmp_path):
    monkeypatch.setenv("PVBENCH_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "999")
    (tmp_path / "my.pth").write_bytes(b"nothing of the sort")
    network = load_torchvision().models.optical_flow.raft_small(weights=None)
    torch.save(network.state_dict(), tmp_path / "raft.pth")
    options = ("doctor", "--profile", "animatediff", "--device", "cpu", "--weights")
    _, out, _ = pvbench(*options, "raft=raft.pth")
    lines = {line.split()[1].rstrip(":"): line for line in out.splitlines() if len(line.split()) > 1}
    assert lines["flow"].split()[0] == "good"
    assert "raft.pth loads" in lines["flow"]
    assert len(re.findall(r"takes about \d GiB of memory, [\d.]+ are there", " ".join(out.split()))) == len(OPTIONS)
    status, out, _ = pvbench(*options, "hps=my.pth")
    assert status == 2
    assert any(line.split()[:2] == ["bad", "hps:"] for line in out.splitlines())


@pytest.mark.parametrize(
    ("gib", "verdict", "said"),
    [(141, "good", "all fit cuda:0, which has 141 GiB"), (16, "note", "personalvideo, personalvideo_plus do not fit")],
)
def test_the_doctor_says_which_rows_fit_the_gpu(monkeypatch, gib, verdict, said):
    monkeypatch.setattr(doctor, "memory_of", lambda device: gib * 2**30)
    (found,) = doctor._memory(load_profile("animatediff"), "cuda:0")
    assert found.verdict == verdict
    assert said in found.detail
    assert re.search(
        r"base, .*dreambooth_lora.* about \d+ GiB; personalvideo, personalvideo_plus about \d+", found.detail
    )
    (here,) = doctor._memory(load_profile("animatediff"), "cpu")
    assert here.detail.endswith("no GPU is used here")
    assert not list(doctor._memory(load_profile("mini"), "cuda:0"))


def test_the_doctor_stops_at_a_profile_that_does_not_load(pvbench):
    status, out, _ = pvbench("doctor", "--profile", "mimi")
    assert status == 2
    assert "unknown profile 'mimi'" in out


def test_what_list_metrics_names_is_what_the_option_takes(pvbench):
    from pvbench.metrics import choose, installed

    _, out, _ = pvbench("list", "metrics")
    for metric in installed():
        assert metric.name in out
        assert choose(metric.name) == (metric.name,)


def test_what_was_not_foreseen_ends_in_status_3_without_a_traceback(pvbench, monkeypatch):
    def fail(*arguments):
        raise RuntimeError("nobody thought of this")

    monkeypatch.setattr("pvbench.profile.load_profile", fail)
    status, out, err = pvbench("measure", "videos")
    assert status == 3
    assert "internal error: RuntimeError: nobody thought of this; this is a mistake in pvbench" in err
    assert "Traceback" not in out + err
    (written,) = re.findall(r"with (\S+\.txt)", err)
    assert "Traceback" in Path(written).read_text()
    Path(written).unlink()
