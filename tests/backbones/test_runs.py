"""Whole runs on tiny random checkpoints in the published layouts: no network, and the same bytes a second time."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from example_inputs import EXAMPLE_PROFILE, contents
from tiny_models import write_toml

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


def pvbench(home, *arguments):
    """A command in a process of its own, whose connections and those of its workers are refused."""
    (home / "blocked").mkdir(exist_ok=True)
    (home / "blocked" / "sitecustomize.py").write_text(BLOCKED)
    paths = os.pathsep.join([str(home / "blocked"), str(Path(EXAMPLE_PROFILE).parent)])
    changed = {"PYTHONPATH": paths, "COLUMNS": "300", "PVBENCH_WEIGHTS": str(home / "none")}
    return subprocess.run(
        [sys.executable, "-m", "pvbench.cli", *arguments],
        cwd=home, capture_output=True, text=True, timeout=600, check=False,
        env={**os.environ, **changed},
    )  # fmt: skip


def run(home, profile, out, methods):
    options = ("--identities", "ada", "--prompts", "1", "--workers", "1", "--device", "cpu")
    done = pvbench(home, "run", "--profile", str(profile), "--methods", methods, "--out", out, *options)
    assert done.returncode == 0, done.stdout + done.stderr
    return contents(home / out)


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


def test_animatediff_runs_from_its_folders_and_again_with_the_same_bytes(animatediff_toml, tmp_path):
    methods = "base,dreambooth_lora,personalvideo,magicme"
    first = run(tmp_path, animatediff_toml, "one", methods)
    assert done_of(tmp_path, "one") == dict.fromkeys(methods.split(","), 1)
    assert run(tmp_path, animatediff_toml, "two", methods) == first


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


def test_hunyuan_runs_from_its_folder_and_again_with_the_same_bytes(hunyuan_toml, tmp_path):
    methods = "base,dreambooth_lora,personalvideo"
    first = run(tmp_path, hunyuan_toml, "one", methods)
    assert done_of(tmp_path, "one") == dict.fromkeys(methods.split(","), 1)
    assert run(tmp_path, hunyuan_toml, "two", methods) == first


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


def test_wan_runs_from_its_folder_and_again_with_the_same_bytes(wan_toml, tmp_path):
    methods = "base,dreambooth_lora,personalvideo"
    first = run(tmp_path, wan_toml, "one", methods)
    assert done_of(tmp_path, "one") == dict.fromkeys(methods.split(","), 1)
    assert run(tmp_path, wan_toml, "two", methods) == first


def test_a_method_that_a_backbone_cannot_serve_is_one_message(hunyuan_toml, tmp_path):
    """HunyuanVideo takes no learned words."""
    options = ("--methods", "magicme", "--identities", "ada", "--prompts", "1")
    done = pvbench(tmp_path, "run", "--profile", str(hunyuan_toml), *options)
    assert done.returncode == 2
    assert "asks for tokens" in done.stderr


def test_what_is_wrong_with_a_checkpoint_is_one_message_and_status_two(animatediff_toml, checkpoints, tmp_path):
    wrong = write_toml(
        tmp_path / "wrong.toml", extends=str(animatediff_toml), backbone={"motion": str(checkpoints / "sd" / "vae")}
    )
    done = pvbench(
        tmp_path, "run", "--profile", str(wrong), "--methods", "base", "--identities", "ada", "--prompts", "1"
    )
    assert done.returncode == 2
    assert done.stderr.count("error:") == 1
    assert "does not load as MotionAdapter" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
