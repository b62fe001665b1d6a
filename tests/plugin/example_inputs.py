"""Inputs of the tests' own: people of one plain colour, and the profile that runs in a second."""

from pathlib import Path

import numpy as np
from PIL import Image

EXAMPLE_PROFILE = str(Path(__file__).parent / "example.toml")


def make_identity(
    folder: Path, name: str, class_noun: str = "woman", brightness: int = 120, images: int = 2, scoring: int = 1
) -> Path:
    """A folder with a card and plain photos, each a little brighter than the one before; the last are for scoring."""
    home = folder / name
    home.mkdir(parents=True)
    names = [f"{index}.png" for index in range(images)]
    apart = [f"{index}.png" for index in range(images, images + scoring)]
    for index, file in enumerate(names + apart):
        Image.fromarray(np.full((80, 72, 3), (brightness, 120, 100 + 10 * index), np.uint8)).save(home / file)
    (home / "card.toml").write_text(
        f'name = "{name}"\nclass_noun = "{class_noun}"\ndescription = "a plain colour"\nlicence = "CC0-1.0"\n'
        f'consent = "nobody is shown"\nsource = "made by the tests"\nimages = {names}\n'
        f"{f'scoring_images = {apart}' if apart else ''}\n"
    )
    return home


def contents(folder):
    """Everything in a run folder that two runs of the same plan have in common, by path."""
    apart = {"log.jsonl", "workers.log", ".lock", "cost.md", "cost.json", "cost.png"}
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in apart
    }


def edit(path, old, new):
    """The file with one text in place of another."""
    text = path.read_text()
    assert old in text, text
    path.write_text(text.replace(old, new))
