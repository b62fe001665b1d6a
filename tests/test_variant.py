"""Rows of a table, and the texts that name them."""

import pytest
from example_inputs import EXAMPLE_PROFILE
from pvbench_example import DriftSettings

from pvbench.backbone import backbone_loader
from pvbench.errors import MethodError, SettingError
from pvbench.method import METHODS
from pvbench.profile import load_profile
from pvbench.variant import Variant, parse_variant, select_variants, settings_of, split_variants


@pytest.fixture
def profile():
    return load_profile(EXAMPLE_PROFILE)


@pytest.mark.parametrize(
    ("text", "variant"),
    [
        ("example_drift", Variant("example_drift", {}, "example_drift")),
        (" example_drift [] ", Variant("example_drift", {}, "example_drift")),
        ("example_drift[speed=2]", Variant("example_drift", {"speed": "2"}, "example_drift[speed=2]")),
        (
            "example_drift[ speed = 2 , side=left ]",
            Variant("example_drift", {"side": "left", "speed": "2"}, "example_drift[side=left,speed=2]"),
        ),
    ],
)
def test_a_variant_is_a_name_with_settings(text, variant):
    assert parse_variant(text) == variant


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("example_drfit", r"unknown method 'example_drfit' \(did you mean 'example_drift'\?\); installed: "),
        ("example_drift[speed]", "'speed' is not a setting; expected setting=value"),
        ("example_drift[speed=]", "expected setting=value"),
        ("example_drift[speed=1,speed=2]", "sets 'speed' twice"),
        ("example_drift]", "is not a method; expected a name"),
        ("", "is not a method"),
    ],
)
def test_a_wrong_text_is_told(text, message):
    with pytest.raises(MethodError, match=message):
        parse_variant(text)


def test_a_list_is_split_outside_of_brackets():
    assert split_variants("base, a[x=1,y=2],b[z=3] ,") == ["base", "a[x=1,y=2]", "b[z=3]"]


def test_all_is_what_the_profile_supports_with_its_defaults_first(profile):
    labels = [variant.label for variant in select_variants(["all"], profile)]
    assert labels[:2] == ["example_drift", "example_stamp"]
    assert "oracle" not in labels


def test_each_variant_comes_once(profile):
    labels = [v.label for v in select_variants(["example_drift[speed=2]", "example_drift[ speed=2 ]"], profile)]
    assert labels == ["example_drift[speed=2]"]


def test_a_method_that_the_profile_does_not_support_is_told(profile, monkeypatch):
    monkeypatch.setattr(METHODS.get("example_drift"), "asks", lambda settings: {"latents", "example_noise", "lora"})
    expected = "'example_drift' asks for latents and lora, which the profile 'example' with its backbone 'example'"
    with pytest.raises(MethodError, match=expected):
        select_variants(["example_drift"], profile)


def test_a_reward_that_the_profile_does_not_name_is_told(profile, monkeypatch):
    monkeypatch.setattr(METHODS.get("example_drift"), "asks", lambda settings: {"reward.identity"})
    with pytest.raises(MethodError, match=r"asks for reward\.identity, .*; name them in the profile's \[rewards\]"):
        select_variants(["example_drift"], profile)


def test_what_is_asked_rests_on_the_settings(profile):
    mini = load_profile("mini")
    loader = backbone_loader(mini)
    assert METHODS.get("personalvideo").asks(settings_of(parse_variant("personalvideo"), mini)) - loader.offers == {
        "reward.identity",
        "reward.semantic",
    }
    plain = METHODS.get("personalvideo").asks(settings_of(parse_variant("personalvideo[token=none]"), mini))
    assert "tokens" not in plain
    assert "images" in METHODS.get("personalvideo").asks(settings_of(parse_variant("personalvideo[where=t2i]"), mini))


def test_no_methods_are_told(profile):
    with pytest.raises(MethodError, match="no methods chosen"):
        select_variants([], profile)


def test_settings_come_from_the_method_the_profile_and_the_text(tmp_path):
    (tmp_path / "mine.toml").write_text(
        f'extends = "{EXAMPLE_PROFILE}"\n[methods.example_drift]\nspeed = 3\nside = "left"\n'
    )
    profile = load_profile(str(tmp_path / "mine.toml"))
    assert settings_of(parse_variant("example_drift"), profile) == DriftSettings(3, "left")
    assert settings_of(parse_variant("example_drift[speed=5]"), profile) == DriftSettings(5, "left")


def test_a_wrong_setting_in_a_profile_is_told_with_the_profile(tmp_path):
    (tmp_path / "mine.toml").write_text(f'extends = "{EXAMPLE_PROFILE}"\n[methods.example_drift]\nspede = 3\n')
    with pytest.raises(SettingError, match=r"profile 'mine', method 'example_drift': unknown setting 'spede'"):
        settings_of(parse_variant("example_drift"), load_profile(str(tmp_path / "mine.toml")))
