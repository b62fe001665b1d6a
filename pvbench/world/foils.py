"""Look-alikes of the world's people, for a line-up that their hair and skin alone do not decide."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pvbench.digest import digest
from pvbench.errors import WeightsError
from pvbench.identity import Identity
from pvbench.profile import Profile
from pvbench.weights import manifest, signature, verified, weights_folder

FOLDER, FILE = "foils", "foils.safetensors"
COUNT = 4
"""Look-alikes of each person: strangers of the same class noun with the person's look, skin and eyes."""
RECOGNISERS: Mapping[str, str] = {"foils/face": "face_recogniser_scoring"}
"""The features that are shipped, and the network whose embeddings each holds."""


def foils_of(profile: Profile, people: Iterable[Identity]) -> dict[str, dict[str, np.ndarray]]:
    """By identity, `foils/face` (COUNT, D): unit rows, each the template of a look-alike's photos.

    Empty rows for whoever is not one of the world's people, photo for photo, and for evaluators with other weights: the
    embeddings of another recogniser say nothing here.

    Raises:
        WeightsError: the file is damaged.
    """
    shipped = _shipped(profile)
    none = {name: np.zeros((0, 1), np.float32) for name in RECOGNISERS}
    return {one.name: shipped.get((one.name, one.scoring_digest), none) for one in people}


def _shipped(profile: Profile) -> dict[tuple[str, str], dict[str, np.ndarray]]:
    name = profile.evaluators.get("weights")
    if not profile.is_miniature or not isinstance(name, str):
        return {}
    folder = weights_folder(name)
    if f"{FOLDER}/{FILE}" not in manifest(folder):
        return {}
    return read_foils(verified(folder, FOLDER) / FILE, signature(folder, *RECOGNISERS.values()))


def read_foils(path: Path, weights: Mapping[str, str]) -> dict[tuple[str, str], dict[str, np.ndarray]]:
    """By name of an identity and digest of its photos, the rows of each feature whose network is the one at hand.

    Args:
        weights: digests of the recognisers.

    Raises:
        WeightsError: the file is no such file.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            told = json.loads((file.metadata() or {})["pvbench"])
            arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (no iterator)
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise WeightsError(f"{path} holds no look-alikes: {error}; restore it or make it again") from error
    found = {}
    for person, photos in told["people"].items():
        rows = {
            feature: arrays[f"{person}:{feature}"]
            for feature, network in RECOGNISERS.items()
            if told["weights"].get(network) == weights[network]
        }
        if len(rows) == len(RECOGNISERS):
            found[person, photos] = rows
    return found


def write_foils(
    path: Path, rows: Mapping[str, Mapping[str, np.ndarray]], people: Mapping[str, str], weights: Mapping[str, str]
) -> None:
    """Writes the rows of each person; the same rows give the same bytes.

    Args:
        rows: by identity and feature (COUNT, D).
        people: by identity, the digest of the photos that score.
        weights: digests of the recognisers.
    """
    from safetensors.numpy import save_file

    arrays: dict[str, Any] = {
        f"{person}:{feature}": np.ascontiguousarray(values, np.float32)
        for person, of_one in rows.items()
        for feature, values in of_one.items()
    }
    told = {
        "people": dict(people),
        "weights": dict(weights),
        "rows": digest({k: v.tolist() for k, v in arrays.items()}),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(arrays, path, metadata={"pvbench": json.dumps(told, sort_keys=True)})
