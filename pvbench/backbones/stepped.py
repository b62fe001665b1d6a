"""Backbones that walk a list of noise levels by index: what a step does is the schedule's, what is predicted theirs."""

from __future__ import annotations

from abc import abstractmethod
from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from pvbench.latent_backbone import LatentBackbone, Side
from pvbench.words import Words


@runtime_checkable
class Steps(Protocol):
    """Denoising steps by index, the noisiest first; see `DdimSteps` and `FlowSteps`."""

    def __len__(self) -> int: ...

    def level(self, step: int) -> float:
        """Share of the noise in the amplitude of the latent that a step is given, from 0 to 1; 0 after the last."""

    def next(self, output: Float[Tensor, "*s"], step: int, latent: Float[Tensor, "*s"]) -> Float[Tensor, "*s"]:
        """The latent that the next step is given; after the last step, what comes out."""

    def clean(self, output: Float[Tensor, "*s"], step: int, latent: Float[Tensor, "*s"]) -> Float[Tensor, "*s"]:
        """The noiseless latent that a model's output in a step predicts."""

    def noised(self, clean: Float[Tensor, "*s"], step: int, noise: Float[Tensor, "*s"]) -> Float[Tensor, "*s"]:
        """A noiseless latent with as much noise as a step is given."""


class SteppedBackbone(LatentBackbone):
    """A model whose output at a step is all that a schedule needs for the next latent."""

    @property
    @abstractmethod
    def schedule(self) -> Steps:
        """The noise levels of the steps, and what one step does to a latent."""

    @abstractmethod
    def predict(
        self, latent: Float[Tensor, "n c t h w"], step: int, words: Words, side: Side = "video"
    ) -> Float[Tensor, "n c t h w"]:
        """The model's output at a step, guidance included."""

    @property
    def steps(self) -> int:
        """The number of denoising steps."""
        return len(self.schedule)

    def level(self, step: int) -> float:
        """Share of the noise in the amplitude of the latent that a step is given, from 0 to 1; 0 after the last."""
        return self.schedule.level(step)

    def denoise(
        self,
        latent: Float[Tensor, "n c t h w"],
        words: Words,
        first: int = 0,
        last: int | None = None,
        side: Side = "video",
    ) -> Float[Tensor, "n c t h w"]:
        """The latent after steps `first` up to, not including, `last`; by default all."""
        for step in range(first, self.steps if last is None else last):
            latent = self.schedule.next(self.predict(latent, step, words, side), step, latent)
        return latent

    def clean(
        self, latent: Float[Tensor, "n c t h w"], words: Words, first: int, last: int, side: Side = "video"
    ) -> Float[Tensor, "n c t h w"]:
        """The noiseless latent that step `last - 1` predicts, the steps from `first` taken before it."""
        latent = self.denoise(latent, words, first, last - 1, side)
        return self.schedule.clean(self.predict(latent, last - 1, words, side), last - 1, latent)

    def noised(
        self, latent: Float[Tensor, "n c t h w"], step: int, noise: Float[Tensor, "n c t h w"]
    ) -> Float[Tensor, "n c t h w"]:
        """A noiseless latent with as much of `noise` as a step is given."""
        return self.schedule.noised(latent, step, noise)
