"""Renders look-alikes of the world's people and keeps what the scoring recogniser makes of their photos."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pvbench.digest import stable_seed
from pvbench.evaluator import Evaluators, FeaturePlan
from pvbench.identity import SPLITS, Identity, load_identities, split_root
from pvbench.profile import load_profile
from pvbench.weights import signature, weights_folder, write_manifest
from pvbench.world.foils import COUNT, FILE, FOLDER, RECOGNISERS, write_foils

if TYPE_CHECKING:
    from pvbench.world.figure import Figure
    from pvbench.world.person import Person

_PHOTOS = 5
_SOURCES = {"foils/face": "reference/face"}


def look_alikes(person: Person, name: str, sliders: list[str]) -> Iterator[Person]:
    """Strangers of the person's class noun, with the person's look, skin and eyes."""
    from pvbench.world.person import look_alike_of, sample_person

    for number in range(COUNT):
        rng = np.random.default_rng(stable_seed("foils", name, number))
        stranger = sample_person(rng, sliders, person.class_noun)
        yield replace(look_alike_of(person, stranger), age_group=person.age_group)


def make_foils(figure: Figure, profile_name: str = "mini") -> Path:
    """Writes `<weights>/foils` and the manifest anew; the file's path."""
    from pvbench.world.benchmark import benchmark_person

    profile = load_profile(profile_name)
    weights = weights_folder(profile.evaluators["weights"])
    evaluators = Evaluators(FeaturePlan(profile, tuple(_SOURCES.values())), "cpu")
    people: list[Identity] = [one for split in SPLITS for one in load_identities(None, split_root(split))]
    rows: dict[str, dict[str, np.ndarray]] = {}
    for identity in people:
        person = benchmark_person(figure, identity.name)
        templates: dict[str, list[np.ndarray]] = {feature: [] for feature in _SOURCES}
        for number, other in enumerate(look_alikes(person, identity.name, figure.face_sliders())):
            made = evaluators.all("reference", _photos(figure, other, identity.name, number))
            for feature, source in _SOURCES.items():
                mean = made[source].mean(axis=0)
                templates[feature].append(mean / np.linalg.norm(mean))
        rows[identity.name] = {feature: np.stack(found) for feature, found in templates.items()}
    path = weights / FOLDER / FILE
    write_foils(
        path,
        rows,
        {identity.name: identity.scoring_digest for identity in people},
        signature(weights, *RECOGNISERS.values()),
    )
    card = {
        "what": f"the scoring recognisers' templates of {COUNT} look-alikes of each of {len(people)} people",
        "look-alikes": "strangers of the same class noun with the person's look, skin and eyes, rendered as photos",
        "photos": _PHOTOS,
        "licence": "Apache-2.0 (made from renderings of CC0 assets only)",
    }
    (path.parent / "card.json").write_text(json.dumps(card, indent=2) + "\n")
    write_manifest(weights)
    return path


def _photos(figure: Figure, person: Person, name: str, number: int) -> list[np.ndarray]:
    """Photos of a look-alike in other scenes, each looking at the camera."""
    from pvbench.world.render import Shot, render

    scenes = ("office", "beach", "library", "garden", "kitchen")
    colours = ("blue", "red", "white", "green", "black")
    return [
        render(
            figure,
            person,
            Shot("still", "neutral", scene, "T-shirt", colour),
            np.random.default_rng(stable_seed("foils", name, number, scene)),
            domain="photo",
            size=256,
        ).frames[-1]
        for scene, colour in zip(scenes[:_PHOTOS], colours, strict=True)
    ]
