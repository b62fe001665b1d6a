"""Installed methods and the texts that name them."""

from importlib.metadata import EntryPoint

import pytest
from example_inputs import EXAMPLE_PROFILE
from pvbench_example import Drift, DriftSettings, Stamp

from pvbench import registry
from pvbench.errors import MethodError, SettingError
from pvbench.profile import load_profile
from pvbench.registry import (
    Variant,
    list_methods,
    method_class,
    parse_variant,
    select_variants,
    settings_of,
    split_variants,
)


@pytest.fixture
def profile():
    return load_profile(EXAMPLE_PROFILE)


@pytest.fixture
def installed(monkeypatch):
    """Only the entry points given, for one test."""
    def install(**values):
        entries = {name: EntryPoint(name, value, registry.GROUP) for name, value in values.items()}
        monkeypatch.setattr(registry, "_entry_points", lambda: entries)
        method_class.cache_clear()
    yield install
    method_class.cache_clear()


def test_methods_of_other_packages_are_found_by_their_entry_points():
    assert {"example_drift", "example_stamp"} <= set(list_methods())
    assert method_class("example_drift").name == "example_drift"


@pytest.mark.parametrize(("text", "variant"), [
    ("example_drift", Variant("example_drift", {}, "example_drift")),
    (" example_drift [] ", Variant("example_drift", {}, "example_drift")),
    ("example_drift[speed=2]", Variant("example_drift", {"speed": "2"}, "example_drift[speed=2]")),
    ("example_drift[ speed = 2 , side=left ]",
     Variant("example_drift", {"side": "left", "speed": "2"}, "example_drift[side=left,speed=2]")),
])
def test_a_variant_is_a_name_with_settings(text, variant):
    assert parse_variant(text) == variant


@pytest.mark.parametrize(("text", "message"), [
    ("example_drfit", r"unknown method 'example_drfit' \(did you mean 'example_drift'\?\); installed: "),
    ("example_drift[speed]", "'speed' is no setting; expected setting=value"),
    ("example_drift[speed=]", "expected setting=value"),
    ("example_drift[speed=1,speed=2]", "sets 'speed' twice"),
    ("example_drift]", "is no method; expected a name"),
    ("", "is no method"),
])
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
    monkeypatch.setattr(method_class("example_drift"), "profiles", frozenset({"hunyuan"}))
    with pytest.raises(MethodError, match="does not run under the profile 'example'; it runs under hunyuan"):
        select_variants(["example_drift"], profile)


def test_no_methods_are_told(profile):
    with pytest.raises(MethodError, match="no methods chosen"):
        select_variants([], profile)


def test_settings_come_from_the_method_the_profile_and_the_text(tmp_path):
    (tmp_path / "mine.toml").write_text(
        f'extends = "{EXAMPLE_PROFILE}"\n[methods.example_drift]\nspeed = 3\nside = "left"\n')
    profile = load_profile(str(tmp_path / "mine.toml"))
    assert settings_of(parse_variant("example_drift"), profile) == DriftSettings(3, "left")
    assert settings_of(parse_variant("example_drift[speed=5]"), profile) == DriftSettings(5, "left")


def test_a_wrong_setting_in_a_profile_is_told_with_the_profile(tmp_path):
    (tmp_path / "mine.toml").write_text(f'extends = "{EXAMPLE_PROFILE}"\n[methods.example_drift]\nspede = 3\n')
    with pytest.raises(SettingError, match=r"profile 'mine', method 'example_drift': unknown setting 'spede'"):
        settings_of(parse_variant("example_drift"), load_profile(str(tmp_path / "mine.toml")))


def test_a_method_that_does_not_import_is_told(installed):
    installed(broken="no_such_module:Method")
    with pytest.raises(MethodError, match="method 'broken' does not import from no_such_module:Method"):
        method_class("broken")


@pytest.mark.parametrize(("value", "message"), [
    ("pvbench_example:DriftSettings", "expected a subclass of pvbench.method.Method"),
    ("pvbench_example:Drift", "calls itself 'example_drift'"),
])
def test_a_class_that_is_no_method_is_told(installed, value, message):
    installed(other=value)
    with pytest.raises(MethodError, match=message):
        method_class("other")


def test_settings_without_defaults_are_told(installed, monkeypatch):
    from dataclasses import make_dataclass

    monkeypatch.setattr(Drift, "Settings", make_dataclass("Bad", [("speed", int)], frozen=True))
    installed(example_drift="pvbench_example:Drift")
    with pytest.raises(MethodError, match="the setting 'speed' has no default"):
        method_class("example_drift")


def test_a_missing_attribute_is_told(installed, monkeypatch):
    monkeypatch.delattr(Stamp, "version")
    installed(example_stamp="pvbench_example:Stamp")
    with pytest.raises(MethodError, match="lacks the class attribute version"):
        method_class("example_stamp")


def test_two_packages_with_one_name_are_told(monkeypatch):
    entries = [EntryPoint("twin", "one:Method", registry.GROUP), EntryPoint("twin", "other:Method", registry.GROUP)]
    monkeypatch.setattr(registry, "entry_points", lambda group: entries)
    registry._entry_points.cache_clear()
    try:
        with pytest.raises(MethodError, match="two installed packages bring a method 'twin'"):
            list_methods()
    finally:
        registry._entry_points.cache_clear()
