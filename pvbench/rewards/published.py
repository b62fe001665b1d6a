"""Rewards whose weights others published, by checkpoints of the user's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pvbench.digest import file_digest
from pvbench.errors import ProfileError, WeightsError
from pvbench.machine.devices import torch_device
from pvbench.profile import Profile
from pvbench.reward import RewardLoader, Role

if TYPE_CHECKING:
    from pvbench.rewards.semantic import PreferenceReward


class HpsLoader(RewardLoader):
    """HPSv2 by its checkpoint, 2.0 or 2.1: the paper's semantic reward, in full precision.

    Lines of a profile's `[rewards]`:
        hps: path of the checkpoint.
        hps_model: open_clip's name of the network that the checkpoint holds; ViT-H-14 by default.
    """

    name: ClassVar[str] = "hps"
    summary: ClassVar[str] = "HPSv2, the paper's semantic reward, by its checkpoint"
    role: ClassVar[Role] = "semantic"

    @classmethod
    def signature(cls, profile: Profile) -> Mapping[str, Any]:
        """The network's name and the checkpoint's digest."""
        path, model = cls._files(profile)
        if not path.is_file():
            raise WeightsError(
                f"profile {profile.name!r} [rewards]: there is no file {path}; set hps to the checkpoint's path"
            )
        return {"model": model, "sha256": file_digest(path)}

    @classmethod
    def judges(cls, profile: Profile) -> frozenset[str]:
        """The checkpoint."""
        return frozenset({str(cls.signature(profile)["sha256"])})

    @classmethod
    def load(cls, profile: Profile, device: str) -> PreferenceReward:
        """The reward on a device.

        Raises:
            WeightsError: the checkpoint is missing, damaged, would run code, or does not fit the model.
        """
        from pvbench.features.published.open_clip_model import load_open_clip
        from pvbench.rewards.semantic import HpsModel, PreferenceReward

        path, model = cls._files(profile)
        return PreferenceReward(HpsModel(load_open_clip(model, path, torch_device(device))))

    @classmethod
    def _files(cls, profile: Profile) -> tuple[Path, str]:
        path, model = profile.rewards.get("hps"), profile.rewards.get("hps_model", "ViT-H-14")
        if not isinstance(path, str) or not isinstance(model, str):
            raise ProfileError(
                f"profile {profile.name!r} [rewards]: hps is {path!r} and hps_model {model!r}; expected the path of "
                f"HPSv2's checkpoint and a name of open_clip's"
            )
        return Path(path).expanduser(), model
