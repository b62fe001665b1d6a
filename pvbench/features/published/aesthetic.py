"""LAION's aesthetic predictors on CLIP ViT-L/14, as VBench and OpenS2V-Eval call them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from jaxtyping import Float32

from pvbench.errors import WeightsError
from pvbench.evaluator import Evaluator, FeatureGroup, Features
from pvbench.features.published.settings import PublishedPart, settings_of
from pvbench.profile import Profile

if TYPE_CHECKING:
    from torch import Tensor

    from pvbench.features.published.open_clip_model import OpenClip

OPENS2V_FRAMES = 32


def opens2v_places(total: int) -> list[int]:
    """The places of OpenS2V's frames, from the first to the last; a shorter video has some of them twice."""
    return [int(place) for place in np.linspace(0, total - 1, OPENS2V_FRAMES)]


class AestheticClip(Evaluator):
    """CLIP on the frames of either script, prepared as either prepares them.

    Source: Vchitect/VBench@11d473b aesthetic_quality.py (all frames) and PKU-YuanGroup/OpenS2V-Nexus@d19c2ce
    eval/get_aesscore.py (32 frames).
    """

    def __init__(self, network: OpenClip) -> None:
        self.network = network

    def make(self, group: str, given: Any, have: Features) -> Features:
        """Embeddings of unit length, (T, E) of all frames or (32, E)."""
        if group == "vbench_clip":
            return {"vbench/clip": self.network.vbench_frames(given.frames)}
        return {"opens2v/clip": self.network.frames(given.frames[opens2v_places(len(given.frames))])}


class AestheticClipLoader(PublishedPart):
    """Loads the CLIP below both predictors, whichever one the profile scores with otherwise."""

    name: ClassVar[str] = "aesthetic_clip"
    summary: ClassVar[str] = "OpenAI's CLIP ViT-L/14 as VBench and OpenS2V-Eval call it for aesthetics"
    part: ClassVar[str] = "aesthetic_clip"
    groups: ClassVar[tuple[FeatureGroup, ...]] = (
        FeatureGroup("vbench_clip", "video", ("vbench/clip",), on_demand=True),
        FeatureGroup("opens2v_clip", "video", ("opens2v/clip",), on_demand=True),
    )
    option: ClassVar[str] = "aesthetic_clip"
    memory_gib: ClassVar[float] = 3.0

    @classmethod
    def facts(cls, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        """Network, preparation and frames."""
        return {
            "model": f"{settings[cls.part]}-quickgelu",
            "vbench": "short side, bicubic without a filter, centre crop; all frames",
            "opens2v": f"short side, bicubic, centre crop; {OPENS2V_FRAMES} frames",
        }

    @classmethod
    def load(cls, profile: Profile, device: str) -> AestheticClip:
        """The evaluator on a device."""
        from pvbench.features.published.open_clip_model import load_open_clip
        from pvbench.machine.devices import torch_device

        model = str(cls.facts(settings_of(profile))["model"])
        return AestheticClip(load_open_clip(model, cls.weights(profile), torch_device(device)).pack())


class Head(Evaluator):
    """Layers that follow one another, without anything between them, on embeddings of unit length.

    Attributes:
        reads, makes: names of the embeddings and of the scores.
        layers: weights (out, in) and offsets (out,), the first layer first; the last has one output.
    """

    def __init__(self, reads: str, makes: str, layers: list[tuple[Tensor, Tensor]]) -> None:
        self.reads, self.makes, self.layers = reads, makes, layers

    def make(self, group: str, given: Any, have: Features) -> Features:
        """A score (T,) of each frame, about 1 to 10.

        Raises:
            WeightsError: the embeddings are not of the length that the predictor was trained on.
        """
        import torch
        from torch.nn import functional

        found, wanted = torch.from_numpy(np.array(have[self.reads])), self.layers[0][0].shape[1]
        if found.shape[1] != wanted:
            raise WeightsError(
                f"the aesthetic predictor takes embeddings of length {wanted}, CLIP ViT-L/14's; those of the network "
                f"that aesthetic_clip names have {found.shape[1]}"
            )
        for weight, offset in self.layers:
            found = functional.linear(found, weight, offset)
        scores: Float32[np.ndarray, " frames"] = found[:, 0].numpy()
        return {self.makes: scores}


def read_layers(path: Path, names: tuple[str, ...], expected: str) -> list[tuple[Tensor, Tensor]]:
    """The layers of a predictor's file by the names that they have there.

    Raises:
        WeightsError: the file is damaged, or holds another network.
    """
    from pvbench.weights.checkpoint import read_checkpoint

    state = read_checkpoint(path, expected)
    wanted = [f"{name}{kind}" for name in names for kind in ("weight", "bias")]
    if sorted(state) != sorted(wanted):
        raise WeightsError(f"{path} holds {', '.join(sorted(state)[:4])}; expected {expected}: {', '.join(wanted)}")
    layers = [(state[f"{name}weight"].float(), state[f"{name}bias"].float()) for name in names]
    sizes = [tuple(weight.shape) for weight, _ in layers]
    outputs = [size[0] for size in sizes]
    follow = all(len(size) == 2 for size in sizes) and [size[1] for size in sizes[1:]] == outputs[:-1]
    if not follow or outputs[-1] != 1 or [tuple(offset.shape) for _, offset in layers] != [(out,) for out in outputs]:
        raise WeightsError(f"{path} has layers of {sizes}; expected {expected}, whose last layer has one output")
    return layers


class AestheticLoader(PublishedPart):
    """Loads LAION's linear predictor."""

    name: ClassVar[str] = "laion_aesthetic"
    summary: ClassVar[str] = "LAION's linear aesthetic predictor, as VBench calls it"
    part: ClassVar[str] = "aesthetic"
    groups: ClassVar[tuple[FeatureGroup, ...]] = (
        FeatureGroup("vbench_aesthetic", "video", ("vbench/aesthetic",), reads=("vbench/clip",), on_demand=True),
    )
    option: ClassVar[str] = "aesthetic"
    memory_gib: ClassVar[float] = 1.0

    @classmethod
    def load(cls, profile: Profile, device: str) -> Head:
        """The evaluator; a single layer, on the CPU."""
        layers = read_layers(cls.weights(profile), ("",), "sa_0_4_vit_l_14_linear.pth")
        return Head("vbench/clip", "vbench/aesthetic", layers)


class OpenS2VAestheticLoader(PublishedPart):
    """Loads the improved aesthetic predictor, five layers of which none bends anything."""

    name: ClassVar[str] = "opens2v_aesthetic"
    summary: ClassVar[str] = "the improved aesthetic predictor, as OpenS2V-Eval calls it"
    part: ClassVar[str] = "opens2v_aesthetic"
    groups: ClassVar[tuple[FeatureGroup, ...]] = (
        FeatureGroup("opens2v_aesthetic", "video", ("opens2v/aesthetic",), reads=("opens2v/clip",), on_demand=True),
    )
    option: ClassVar[str] = "opens2v_aesthetic"
    memory_gib: ClassVar[float] = 1.0

    @classmethod
    def load(cls, profile: Profile, device: str) -> Head:
        """The evaluator; five small layers, on the CPU."""
        # Between them were layers that drop out in training alone.
        names = tuple(f"layers.{number}." for number in (0, 2, 4, 6, 7))
        layers = read_layers(cls.weights(profile), names, "aesthetic-model.pth of OpenS2V")
        return Head("opens2v/clip", "opens2v/aesthetic", layers)
