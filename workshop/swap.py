"""Swapped photos: with another person's photos in a person's cells, whom do the videos show?

    python -m workshop.swap id_animator consisid --prompts 2
    python -m workshop.swap magicme --adapters runs/mini

Of each person's cells, class noun, prompt and noise stay; the photos (of a method that tunes: the adapter of a finished
run) are those of the next person with the same noun. A row that reads its photos shows the person of the photos. One
that shows the person of the cell has looked them up elsewhere: a leak. Nothing is chosen by it.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pvbench.backbone import load_backbone
from pvbench.errors import PvbenchError
from pvbench.features.mini.face_extractor import FaceExtractor, load_detector, load_recogniser
from pvbench.identity import Identity, load_identities
from pvbench.machine.devices import torch_device
from pvbench.method import METHODS, Adapter, load_adapter, request_for
from pvbench.pixels import resize_photo
from pvbench.profile import Profile, load_profile
from pvbench.prompt import load_prompts
from pvbench.stats import sign_flip_greater_p
from pvbench.store import Store
from pvbench.variant import Variant, parse_variant, settings_of
from pvbench.weights import weights_folder


@dataclass(frozen=True)
class Swapped:
    """What a row showed in swapped cells.

    Attributes:
        photos: share of the videos that are nearest, of all people, to the person of the photos; `cell`: to the person
            of the cell.
        chance: one in as many as there are people.
        p: of `photos` being no more than three times chance, by sign flips over people.
    """

    videos: int
    photos: float
    cell: float
    chance: float
    p: float


def partners(people: Sequence[Identity]) -> dict[str, Identity]:
    """For each person the next one of the same class noun.

    Raises:
        PvbenchError: a person is the only one of a class noun.
    """
    found = {}
    for i, person in enumerate(people):
        others = [other for other in (*people[i + 1 :], *people[:i]) if other.class_noun == person.class_noun]
        if not others:
            raise PvbenchError(f"{person.name} is the only {person.class_noun}: there is nobody to swap photos with")
        found[person.name] = others[0]
    return found


def nearest(faces: NDArray[np.float32], templates: Mapping[str, NDArray[np.float32]]) -> str:
    """The person whose template the frames' faces (T, D) resemble most; rows of NaN, without a face, do not count."""
    seen = faces[np.isfinite(faces).all(axis=1)]
    if not len(seen):
        return ""
    names = list(templates)
    similar = seen.mean(axis=0) @ np.stack([templates[name] for name in names]).T
    return names[int(similar.argmax())]


def summed_up(people: Sequence[str], shown: Sequence[str], photos: Sequence[str], total: int) -> Swapped:
    """The shares of one row.

    Args:
        people: of the cells; `photos`: whose photos stood there; `shown`: whom the video resembles.
        total: how many people there are to resemble.
    """
    right = np.array([who == whose for who, whose in zip(shown, photos, strict=True)], float)
    own = np.array([who == whose for who, whose in zip(shown, people, strict=True)], float)
    names = list(dict.fromkeys(people))
    means = np.array([right[[name == person for person in people]].mean() for name in names])
    p = sign_flip_greater_p(means - 3 / total, np.random.default_rng(0))
    return Swapped(len(right), float(right.mean()), float(own.mean()), 1 / total, float(p))


def _adapter(folder: Path | None, variant: Variant, person: Identity) -> Adapter | None:
    """The adapter of a person in a finished run.

    Raises:
        PvbenchError: there is none, or more than one.
    """
    if not METHODS.get(variant.method).tunes:
        return None
    there = Store(folder).adapter_path("", variant.tuned.label, person.name).parent if folder else Path()
    files = there.iterdir() if folder and there.is_dir() else ()
    found = [path for path in files if re.fullmatch(rf"{re.escape(person.name)}-[0-9a-f]+\.safetensors", path.name)]
    if len(found) != 1:
        raise PvbenchError(
            f"{variant.label} tunes, and {folder or 'no folder (--adapters)'} holds {len(found)} adapters of "
            f"{person.name}; expected one: name the folder of a run of this row"
        )
    return load_adapter(found[0])


def swap(row: str, profile: Profile, people: Sequence[Identity], prompts: int, adapters: Path | None = None) -> Swapped:
    """What a row shows in swapped cells of a profile's evaluation prompts, on the CPU."""
    variant, device = parse_variant(row), torch_device("cpu")
    if variant.style:
        raise PvbenchError(f"{variant.label} is drawn in a style, which is not measured here; leave the style out")
    cls = METHODS.get(variant.method)
    method = cls(settings_of(variant, profile), load_backbone(profile, "cpu"), profile)
    if not profile.is_miniature:
        raise PvbenchError(
            f"profile {profile.name!r}: [evaluators] kind is {profile.evaluators['kind']!r}; here judge those of the "
            f"miniature world: name a profile that has them"
        )
    folder = weights_folder(profile.evaluators["weights"])
    judge = FaceExtractor(load_detector(folder, device), load_recogniser(folder, "scoring", device), device)
    size = profile.sampling.height, profile.sampling.width
    templates = {
        person.name: judge.reference([resize_photo(photo, *size) for photo in person.scoring_photos()]).embedding.mean(
            axis=0
        )
        for person in people
    }
    chosen = load_prompts(profile.prompts.evaluation).prompts[:prompts]
    cells, shown, photos = [], [], []
    for person, other in ((person, partners(people)[person.name]) for person in people):
        mixed = replace(person, images=other.images, captions=other.captions)
        requests = [request_for(person, prompt, 0) for prompt in chosen]
        for video in method.generate(mixed, _adapter(adapters, variant, other), requests):
            cells.append(person.name)
            photos.append(other.name)
            shown.append(nearest(judge(video.frames).embedding, templates))
        print(f"{row}: {person.name} with the photos of {other.name}: {shown[-len(requests) :]}", flush=True)
    return summed_up(cells, shown, photos, len(people))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="+", help="methods, with settings if wanted")
    parser.add_argument("--profile", default="mini")
    parser.add_argument("--prompts", type=int, default=2, help="so many first prompts")
    parser.add_argument("--people", type=int, default=20, help="so many first people")
    parser.add_argument("--adapters", type=Path, help="folder of a finished run, for methods that tune")
    parser.add_argument("--out", type=Path, help="JSON to write")
    given = parser.parse_args()
    people = load_identities()[: given.people]
    found = {}
    for row in given.rows:
        found[row] = asdict(swap(row, load_profile(given.profile), people, given.prompts, given.adapters))
        print(row, found[row], flush=True)
        if given.out:
            given.out.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
