"""What `pvbench list` shows: everything that is installed, and what is wrong with what cannot be used."""

import io

import pytest
from rich.console import Console

from pvbench.ablation.study import shipped_studies
from pvbench.backbone import BACKBONES
from pvbench.errors import PvbenchError
from pvbench.evaluator import EVALUATORS
from pvbench.identity import SPLITS, load_identities, split_root
from pvbench.listing import listing
from pvbench.method import METHODS
from pvbench.metrics import METRICS, SETS
from pvbench.profile import list_profiles, load_profile
from pvbench.prompt import load_prompts
from pvbench.reward import REWARDS
from pvbench.runner.selection import scored_prompts

REGISTRIES = {
    "methods": METHODS,
    "metrics": METRICS,
    "backbones": BACKBONES,
    "rewards": REWARDS,
    "evaluators": EVALUATORS,
}


def cells(what, profile="mini", split=SPLITS[0]):
    """The cells of a listing by the names in its first column, without colours."""
    table = listing(what, profile, split)
    columns = [[Console().render_str(str(cell)).plain for cell in column.cells] for column in table.columns]
    return {name: rest for name, *rest in zip(*columns, strict=True)}


@pytest.mark.parametrize("what", REGISTRIES)
def test_every_installed_part_has_a_row_of_full_cells(what):
    found = cells(what)
    assert list(found) == list(REGISTRIES[what].names())
    assert all(row[0] for row in found.values())


@pytest.mark.parametrize("what", REGISTRIES)
def test_a_part_that_cannot_be_used_is_listed_with_what_is_wrong(monkeypatch, what):
    registry = REGISTRIES[what]
    names, get = registry.names(), registry.get

    def broken(name, where=""):
        if name == "broken[part]":
            raise PvbenchError("needs a [library] that is not there")
        return get(name, where)

    monkeypatch.setattr(registry, "names", lambda: (*names, "broken[part]"))
    monkeypatch.setattr(registry, "get", broken)
    found = cells(what)
    assert found["broken[part]"][0] == "needs a [library] that is not there"
    assert set(names) < set(found)


def test_profiles_and_studies_that_ship_are_listed():
    assert set(cells("profiles")) == set(list_profiles())
    assert set(cells("studies")) == {study.name for study in shipped_studies().values()}


def test_a_profile_is_told_with_its_video_and_its_grid():
    sampling, grid = load_profile("mini").sampling, load_profile("mini").grid
    _, backbone, video, shown = cells("profiles")["mini"]
    assert backbone == "mini"
    assert video == f"{sampling.frames} frames of {sampling.width}x{sampling.height} at {sampling.fps:g} a second"
    assert shown == f"{grid.identities} identities x {grid.prompts} prompts x {len(grid.seeds)} seeds"


@pytest.mark.parametrize("split", SPLITS)
def test_people_and_prompts_are_those_of_the_split(split):
    people = cells("identities", split=split)
    assert list(people) == [one.name for one in load_identities(None, split_root(split))]
    assert all(noun in ("man", "woman") and int(images) > 0 for noun, images, *_ in people.values())
    prompts = load_prompts(scored_prompts(load_profile("mini"), split)).prompts
    assert {name: text for name, (text, _) in cells("prompts", split=split).items()} == {p.id: p.text for p in prompts}


def test_settings_are_told_with_their_defaults_and_choices():
    found = cells("methods")
    assert "side=right | left" in found["example_drift"][2].splitlines()
    assert found["base"][1] == "no"
    assert found["dreambooth_lora"][1] == "yes"
    assert any(line.startswith("rank=") for line in found["dreambooth_lora"][2].splitlines())


def test_a_method_is_listed_with_what_the_profile_lacks_for_it():
    assert "(asks for " in cells("methods", "hunyuan")["ip_adapter_face"][0]
    assert "(asks for " not in cells("methods", "mini")["base"][0]


def test_metrics_are_told_with_a_unit_and_a_direction_for_each_number():
    for name, (columns, units, better, _) in cells("metrics").items():
        numbers = columns.removesuffix("\n(only where named)").splitlines()
        assert len(numbers) == len(better.splitlines()), name
        assert len(numbers) == len(units.split("\n")), name
        assert set(better.splitlines()) <= {"higher", "lower"}
    assert "(only where named)" not in cells("metrics")["face_sim"][0]
    assert "(only where named)" in cells("metrics")["warping_error"][0]


def test_names_for_several_metrics_stand_below_them():
    caption = str(listing("metrics", "mini").caption)
    assert [name for name in SETS if f"\n{name}: {SETS[name][0]}" not in caption] == []


def test_a_narrow_terminal_cuts_no_name():
    out = io.StringIO()
    Console(file=out, width=60).print(listing("methods", "mini"))
    printed = out.getvalue()
    assert all(name in printed for name in METHODS.names())
