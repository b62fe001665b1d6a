"""Seconds before the first run, for sizes and steps that a profile does not have."""

import dataclasses

import pytest

from pvbench.backbone import backbone_loader
from pvbench.profile import load_profile
from pvbench.runner.estimate import Costs
from pvbench.runner.plan import Choice, make_plan
from pvbench.runner.scales import scales_of


def work(name, **size):
    profile = load_profile(name)
    sized = dataclasses.replace(profile, sampling=dataclasses.replace(profile.sampling, **size))
    return backbone_loader(sized).work(sized)


def test_a_long_large_video_of_hunyuan_takes_what_was_measured():
    """160 s and 26 minutes on an H200, at 544p x 61 and 720p x 129."""
    ratio = work("hunyuan", frames=129, height=720, width=1280) / work("hunyuan", frames=61, height=544, width=960)
    assert ratio == pytest.approx(26 * 60 / 160, rel=0.05)


def test_a_convolution_takes_as_much_as_there_are_pixels():
    assert work("animatediff", frames=8, height=256, width=512) / work("animatediff") == pytest.approx(1 / 4)


def planned(tmp_path, lines, methods):
    path = tmp_path / "mine.toml"
    path.write_text(f'extends = "mini"\n{lines}\n')
    plan = make_plan(Choice(str(path), methods, "1", "1"))
    return Costs(plan.profile.cost, "cpu", scales=scales_of(plan)), load_profile("mini").cost


def test_the_shipped_size_takes_what_the_profile_says(tmp_path):
    costs, said = planned(tmp_path, "", "base,dreambooth_lora,personalvideo,magicme,oracle")
    for method in ("dreambooth_lora", "personalvideo", "magicme"):
        assert costs.seconds("tune", method) == said.tune_s[method]
        assert costs.seconds("generate", method) == said.default_video_s
    assert costs.seconds("generate", "oracle") == said.video_s["oracle"]


def test_fewer_steps_and_frames_take_less(tmp_path):
    methods = "base,dreambooth_lora[steps=60],personalvideo[steps=12],oracle"
    costs, said = planned(tmp_path, "[sampling]\nframes = 4\nsteps = 4", methods)
    assert costs.seconds("generate", "base") == pytest.approx(said.default_video_s / 4)
    assert costs.seconds("measure", "base") == pytest.approx(said.measure_s / 2)
    assert costs.seconds("tune", "personalvideo") == pytest.approx(said.tune_s["personalvideo"] / 2 / 10)
    # It is tuned on photos, which have no frames.
    assert costs.seconds("tune", "dreambooth_lora") == pytest.approx(said.tune_s["dreambooth_lora"] / 2)
    assert costs.seconds("generate", "oracle") == pytest.approx(said.video_s["oracle"] / 2)


def test_rows_of_one_method_are_averaged(tmp_path):
    costs, said = planned(tmp_path, "", "personalvideo[steps=60],personalvideo[steps=180]")
    assert costs.seconds("tune", "personalvideo") == pytest.approx(said.tune_s["personalvideo"])
