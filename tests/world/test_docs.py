"""The pages on the world and its models name what the code has."""

import json
import re
from pathlib import Path

import pytest

from pvbench.weights import weights_folder
from pvbench.world.vocabulary import LABELS
from workshop.commands import _MODELS, app
from workshop.pack import MODELS

DOCS = Path(__file__).parents[2] / "docs"
WORLD, PAGE = ((DOCS / f"{name}.md").read_text(encoding="utf-8") for name in ("world", "models"))
PLAIN = " ".join(WORLD.split())


@pytest.mark.parametrize(
    "label", ["action", "expression", "scene", "clothes", "colour", "hair", "hair_colour", "beard", "glasses"]
)
def test_the_worlds_page_names_every_value(label):
    for value in LABELS[label]:
        assert re.search(rf"\b{value}\b", PLAIN), value


def test_the_worlds_page_lists_every_command():
    commands = {command.name or command.callback.__name__ for command in app.registered_commands}
    assert set(re.findall(r"^\| `python -m workshop (\w+)` \|", WORLD, re.MULTILINE)) == commands


def test_trainings_that_the_pages_name_exist():
    named = set(re.findall(r"python -m workshop train ([a-z-]+)", WORLD + PAGE))
    assert named
    assert named <= set(_MODELS)


FIRST = ("face-adapter-pictures", "face-control-pictures")
"""First stages of two trainings: of them the card of the second one tells."""


@pytest.mark.parametrize("model", _MODELS)
def test_the_help_says_what_a_training_costs_at_the_pace_of_its_card(model):
    from workshop.train import (
        autoencoder,
        clip,
        face_adapter,
        face_control,
        face_detector,
        face_recogniser,
        head,
        image_encoder,
        motion,
        segmenter,
        style,
        style_reader,
        text_to_image,
        video_encoder,
    )

    plans = {
        "vae": autoencoder.PLAN,
        "text-to-image": text_to_image.PLAN,
        "motion": motion.PLAN,
        "face-detector": face_detector.DETECTOR_PLAN,
        "segmenter": segmenter.SEGMENTER_PLAN,
        "face-image-encoder": image_encoder.PLAN,
        "face-adapter-pictures": face_adapter.PICTURES_PLAN,
        "face-adapter": face_adapter.VIDEOS_PLAN,
        "face-control-pictures": face_control.PICTURES_PLAN,
        "face-control": face_control.VIDEOS_PLAN,
        "head-recogniser": head.HEAD_PLAN,
        "look-reader": head.LOOK_PLAN,
        "video-encoder": video_encoder.PLAN,
        "style-reader": style_reader.PLAN,
        "style-cartoon": style.PLAN,
        "style-sketch": style.PLAN,
    }
    plan = plans.get(model, clip.PLAN if model.startswith("clip") else face_recogniser.RECOGNISER_PLAN)
    folders = {"text-to-image": "unet", "motion": "motion_adapter"}
    folder = folders.get(model, model.replace("-", "_"))
    card = json.loads((weights_folder("mini") / folder.removesuffix("_pictures") / "card.json").read_text())
    if model in FIRST:
        (card,) = card["earlier_stages"]
    device = "two cores" if "2 thread(s)" in card["hardware"] else "one core"
    if not card["hardware"].startswith("CPU"):
        device, plan = "an H200", {"text-to-image": text_to_image, "motion": motion}[model].GPU_PLAN
    number, unit = re.search(rf"about (\d+) (minutes|hours) on {device}", _MODELS[model]).groups()
    hours = float(number) / (60 if unit == "minutes" else 1)
    assert hours == pytest.approx(card["hours"] / card["steps"] * plan.steps, rel=0.15)


def test_the_models_page_lists_every_packed_model():
    listed = re.findall(r"^\| `([a-z_]+)` \|", PAGE.split("## Files")[0], re.MULTILINE)
    assert sorted(listed) == sorted(MODELS)


def test_the_models_page_says_what_the_cards_measure():
    explained = PAGE.split("## Cards")[1].split("## Licence")[0]
    folder = weights_folder("mini")
    for path in sorted(folder.glob("*/card.json")):
        for name in json.loads(path.read_text()).get("quality_on_held_out_people", ()):
            assert f"`{name}`" in explained, (path, name)


@pytest.mark.parametrize("page", ["world", "models", "features"])
def test_pages_link_to_files_that_are_there_and_name_code_that_is_there(page):
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    for link in re.findall(r"\]\((?!http)([^)#]+)", text):
        assert (DOCS / link).is_file(), link
    for file in re.findall(r"`((?:pvbench|benchmarks)/[\w/]+\.py)`", text):
        assert (DOCS.parent / file).is_file(), file
    assert max(len(line) for line in text.splitlines() if not line.startswith("|")) <= 120
