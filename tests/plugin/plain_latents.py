"""A backbone that can be tuned and whose latents are its frames: nine weights, and a video in milliseconds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from pvbench.backbones.noise import correlated
from pvbench.backbones.stepped import SteppedBackbone
from pvbench.backbones.steps import FlowSteps
from pvbench.latent_backbone import IDENTITY, STYLE, Side
from pvbench.profile import Profile
from pvbench.words import Words


@dataclass
class Lora:
    """An adapter of the nine weights."""

    down: nn.Parameter
    up: nn.Parameter
    scale: float = 1.0


class PlainLatents(SteppedBackbone):
    """Follows a velocity that mixes the colours of the latent and adds one that the text says."""

    targets: Mapping[str, str] = {"mix": "mix"}
    schedule = FlowSteps.of(4, 1.0)

    def __init__(self, profile: Profile, device: str) -> None:
        self.sampling, self.signature = profile.sampling, {"kind": "plain"}
        self.device = torch.device(device)
        self.mix = torch.tensor([[0.6, 0.3, 0.0], [0.0, 0.6, 0.3], [0.3, 0.0, 0.6]])
        self.loras: dict[tuple[Side, str], Lora] = {}
        self._off: set[tuple[Side, str]] = set()
        self._known: dict[str, Words] = {}

    def encode(self, text: str, tokens: Any = None) -> Words:
        if text not in self._known:
            counts = torch.tensor([text.count(letter) for letter in "aon"]).float()
            self._known[text] = Words(text, {"colour": counts / 10})
        return self._known[text]

    def weights(self, side: Side) -> Tensor:
        found = self.mix
        for place, lora in self.loras.items():
            if place[0] == side and place not in self._off:
                found = found + lora.scale * lora.up @ lora.down
        return found

    def predict(self, latent: Tensor, step: int, words: Words, side: Side = "video") -> Tensor:
        mixed = torch.einsum("oc,ncthw->nothw", self.weights(side), latent)
        return mixed + words.tensors["colour"].view(1, 3, 1, 1, 1)

    def latent_shape(self, side: Side = "video") -> tuple[int, int, int, int]:
        return 3, self.sampling.frames if side == "video" else 1, self.sampling.height, self.sampling.width

    def noise(self, seed: int, side: Side = "video", correlation: float = 0.0) -> Tensor:
        shape = (1, *self.latent_shape(side))
        return correlated(torch.randn(shape, generator=torch.Generator().manual_seed(seed)), correlation)

    def encode_images(self, images: Tensor) -> Tensor:
        return images.unsqueeze(2)

    def errors(
        self, latents: Tensor, words: Sequence[Words], generator: torch.Generator, side: Side = "image"
    ) -> Tensor:
        noise = torch.randn(latents.shape, generator=generator)
        pairs = zip(latents.split(1), noise.split(1), words, strict=True)
        found = [self.predict((one + own) / 2, 2, of_one, side) - (own - one) for one, own, of_one in pairs]
        return torch.cat(found).square()

    @property
    def frame_groups(self) -> tuple[tuple[int, ...], ...]:
        return tuple((frame, frame + 1) for frame in range(0, self.sampling.frames, 2))

    def decode(self, latent: Tensor, frames: Sequence[int] | None = None, side: Side = "video") -> Tensor:
        if side == "image":
            return latent[:, :, 0]
        return latent[0].transpose(0, 1)[list(range(self.sampling.frames) if frames is None else frames)]

    def add_lora(
        self, rank: int, alpha: float, targets: str, generator: torch.Generator,
        values: Mapping[str, Tensor] | None = None, side: Side = "video", name: str = IDENTITY,
    ) -> list[nn.Parameter]:  # fmt: skip
        drawn = {"down": torch.randn(rank, 3, generator=generator), "up": torch.zeros(3, rank), **(values or {})}
        lora = Lora(nn.Parameter(drawn["down"]), nn.Parameter(drawn["up"]), alpha / rank)
        self.loras[side, name] = lora
        return [lora.down, lora.up]

    def lora_values(self, side: Side = "video", name: str = IDENTITY) -> dict[str, Tensor]:
        lora = self.loras[side, name]
        return {"down": lora.down.detach().clone(), "up": lora.up.detach().clone()}

    def lora_tensors(self, alpha: float, rank: int, side: Side = "video", name: str = IDENTITY) -> dict[str, Tensor]:
        values = self.lora_values(side, name)
        return {"mix.lora_A.weight": values["down"].half(), "mix.lora_B.weight": (values["up"] * alpha / rank).half()}

    def load_lora(self, tensors: Mapping[str, Tensor], name: str = IDENTITY) -> None:
        self.load_foreign_lora(tensors, name=name)

    def load_foreign_lora(self, tensors: Mapping[str, Tensor], scale: float = 1.0, name: str = IDENTITY) -> None:
        down, up = (nn.Parameter(tensors[f"mix.lora_{which}.weight"].float(), False) for which in "AB")
        self.loras["video", name] = Lora(down, up, scale)

    def remove_lora(self, side: Side | None = None, name: str | None = None) -> None:
        for place in list(self.loras):
            if side in (None, place[0]) and (place[1] == name if name else place[1] != STYLE):
                del self.loras[place]

    @contextmanager
    def without_lora(self, side: Side = "video", name: str = IDENTITY) -> Iterator[None]:
        self._off.add((side, name))
        yield
        self._off.remove((side, name))
