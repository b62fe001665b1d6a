"""Seconds a tuning step, with and without the shared prefix."""

from __future__ import annotations

import pytest

from pvbench.method import METHODS
from pvbench.prompt import load_prompts

STEPS = 6


@pytest.mark.parametrize("prefixes", [2, 0], ids=["shared-prefix", "fresh-every-step"])
def test_tuning_personalvideo(benchmark, backbone, profile, identity, prefixes):
    cls = METHODS.get("personalvideo")
    method = cls(cls.Settings(steps=STEPS, token="none", prefixes=prefixes), backbone, profile)
    prompts = load_prompts("mini_simulated")
    tune = lambda: method.tune(identity, prompts, seed=0, progress=lambda *_: None)  # noqa: E731
    benchmark.pedantic(tune, rounds=2, warmup_rounds=1)


def test_tuning_dreambooth(benchmark, backbone, profile, identity):
    cls = METHODS.get("dreambooth_lora")
    method = cls(cls.Settings(steps=STEPS, token="none"), backbone, profile)
    prompts = load_prompts("mini_simulated")
    tune = lambda: method.tune(identity, prompts, seed=0, progress=lambda *_: None)  # noqa: E731
    benchmark.pedantic(tune, rounds=2, warmup_rounds=1)


@pytest.mark.parametrize("name", ["personalvideo", "personalvideo_plus", "dreambooth_lora"])
def test_tuning_an_identity_whole(benchmark, backbone, profile, identity, name):
    """With the default settings, nothing shared with another identity: some two minutes."""
    cls = METHODS.get(name)
    prompts = load_prompts("mini_simulated")
    tune = lambda: cls(cls.Settings(), backbone, profile).tune(  # noqa: E731
        identity, prompts, seed=0, progress=lambda *_: None
    )
    benchmark.pedantic(tune, rounds=1)
