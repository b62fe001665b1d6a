"""Features of a person's photos; of a folder without a card those that cannot serve are left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pvbench.errors import FaceError, counted
from pvbench.evaluator import Evaluators
from pvbench.measuring.kept import Files, make_features, read_left_out, write_left_out


def make_references(
    evaluators: Evaluators, photos: Mapping[str, np.ndarray], missing: Files, kept: Files, *, plain: bool
) -> None:
    """Writes the features of a person's photos.

    Args:
        photos: by name, RGB.
        missing: the groups to be made, and their files.
        kept: all of the photos' groups.
        plain: whether they come without a card: then photos without one face are left out, and what is wrong with them
            is kept beside the features.

    Raises:
        FaceError: a photo shows no face, or more than one; of plain ones, none of them shows one face.
        StoreError: a file cannot be written.
    """
    known = read_left_out(kept) if plain else {}
    photos = {name: photo for name, photo in photos.items() if name not in known}
    try:
        make_features(evaluators, "reference", [*photos.values()], missing, kept)
    except FaceError:
        if not plain:
            raise
        groups = [group for group, _ in missing]
        wrong = {name: why for name, photo in photos.items() if (why := _why_not(evaluators, photo, groups))}
        good = [photo for name, photo in photos.items() if name not in wrong]
        if not good:
            said = "; ".join(f"{name}: {why}" for name, why in list(wrong.items())[:3])
            raise FaceError(f"none of {counted(len(photos), 'photo')} can be used: {said}") from None
        make_features(evaluators, "reference", good, missing, kept)
        write_left_out(kept, wrong)


def _why_not(evaluators: Evaluators, photo: Any, groups: Sequence[str]) -> str:
    """Why a photo cannot serve as a reference, in words that count no photos; empty where it can."""
    try:
        for _ in evaluators.make("reference", [photo], groups):
            pass
    except FaceError as error:
        return str(error).removeprefix("reference photo 1 of 1 ")
    return ""
