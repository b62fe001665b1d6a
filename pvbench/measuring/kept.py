"""Features that are kept: found by what they were made of and by what made them, whoever asked for them."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np

from pvbench.atomic import write_text
from pvbench.evaluator import Evaluators, FeaturePlan, Thing
from pvbench.store import Store, read_features, write_features

Files = tuple[tuple[str, Path], ...]
"""Groups of features, and the file of each."""


class KeptFeatures:
    """The features of a plan in a folder.

    A group of a thing's features is one file, whose name holds the digest of the thing and that of the group, so that a
    run and `pvbench measure` find what the other has made.

    Args:
        store: where features are written.
        others: further folders that are looked into, such as that of the run whose videos are measured.
    """

    def __init__(self, plan: FeaturePlan, store: Store, others: Sequence[Store] = ()) -> None:
        self.plan, self._stores = plan, (store, *others)

    def files(self, thing: Thing, content: str, groups: Collection[str] | None = None) -> Files:
        """Where the groups of something lie, or would lie.

        Args:
            content: the digest of what they are made of.
            groups: names of groups; all of the plan by default.
        """
        return tuple(
            (group.name, self._file(thing, content, group.name))
            for group in self.plan.of(thing)
            if groups is None or group.name in groups
        )

    def _file(self, thing: Thing, content: str, group: str) -> Path:
        paths = [store.features_path(thing, content, self.plan.digests[group]) for store in self._stores]
        return next((path for path in paths if path.is_file()), paths[0])

    def missing(self, files: Files) -> Files:
        """Those that are not there, or damaged; a damaged one is to be written in the first folder."""
        return tuple((group, self._own(path)) for group, path in files if read_features(path) is None)

    def _own(self, path: Path) -> Path:
        return self._stores[0].folder.joinpath(*path.parts[-3:])

    def read(self, files: Files) -> dict[str, np.ndarray] | None:
        """All features in the files; None where one is missing or damaged."""
        found: dict[str, np.ndarray] = {}
        for _, path in files:
            features = read_features(path)
            if features is None:
                return None
            found.update(features)
        return found


def make_features(evaluators: Evaluators, thing: Thing, given: object, wanted: Files, kept: Files) -> None:
    """Writes the groups of one thing's features, each as soon as it is made, so that it is kept if the next one fails.

    Args:
        given: a `Video`, photos, or a text.
        wanted: the groups to be made, and their files.
        kept: all of the thing's groups, whose files are read where one that is there is needed for another.

    Raises:
        FaceError: a reference photo shows no face, or more than one.
        VideoError: an evaluator cannot see such a video.
        StoreError: a file cannot be written.
    """
    paths = dict(wanted)
    reads = {name for group in evaluators.plan.of(thing) if group.name in paths for name in group.reads}
    have: Mapping[str, np.ndarray] = {}
    if reads:
        there = [read_features(path) for group, path in kept if group not in paths]
        have = {name: array for features in there if features for name, array in features.items() if name in reads}
    for group, features in evaluators.make(thing, given, paths, have):
        write_features(paths[group], features)


def _left_out_file(kept: Files) -> Path:
    return kept[0][1].with_suffix(".json")


def write_left_out(kept: Files, wrong: Mapping[str, str]) -> None:
    """What is wrong with photos that references were made without, by their names, is kept beside the features."""
    write_text(_left_out_file(kept), json.dumps(dict(wrong), indent=1) + "\n")


def read_left_out(kept: Files) -> dict[str, str]:
    """What is wrong with photos that references were made without, by their names."""
    try:
        found = json.loads(_left_out_file(kept).read_text())
    except (OSError, ValueError, IndexError):
        return {}
    return found if isinstance(found, dict) else {}
