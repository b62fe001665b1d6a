"""The contract suite: good methods pass, and each broken promise is found."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from example_inputs import EXAMPLE_PROFILE, make_identity
from pvbench_example import Drift, DriftSettings, Stamp

from pvbench.identity import load_identity
from pvbench.testing import MethodContract


class ExampleContract(MethodContract):
    profile_name = EXAMPLE_PROFILE

    @pytest.fixture(scope="class")
    @classmethod
    def identity(cls, tmp_path_factory):
        return load_identity(make_identity(tmp_path_factory.mktemp("people"), "ann"))


class TestDrift(ExampleContract):
    method = Drift


class TestStamp(ExampleContract):
    method = Stamp
    settings = {"steps": 2}  # noqa: RUF012 - as authors write it

    @pytest.fixture(scope="class")
    @classmethod
    def bystander(cls, profile, backbone):
        return Drift(DriftSettings(), backbone, profile)


HEAD = """
import itertools
import numpy as np
import pytest
from dataclasses import dataclass
from example_inputs import EXAMPLE_PROFILE, make_identity
from pvbench.identity import load_identity
from pvbench.method import Adapter
from pvbench.testing import MethodContract
from pvbench.video import Video
from pvbench_example import Drift, DriftSettings, Stamp

class ExampleContract(MethodContract):
    profile_name = EXAMPLE_PROFILE

    @pytest.fixture(scope="class")
    @classmethod
    def identity(cls, tmp_path_factory):
        return load_identity(make_identity(tmp_path_factory.mktemp("people"), "ann"))

    @pytest.fixture(scope="class")
    @classmethod
    def bystander(cls, profile, backbone):
        return Drift(DriftSettings(), backbone, profile)
"""

BROKEN = {
    "test_a_video_does_not_depend_on_the_others": """
class Broken(Drift):
    def generate(self, identity, adapter, requests):
        for video in super().generate(identity, adapter, requests):
            yield Video(video.frames + np.uint8(len(requests)), video.fps)
""",
    "test_a_fresh_instance_makes_the_same_video": """
class Broken(Drift):
    instances = itertools.count()
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.number = next(self.instances)
    def generate(self, identity, adapter, requests):
        for video in super().generate(identity, adapter, requests):
            yield Video(video.frames + np.uint8(self.number), video.fps)
""",
    "test_every_request_gets_one_video_of_the_profiles_size": """
class Broken(Drift):
    def generate(self, identity, adapter, requests):
        for video in super().generate(identity, adapter, requests):
            yield Video(video.frames[1:], video.fps)
""",
    "test_different_requests_give_different_videos": """
class Broken(Drift):
    def generate(self, identity, adapter, requests):
        for request in requests:
            yield Video(np.zeros((6, 32, 24, 3), np.uint8), 8.0)
""",
    "test_videos_come_one_by_one": """
class Broken(Drift):
    def generate(self, identity, adapter, requests):
        return iter(list(super().generate(identity, adapter, requests)))
""",
    "test_settings_have_defaults_and_a_digest": """
@dataclass
class Loose(DriftSettings.__mro__[-1]):
    speed: int = 1
    side: str = "right"
class Broken(Drift):
    Settings = Loose
""",
    "test_tuning_again_gives_the_same_bytes": """
class Broken(Stamp):
    tunings = itertools.count()
    def tune(self, identity, prompts, *, seed, progress):
        adapter = super().tune(identity, prompts, seed=seed, progress=progress)
        return Adapter(adapter.tensors, adapter.span, {"tuning": next(self.tunings)})
""",
    "test_an_adapter_from_a_file_makes_the_same_video": """
class Broken(Stamp):
    def generate(self, identity, adapter, requests):
        for video in super().generate(identity, adapter, requests):
            yield Video(video.frames + np.uint8("secret" in vars(adapter)), video.fps)
    def tune(self, identity, prompts, *, seed, progress):
        adapter = super().tune(identity, prompts, seed=seed, progress=progress)
        vars(adapter)["secret"] = True
        return adapter
""",
    "test_tuning_reports_every_step": """
class Broken(Stamp):
    def tune(self, identity, prompts, *, seed, progress):
        return super().tune(identity, prompts, seed=seed, progress=lambda step, total, losses: progress(step, 9, {}))
""",
    "test_the_backbone_is_left_as_it_was": """
class Broken(Stamp):
    def tune(self, identity, prompts, *, seed, progress):
        self.backbone.noise = lambda noise_seed: np.zeros((6, 32, 24, 3), np.uint8)
        return super().tune(identity, prompts, seed=seed, progress=progress)
""",
    "test_the_class_says_what_it_is": """
class Broken(Drift):
    summary = ""
""",
    "test_the_profile_is_supported": """
class Broken(Drift):
    @classmethod
    def asks(cls, settings):
        return frozenset({"latents"})
""",
    "test_the_data_digest_is_the_same_each_time": """
class Broken(Drift):
    calls = itertools.count()
    @classmethod
    def data_digest(cls, profile):
        return str(next(cls.calls))
""",
}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """The outcome of the suite for every broken method, by (method, test)."""
    folder = tmp_path_factory.mktemp("broken")
    for name, code in BROKEN.items():
        # Names of their own, so that no installed method is taken for them.
        body = code.rstrip() + f'\n    name = "{name}"\n'
        (folder / f"{name}_case.py").write_text(
            f"{HEAD}\n{body}\nclass TestBroken(ExampleContract):\n    method = Broken\n"
        )
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:xdist",
            "-rA",
            "-q",
            "--tb=no",
            "-o",
            "python_files=*_case.py",
            "-o",
            "addopts=",
            "-c",
            "/dev/null",
            "--rootdir",
            str(folder),
            "--import-mode=importlib",
            str(folder),
        ],
        capture_output=True,
        text=True,
        timeout=600,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(EXAMPLE_PROFILE).parent)},
    )
    found = {}
    for line in done.stdout.splitlines():
        outcome, _, where = line.partition(" ")
        if outcome in ("PASSED", "FAILED", "ERROR") and "_case.py::" in where:
            file, _, test = where.split(" ")[0].partition("_case.py::TestBroken::")
            found[file.rsplit("/")[-1], test] = outcome
    assert found, done.stdout + done.stderr
    return found


@pytest.mark.parametrize("test", list(BROKEN))
def test_a_broken_promise_is_found(outcomes, test):
    assert outcomes[test, test] == "FAILED"
