"""Styles in a profile: which lines there are, and what they do to prompts and keys."""

import re
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from example_inputs import EXAMPLE_PROFILE

from pvbench.backbone import BACKBONES, with_checkpoint
from pvbench.backbone import STYLES as STYLES_OFFER
from pvbench.errors import MethodError, ProfileError
from pvbench.method import METHODS
from pvbench.profile import load_profile
from pvbench.prompt import Prompt
from pvbench.style import Style, style_lines
from pvbench.world.vocabulary import STYLES


def profile_with(name="mini", **styles):
    return replace(load_profile(name), styles=styles)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("a.safetensors", r"\[styles.ink\]: expected a table with lora or checkpoint"),
        ({"lora": "a", "wrods": "inked"}, r"unknown line 'wrods' \(did you mean 'words'\?\)"),
        ({"lora": "a", "scale": 0}, "scale is 0; expected a number above 0"),
        ({"lora": "a", "scale": True}, "scale is True; expected a number"),
        ({"lora": 3}, "lora is 3; expected a text"),
        ({"words": "inked"}, "names neither a lora nor a checkpoint"),
    ],
)
def test_lines_that_cannot_be_used_are_told(lines, message):
    with pytest.raises(ProfileError, match=message):
        style_lines(profile_with(ink=lines), "ink")


def test_an_unknown_style_is_told_with_those_there_are():
    with pytest.raises(
        ProfileError, match=r"no style 'carton' \(did you mean 'cartoon'\?\); it has cartoon, sketch; a"
    ):
        style_lines(load_profile("mini"), "carton")
    with pytest.raises(ProfileError, match="profile 'wan' has no style 'cartoon'; it has none"):
        style_lines(load_profile("wan"), "cartoon")


def test_a_profile_of_another_backbone_takes_no_style_of_its_parents(tmp_path):
    (tmp_path / "child.toml").write_text('extends = "mini"\n[backbone]\nkind = "example"\n')
    (tmp_path / "same.toml").write_text('extends = "mini"\n[styles.cartoon]\nscale = 0.5\n')
    assert not load_profile(str(tmp_path / "child.toml")).styles
    assert load_profile(str(tmp_path / "same.toml")).styles["cartoon"]["scale"] == 0.5
    assert load_profile(str(tmp_path / "same.toml")).styles["cartoon"]["domain"] == "cartoon"


@pytest.mark.parametrize(
    ("text", "words", "ended"),
    [
        ("a <V> waves", "in a cartoon", "a <V> waves in a cartoon"),
        ("A <V> waves. ", "in a cartoon", "A <V> waves in a cartoon"),
        ("a <V> waves", ", flat colour", "a <V> waves, flat colour"),
        ("A <V> waves.", "", "A <V> waves."),
    ],
)
def test_a_prompt_ends_in_the_styles_words(text, words, ended):
    prompt = Prompt("wave", text, {"action": "wave"})
    assert Style("ink", words).prompt(prompt) == Prompt("wave", ended, {"action": "wave"})


def test_a_checkpoint_stands_in_the_place_of_the_base_model():
    profile = load_profile("animatediff")
    assert with_checkpoint(profile, None) is profile
    assert with_checkpoint(profile, Style("ink", lora=Path("a"))) is profile
    swapped = with_checkpoint(profile, Style("rcnz", checkpoint="rcnz.safetensors"))
    assert swapped.backbone == {**profile.backbone, "base": "rcnz.safetensors"}
    assert with_checkpoint(load_profile("mini"), Style("b", checkpoint="/w")).backbone["weights"] == "/w"
    with pytest.raises(ProfileError, match="'example' reads no weights, so that a checkpoint has no place"):
        with_checkpoint(load_profile(EXAMPLE_PROFILE), Style("rcnz", checkpoint="x"))


@pytest.mark.parametrize("name", ["still_photo", "pan_photo", "paste_face", "command"])
def test_rows_that_no_style_reaches_refuse_it(name):
    with pytest.raises(MethodError, match=f"method {name!r} (samples no backbone|pastes a photo)"):
        METHODS.get(name).check_style(Style("cartoon", domain="cartoon"))


@pytest.mark.parametrize("name", ["oracle", "retake", "other_person"])
def test_the_truth_is_drawn_in_the_renderers_styles_only(name):
    METHODS.get(name).check_style(Style("mine", domain="sketch"))
    with pytest.raises(MethodError, match="its domain is ''; name one that the renderer draws, cartoon or sketch"):
        METHODS.get(name).check_style(Style("mine"))


def test_no_method_has_a_setting_of_that_name():
    from dataclasses import dataclass

    from pvbench.method import _check_method

    @dataclass(frozen=True)
    class Settings:
        style: str = ""

    wrong = type("Wrong", (METHODS.get("base"),), {"Settings": Settings})
    with pytest.raises(MethodError, match="'style' is what any row is drawn in"):
        _check_method("wrong", wrong)


def miniature(name):
    """What a profile says of a style that the renderer draws."""
    return {"lora": f"style_{name}", "words": STYLES[name], "domain": name}


class TestPage:
    PAGE = (Path(__file__).parents[1] / "docs" / "styles.md").read_text(encoding="utf-8")

    def test_it_explains_every_line_and_its_example_can_be_read(self):
        from pvbench.style import _LINES

        lines = self.PAGE.split("\n## ")[0]
        assert set(re.findall(r"^\| `(\w+)` \|", lines, re.MULTILINE)) == set(_LINES)
        for example in self.PAGE.split("```toml\n")[1:]:
            styles = tomllib.loads(example.split("```")[0])["styles"]
            for name in styles:
                style_lines(profile_with(**styles), name)
            assert {name: STYLES[name] for name in styles if name in STYLES}
            assert all(styles[name] == miniature(name) for name in styles if name in STYLES)

    def test_words_and_domains_of_the_miniature_are_the_renderers(self):
        for name, lines in load_profile("mini").styles.items():
            assert lines == miniature(name)

    def test_it_names_the_backbones_that_take_a_style_and_links_to_pages(self):
        takes = {name for name in BACKBONES.names() if STYLES_OFFER in BACKBONES.get(name).offers}
        assert takes - {"example"} == {"mini", "animatediff", "cogvideox", "hunyuan", "wan", "wan_vace"}
        for link in re.findall(r"\]\((?!http)([^)#]+)", self.PAGE):
            assert (Path(__file__).parents[1] / "docs" / link).is_file(), link
        assert max(len(line) for line in self.PAGE.splitlines() if not line.startswith("|")) <= 120
