"""What the miniature evaluators have in common: their folder of weights, and the size that they see."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pvbench.errors import ProfileError
from pvbench.evaluator import Demands, EvaluatorLoader
from pvbench.profile import Profile
from pvbench.weights import signature as weights_signature
from pvbench.weights import weights_folder

if TYPE_CHECKING:
    from torch import nn

VERSION = 3
HEAD_SIDE, HEAD_SPREAD = 48, 1.9
"""Pixels of a side of a head's crop, and how much wider it is than a recogniser's of faces: hair and chin are in it."""


def channels_last(network: nn.Module) -> nn.Module:
    """The network with its weights in the order in which a CPU convolves small pictures fastest.

    Embeddings differ by 1e-6 from those of the other order.
    """
    import torch

    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


class MiniPart(EvaluatorLoader):
    """An evaluator out of the folder that a profile's `[evaluators] weights` names.

    Attributes:
        models: the networks' folders below it.
    """

    models: ClassVar[tuple[str, ...]]

    @classmethod
    def signature(cls, profile: Profile) -> Mapping[str, Any]:
        """Digests of the weights, and what else moves a feature."""
        _refuse_files(profile)
        weights = weights_signature(folder(profile), *cls.models)
        return {"extractor": f"mini-{cls.part}", "version": VERSION, "weights": weights, **cls.facts(profile)}

    @classmethod
    def facts(cls, profile: Profile) -> Mapping[str, Any]:
        """What moves a feature besides the weights, for the signature."""
        return {}

    @classmethod
    def demands(cls, profile: Profile) -> Demands:
        """Frames of the profile's own size."""
        return Demands(size=size(profile))


def folder(profile: Profile) -> Path:
    """The folder of the weights.

    Raises:
        WeightsError: there is no such folder.
        ProfileError: the profile names none.
    """
    name = profile.evaluators.get("weights")
    if not isinstance(name, str):
        raise ProfileError(
            f'profile {profile.name!r} [evaluators]: weights is {name!r}; expected a folder, or "mini" for the '
            f"weights that ship with pvbench"
        )
    return weights_folder(name)


def size(profile: Profile) -> tuple[int, int]:
    """Height and width of frames, to which reference photos are brought."""
    return profile.sampling.height, profile.sampling.width


def _refuse_files(profile: Profile) -> None:
    if profile.evaluators.get("files"):
        raise ProfileError(
            f"profile {profile.name!r} has its evaluators' weights in one folder; --weights NAME=PATH is for profiles "
            f"with evaluators of the kind published, such as animatediff"
        )
