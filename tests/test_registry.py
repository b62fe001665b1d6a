"""Installed parts of every kind: found by name, checked, and reported by name where they are broken."""

from importlib.metadata import EntryPoint

import pytest
from pvbench_example import Drift, ExampleLoader, Stamp

from pvbench import registry
from pvbench.backbone import BACKBONES, BackboneLoader
from pvbench.errors import MethodError, ProfileError
from pvbench.method import METHODS, Method, _check_method
from pvbench.registry import Registry
from pvbench.reward import REWARDS


@pytest.fixture
def methods(monkeypatch):
    """A registry of methods with only the entry points given: pairs of a name and a value."""

    def install(*pairs):
        entries = [EntryPoint(name, value, "pvbench.methods") for name, value in pairs]
        monkeypatch.setattr(registry, "entry_points", lambda group: entries)
        return Registry("method", Method, MethodError, ("version", "summary", "tunes", "Settings"), _check_method)

    return install


@pytest.mark.parametrize(
    ("kinds", "name", "part"),
    [
        (METHODS, "example_drift", Drift),
        (BACKBONES, "example", ExampleLoader),
    ],
)
def test_parts_of_other_packages_are_found_by_their_entry_points(kinds, name, part):
    assert name in kinds.names()
    assert kinds.get(name) is part


def test_a_part_need_not_be_installed():
    assert BACKBONES.get("pvbench_example:ExampleLoader") is ExampleLoader


@pytest.mark.parametrize(
    ("kinds", "wrong", "expected"),
    [
        (
            METHODS,
            "personalvido",
            r"unknown method 'personalvido' \(did you mean 'personalvideo'\?\); installed: base, ",
        ),
        (BACKBONES, "mimi", r"unknown backbone 'mimi' \(did you mean 'mini'\?\); installed: animatediff, "),
        (REWARDS, "hsp", r"unknown reward 'hsp' \(did you mean 'hps'\?\); installed: consisid, deeplab, hps, "),
    ],
)
def test_an_unknown_name_is_told_with_the_nearest(kinds, wrong, expected):
    with pytest.raises(kinds.error, match=expected):
        kinds.get(wrong)


def test_a_part_that_does_not_import_is_told(methods):
    with pytest.raises(MethodError, match=r"'broken' does not import from no_such_module:Method .*uninstall the"):
        methods(("broken", "no_such_module:Method")).get("broken")


@pytest.mark.parametrize(
    "raised", ["RuntimeError('no GPU')", "OSError('no library')", "SystemExit(3)", "KeyError('x')"]
)
def test_whatever_a_plug_in_raises_at_import_is_one_line_of_its_own(methods, raised, tmp_path, monkeypatch):
    (tmp_path / "raising.py").write_text(f"raise {raised}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    name = raised.partition("(")[0]
    with pytest.raises(MethodError, match=rf"method 'raising' does not import from raising:Method \({name}: "):
        methods(("raising", "raising:Method")).get("raising")
    with pytest.raises(ProfileError, match=rf"backbone 'raising:Loader' does not import \({name}: "):
        Registry("backbone", BackboneLoader, ProfileError).get("raising:Loader")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("pvbench_example:DriftSettings", "expected a subclass of pvbench.method.Method"),
        ("pvbench_example:Drift", "calls itself 'example_drift'"),
    ],
)
def test_a_class_that_is_something_else_is_told(methods, value, message):
    with pytest.raises(MethodError, match=message):
        methods(("other", value)).get("other")


def test_settings_without_defaults_are_told(methods, monkeypatch):
    from dataclasses import make_dataclass

    monkeypatch.setattr(Drift, "Settings", make_dataclass("Bad", [("speed", int)], frozen=True))
    with pytest.raises(MethodError, match="the setting 'speed' has no default"):
        methods(("example_drift", "pvbench_example:Drift")).get("example_drift")


def test_settings_that_are_not_a_dataclass_are_told(methods, monkeypatch):
    monkeypatch.setattr(Drift, "Settings", dict)
    with pytest.raises(MethodError, match=r"Drift\.Settings is not a dataclass"):
        methods(("example_drift", "pvbench_example:Drift")).get("example_drift")


def test_a_missing_attribute_is_told(methods, monkeypatch):
    monkeypatch.delattr(Stamp, "version")
    with pytest.raises(MethodError, match="lacks the class attribute version"):
        methods(("example_stamp", "pvbench_example:Stamp")).get("example_stamp")


def test_two_packages_with_one_name_are_told_when_it_is_asked_for(methods):
    installed = methods(("twin", "one:Method"), ("twin", "other:Method"), ("example_drift", "pvbench_example:Drift"))
    assert installed.names() == ("example_drift", "twin")
    assert installed.get("example_drift") is Drift
    with pytest.raises(MethodError, match="two installed packages bring a method 'twin': one:Method and other:Method"):
        installed.get("twin")


def test_one_package_that_is_listed_twice_is_one(methods):
    twice = methods(("example_drift", "pvbench_example:Drift"), ("example_drift", "pvbench_example:Drift"))
    assert twice.get("example_drift") is Drift


def test_a_profile_names_its_backbone_and_where_it_is_wrong():
    from dataclasses import replace

    from pvbench.backbone import backbone_loader
    from pvbench.profile import load_profile

    profile = replace(load_profile("mini"), backbone={"kind": "mimi"})
    with pytest.raises(ProfileError, match=r"profile 'mini' \[backbone\]: unknown backbone 'mimi'"):
        backbone_loader(profile)
