"""Whole runs on tiny random checkpoints in the published layouts: no network; killed and gone on, the same bytes.

What is killed are processes of their own: for one family a command with its worker, for the others a fork of this
process, which has loaded all libraries already. What is compared with them is made in this process.
"""

import json
import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest
import torch
from example_inputs import EXAMPLE_PROFILE, contents
from tiny_models import write_toml

from pvbench import cli

BLOCKED = """
import socket

def refuse(self, address, *rest):
    if self.family != socket.AF_UNIX:
        raise OSError(f"the test allows no network: {address}")
    return connect(self, address, *rest)

connect, socket.socket.connect = socket.socket.connect, refuse
"""

QUICK = {
    "methods__dreambooth_lora": {"steps": 2, "token_steps": 1, "references": 1, "batch": 1},
    "methods__personalvideo": {"steps": 1, "token_steps": 1, "references": 1, "prefixes": 1, "rank": 2},
    "methods__magicme": {"steps": 2, "references": 1, "batch": 1},
    "rewards": {"identity": "mini_identity", "semantic": "mini_semantic", "segmenter": "mini_segmenter",
                "weights": "mini"},
    "evaluators": {"kind": "mini", "weights": "mini"},
    "prompts": {"evaluation": "mini_evaluation", "simulated": "mini_simulated"},
}  # fmt: skip


def command(home, *arguments):
    """How to start a process whose connections and those of its workers are refused."""
    (home / "blocked").mkdir(exist_ok=True)
    (home / "blocked" / "sitecustomize.py").write_text(BLOCKED)
    paths = os.pathsep.join([str(home / "blocked"), str(Path(EXAMPLE_PROFILE).parent)])
    changed = {"PYTHONPATH": paths, "COLUMNS": "300", "PVBENCH_WEIGHTS": str(home / "none")}
    return {
        "args": [sys.executable, "-m", "pvbench.cli", *arguments],
        "cwd": home,
        "env": {**os.environ, **changed},
        "text": True,
    }


@pytest.fixture
def here(pvbench, inline, no_network, tmp_path, monkeypatch):
    """Runs a command line in this process: (exit status, standard output, standard error)."""
    torch.set_num_threads(1)
    monkeypatch.setenv("PVBENCH_WEIGHTS", str(tmp_path / "none"))
    return pvbench


def asked(profile, out, methods):
    options = ("--identities", "ada", "--prompts", "1", "--workers", "1", "--device", "cpu")
    return ("run", "--profile", str(profile), "--methods", methods, "--out", out, *options)


def killed_run(home, profile, out, methods):
    """A run that is killed, workers and all, when the first adapter is there."""
    with (home / "killed.log").open("w") as log:
        started = subprocess.Popen(
            **command(home, *asked(profile, out, methods)), stdout=log, stderr=log, start_new_session=True
        )
    until_the_first(home / out / "adapters", lambda: started.poll() is None)
    os.killpg(started.pid, signal.SIGKILL)
    assert started.wait() == -signal.SIGKILL
    assert not (home / out / "report" / "scores.csv").exists()


def killed_fork(home, profile, out, methods, monkeypatch, first="adapters"):
    """The same of a process that is this one up to here; `here` has prepared it. `first`: what it is killed after."""
    monkeypatch.setattr(sys, "argv", ["pvbench", *asked(profile, out, methods)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads of this process are not needed in the other
        started = os.fork()
    if not started:
        try:
            cli.main()
        finally:
            os._exit(3)
    until_the_first(home / out / first, lambda: os.waitpid(started, os.WNOHANG) == (0, 0))
    os.kill(started, signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(started, 0)[1]) == -signal.SIGKILL
    assert not (home / out / "report" / "scores.csv").exists()


def until_the_first(folder, alive):
    """Waits for an adapter or a video in a folder."""
    end = time.monotonic() + 300
    while not [*folder.rglob("*.safetensors"), *folder.rglob("*.mkv")]:
        assert alive(), "the run ended before it was killed"
        assert time.monotonic() < end, f"nothing in {folder} in five minutes"
        time.sleep(0.02)


@pytest.fixture
def run(here, tmp_path):
    def run(profile, out, methods):
        status, printed, told = here(*asked(profile, out, methods))
        assert status == 0, printed + told
        return contents(tmp_path / out)

    return run


def done_of(home, out):
    report = json.loads((home / out / "report" / "aggregates.json").read_text())
    return {label: row["done"] for label, row in report["methods"].items()}


@pytest.fixture(scope="module")
def animatediff_toml(checkpoints, tmp_path_factory):
    return write_toml(
        tmp_path_factory.mktemp("profiles") / "tiny-run.toml",
        extends="animatediff",
        backbone={"base": str(checkpoints / "sd"), "motion": str(checkpoints / "motion"), "precision": "float32"},
        sampling={"steps": 4, "frames": 8, "height": 64, "width": 64},
        **QUICK,
    )


def test_animatediff_runs_from_its_folders_and_killed_goes_on_to_the_same_bytes(run, animatediff_toml, tmp_path):
    methods = "base,dreambooth_lora,personalvideo,magicme"
    first = run(animatediff_toml, "one", methods)
    assert done_of(tmp_path, "one") == dict.fromkeys(methods.split(","), 1)
    killed_run(tmp_path, animatediff_toml, "two", methods)
    assert run(animatediff_toml, "two", methods) == first


def test_photos_as_prompts_run_from_their_files_and_killed_go_on_to_the_same_bytes(
    run, animatediff_toml, checkpoints, tmp_path, monkeypatch
):
    files = checkpoints / "adapters"
    profile = write_toml(
        tmp_path / "photos.toml",
        extends=str(animatediff_toml),
        rewards={
            "image_prompt": "tiny_adapters:TinyAnimatorLoader",
            "ip_adapter": "tiny_adapters:TinyIpAdapterLoader",
            "animator": str(files / "animator.ckpt"),
            "ip_adapter_file": str(files / "ip.safetensors"),
            "image_encoder": str(files / "image_encoder"),
        },
    )
    methods = "id_animator,ip_adapter_face"
    first = run(profile, "one", methods)
    assert done_of(tmp_path, "one") == {"id_animator": 1, "ip_adapter_face": 1}
    killed_fork(tmp_path, profile, "two", methods, monkeypatch, first="videos")
    assert run(profile, "two", methods) == first


@pytest.fixture(scope="module")
def hunyuan_toml(checkpoints, tmp_path_factory):
    return write_toml(
        tmp_path_factory.mktemp("profiles") / "tiny-run.toml",
        extends="hunyuan",
        backbone={"base": str(checkpoints / "hunyuan"), "precision": "float32"},
        sampling={"steps": 4, "frames": 9, "height": 64, "width": 64, "fps": 8.0},
        # The miniature world's own looks at multiples of four frames.
        evaluators__parts={"video": "example_video"},
        **QUICK,
    )


def test_hunyuan_runs_from_its_folder_and_killed_goes_on_to_the_same_bytes(run, hunyuan_toml, tmp_path, monkeypatch):
    methods = "base,dreambooth_lora,personalvideo"
    first = run(hunyuan_toml, "one", methods)
    assert done_of(tmp_path, "one") == dict.fromkeys(methods.split(","), 1)
    killed_fork(tmp_path, hunyuan_toml, "two", methods, monkeypatch)
    assert run(hunyuan_toml, "two", methods) == first


@pytest.fixture(scope="module")
def wan_toml(checkpoints, tmp_path_factory):
    return write_toml(
        tmp_path_factory.mktemp("profiles") / "tiny-run.toml",
        extends="wan",
        backbone={"base": str(checkpoints / "wan"), "precision": "float32"},
        sampling={"steps": 4, "frames": 9, "height": 64, "width": 64, "fps": 8.0},
        evaluators__parts={"video": "example_video"},
        **QUICK,
    )


def test_wan_runs_from_its_folder_and_killed_goes_on_to_the_same_bytes(run, wan_toml, tmp_path, monkeypatch):
    methods = "base,dreambooth_lora,personalvideo"
    first = run(wan_toml, "one", methods)
    assert done_of(tmp_path, "one") == dict.fromkeys(methods.split(","), 1)
    killed_fork(tmp_path, wan_toml, "two", methods, monkeypatch)
    assert run(wan_toml, "two", methods) == first


def test_vace_runs_from_its_folder_and_killed_goes_on_to_the_same_bytes(
    run, wan_toml, checkpoints, tmp_path, monkeypatch
):
    vace = write_toml(
        tmp_path / "vace.toml", extends=str(wan_toml), backbone={"kind": "wan_vace", "base": str(checkpoints / "vace")}
    )
    first = run(vace, "one", "base,wan_vace")
    assert done_of(tmp_path, "one") == {"base": 1, "wan_vace": 1}
    killed_fork(tmp_path, vace, "two", "base,wan_vace", monkeypatch, first="videos")
    assert run(vace, "two", "base,wan_vace") == first


@pytest.fixture(scope="module")
def cogvideox_toml(checkpoints, tmp_path_factory):
    return write_toml(
        tmp_path_factory.mktemp("profiles") / "tiny-run.toml",
        extends="cogvideox",
        backbone={"base": str(checkpoints / "cogvideox"), "precision": "float32"},
        sampling={"steps": 4, "frames": 9, "height": 64, "width": 64, "fps": 8.0},
        evaluators__parts={"video": "example_video"},
        **QUICK,
    )


def test_cogvideox_runs_from_its_folder_and_killed_goes_on_to_the_same_bytes(
    run, cogvideox_toml, tmp_path, monkeypatch
):
    methods = "base,dreambooth_lora,personalvideo"
    first = run(cogvideox_toml, "one", methods)
    assert done_of(tmp_path, "one") == dict.fromkeys(methods.split(","), 1)
    killed_fork(tmp_path, cogvideox_toml, "two", methods, monkeypatch)
    assert run(cogvideox_toml, "two", methods) == first


def test_consisid_runs_from_its_folder_and_killed_goes_on_to_the_same_bytes(
    run, here, cogvideox_toml, checkpoints, tmp_path, monkeypatch
):
    consisid = write_toml(
        tmp_path / "consisid.toml",
        extends=str(cogvideox_toml),
        backbone={"kind": "consisid", "base": str(checkpoints / "consisid")},
        rewards={"face_control": "example_control:MeanColourLoader"},
    )
    methods = "consisid,consisid[global_branch=off]"
    first = run(consisid, "one", methods)
    assert done_of(tmp_path, "one") == {"consisid": 1, "consisid[global_branch=off]": 1}
    killed_fork(tmp_path, consisid, "two", methods, monkeypatch, first="videos")
    assert run(consisid, "two", methods) == first
    options = ("--methods", "personalvideo", "--identities", "ada", "--prompts", "1")
    status, _, told = here("run", "--profile", str(consisid), *options)
    assert status == 2
    assert "asks for lora" in told


def test_a_method_that_a_backbone_cannot_serve_is_one_message(here, hunyuan_toml):
    """HunyuanVideo takes no learned words."""
    options = ("--methods", "magicme", "--identities", "ada", "--prompts", "1")
    status, _, told = here("run", "--profile", str(hunyuan_toml), *options)
    assert status == 2
    assert "asks for tokens" in told


def test_what_is_wrong_with_a_checkpoint_is_one_message_and_status_two(here, animatediff_toml, checkpoints, tmp_path):
    wrong = write_toml(
        tmp_path / "wrong.toml", extends=str(animatediff_toml), backbone={"motion": str(checkpoints / "sd" / "vae")}
    )
    status, printed, told = here(*asked(wrong, "out", "base"))
    assert status == 2
    assert told.count("error:") == 1
    assert "does not load as MotionAdapter" in told
    assert "Traceback" not in printed + told
