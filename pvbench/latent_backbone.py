"""The interface of backbones that methods tune: words, latents, denoising steps, frames and adapters, as verbs.

Methods know no network, no scheduler, no text tensor and no folder. Latents are always (n, c, T, h, w) in float32; a
picture is a latent with T = 1, also where one network serves pictures and videos.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from pvbench.backbone import Backbone
from pvbench.digest import stable_seed
from pvbench.errors import MethodError, WeightsError
from pvbench.style import Style
from pvbench.video import Video
from pvbench.weights.checkpoint import read_tensors
from pvbench.words import BesideWords, Words

Side = Literal["video", "image"]
"""Which of a backbone's sides: of AnimateDiff `image` is the text-to-image network; elsewhere a video of one frame."""

Tokens = Mapping[str, Float[Tensor, "words width"]]
"""Learned words by name, each of one or several vectors."""

IDENTITY = "identity"
"""The name of the adapter that holds a person."""
STYLE = "row style"
"""The name of a style's adapter, which `wear` puts in; `reset` leaves it."""


class LatentBackbone(Backbone, BesideWords):
    """A diffusion or flow-matching model whose trajectory can be walked step by step, with gradients.

    Steps are numbered from 0, the noisiest, to `steps` - 1. Gradients flow where torch has them on.

    Attributes:
        targets: which layers an adapter can be put on: a name, such as "qkv", to a regular expression that whole
            module names match.
        rare_words: words of the tokenizer that no caption of the training holds; empty where that is not known.
    """

    targets: Mapping[str, str]
    rare_words: tuple[str, ...] = ()

    # Words

    @abstractmethod
    def encode(self, text: str, tokens: Tokens | None = None) -> Words:
        """What the model reads of a text; kept for the next time, unless learned words stand in it.

        Args:
            tokens: learned words that stand in the text as `spelled` has them; then the result is differentiable in
                their vectors, and is never kept, since the same text means another person with other vectors.

        Raises:
            MethodError: the learned words do not fit the text encoder.
        """

    def prepare(self, texts: Sequence[str]) -> None:
        """Encodes texts that will be needed, after which large text encoders may leave the device."""
        for text in texts:
            self.encode(text)

    def word_vectors(self, words: str) -> Float[Tensor, "n width"]:
        """The text encoder's vectors of the tokens that words are made of, from which learned words begin.

        Raises:
            MethodError: the backbone takes no learned words: its loader does not offer `TOKENS`.
        """
        raise MethodError(f"{type(self).__name__} takes no learned words")

    @property
    def text_signature(self) -> str:
        """Digest of the text encoder's weights, which learned words fit only; empty where they cannot be learned."""
        return ""

    # Latents and steps

    @property
    @abstractmethod
    def steps(self) -> int:
        """The number of denoising steps."""

    @abstractmethod
    def level(self, step: int) -> float:
        """Share of the noise in the amplitude of the latent that a step is given, from 0 to 1; 0 after the last."""

    @abstractmethod
    def latent_shape(self, side: Side = "video") -> tuple[int, int, int, int]:
        """The shape (c, T, h, w) of a latent of the profile's size; T is 1 on the side of images."""

    @abstractmethod
    def noise(self, seed: int, side: Side = "video", correlation: float = 0.0) -> Float[Tensor, "1 c t h w"]:
        """The initial latent of a noise seed; drawn on the CPU, so that every device starts alike.

        Args:
            correlation: of the part of the noise that is each frame's own: frames i and j have the covariance
                `correlation` ** |i - j|, of the same draws. 0 is the noise that all methods start from.
        """

    @abstractmethod
    def denoise(
        self,
        latent: Float[Tensor, "n c t h w"],
        words: Words,
        first: int = 0,
        last: int | None = None,
        side: Side = "video",
    ) -> Float[Tensor, "n c t h w"]:
        """The latent after steps `first` up to, not including, `last`; by default all."""

    @abstractmethod
    def clean(
        self, latent: Float[Tensor, "n c t h w"], words: Words, first: int, last: int, side: Side = "video"
    ) -> Float[Tensor, "n c t h w"]:
        """The noiseless latent that step `last - 1` predicts, the steps from `first` taken before it."""

    @abstractmethod
    def noised(
        self, latent: Float[Tensor, "n c t h w"], step: int, noise: Float[Tensor, "n c t h w"]
    ) -> Float[Tensor, "n c t h w"]:
        """A noiseless latent with as much noise as a step is given."""

    def first_step(self, share: float) -> int:
        """The number of the first step at or after a share of the trajectory: .75 of 12 steps is step 9."""
        return int(np.ceil(share * self.steps - 1e-9))

    def active_steps(self, span: tuple[float, float]) -> tuple[int, int]:
        """First step of a span and the first one after it; a span, in shares of the steps, has one step at least."""
        first = min(self.first_step(span[0]), self.steps - 1)
        return first, max(self.first_step(span[1]), first + 1)

    def noise_power(self, step: int) -> float:
        """Share of noise, from 0 to 1, in the power of the latent that a step is given, where data has the power 1."""
        one = torch.ones(1, 1, 1, 1, 1, device=self.device)
        data, noise = (float(self.noised(a, step, b).double().mean()) for a, b in ((one, 0 * one), (0 * one, one)))
        return noise**2 / (data**2 + noise**2)

    def first_step_below(self, power: float) -> int:
        """The number of the first step that is given no more than this share of noise, or else of the last step."""
        return next((step for step in range(self.steps) if self.noise_power(step) <= power), self.steps - 1)

    # Reconstruction

    @abstractmethod
    def encode_images(self, images: Float[Tensor, "n 3 H W"]) -> Float[Tensor, "n c 1 h w"]:
        """Latents of images in [-1, 1], without gradient."""

    @abstractmethod
    def errors(
        self,
        latents: Float[Tensor, "n c t h w"],
        words: Sequence[Words],
        generator: torch.Generator,
        side: Side = "image",
    ) -> Float[Tensor, "n c t h w"]:
        """The model's training loss, element by element: squared errors of what it is trained to predict.

        Args:
            latents: noiseless.
            words: of the text that describes each of them.
            generator: on the CPU; draws noise and noise levels as the model's training did.
        """

    # Pixels

    @property
    @abstractmethod
    def frame_groups(self) -> tuple[tuple[int, ...], ...]:
        """Frames that are decoded together: a choice of frames within one group costs one piece of decoding."""

    @abstractmethod
    def decode(
        self, latent: Float[Tensor, "n c t h w"], frames: Sequence[int] | None = None, side: Side = "video"
    ) -> Float[Tensor, "k 3 H W"]:
        """Frames of one video, or one picture for each latent, in about [-1, 1].

        Args:
            latent: of a video n is 1.
            frames: which frames of the video, in this order; all by default. Pictures are all decoded.
        """

    def through_pixels(
        self,
        latent: Float[Tensor, "n c t h w"],
        frames: Sequence[int] | None,
        score: Callable[[Tensor], Tensor],
        side: Side = "video",
    ) -> Float[Tensor, ""]:
        """A loss of frames, whose graph of decoding and scoring is freed before the denoiser's is walked.

        The gradient at the latent is computed here, and the loss that is returned carries it on: `backward()` gives
        the gradients of the plain computation, while memory never holds both graphs' peaks.

        Args:
            score: from the frames (k, 3, H, W), with gradient, to a loss.
        """
        if not latent.requires_grad:
            return score(self.decode(latent, frames, side))
        leaf = latent.detach().requires_grad_(True)
        with torch.enable_grad():
            loss = score(self.decode(leaf, frames, side))
            (gradient,) = torch.autograd.grad(loss, leaf)
        return loss.detach() + ((latent - latent.detach()) * gradient).sum()

    def video(self, latent: Float[Tensor, "1 c t h w"]) -> Video:
        """The decoded video."""
        with torch.no_grad():
            images = self.decode(latent).clamp(-1, 1)
        frames = ((images + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()
        return Video(np.ascontiguousarray(frames), self.sampling.fps)

    # Adapters

    @abstractmethod
    def add_lora(
        self,
        rank: int,
        alpha: float,
        targets: str,
        generator: torch.Generator,
        values: Mapping[str, Tensor] | None = None,
        side: Side = "video",
        name: str = IDENTITY,
    ) -> list[nn.Parameter]:
        """A new adapter in the place of one of that name; returns its parameters, which take gradients.

        Args:
            targets: one of `targets`.
            generator: draws the first matrices; the second begin at zero.
            values: begins with these, as `lora_values` gave them on either side, where it has layers of their names.
            name: adapters of other names stay where they are, and stay active.

        Raises:
            MethodError: the backbone has no such targets.
        """

    @abstractmethod
    def lora_values(self, side: Side = "video", name: str = IDENTITY) -> dict[str, Tensor]:
        """Copies of an adapter's parameters by the layers' names, which both sides share."""

    @abstractmethod
    def lora_tensors(self, alpha: float, rank: int, side: Side = "video", name: str = IDENTITY) -> dict[str, Tensor]:
        """An adapter under diffusers' keys, in half precision, its scale multiplied in."""

    @abstractmethod
    def load_lora(self, tensors: Mapping[str, Tensor], name: str = IDENTITY) -> None:
        """Puts an adapter, as `lora_tensors` gave it, into the video side in the place of one of that name.

        Raises:
            MethodError: the tensors do not fit this backbone.
        """

    def load_foreign_lora(self, tensors: Mapping[str, Tensor], scale: float = 1.0, name: str = IDENTITY) -> None:
        """Puts a LoRA of another trainer into the video side, in the place of one of that name.

        Its part for a text encoder, if it has one, is active wherever texts are encoded until it is removed.

        Args:
            tensors: under any keys that diffusers' `load_lora_weights` reads for this model.
            scale: multiplies the strength that the file says.

        Raises:
            MethodError: it was made for another model, is no LoRA, or changes nothing.
        """
        raise MethodError(f"{type(self).__name__} takes no LoRAs of other trainers")

    @abstractmethod
    def remove_lora(self, side: Side | None = None, name: str | None = None) -> None:
        """Takes out an adapter, if there is one; by default all of them, on both sides, but that of a style."""

    @abstractmethod
    def without_lora(self, side: Side = "video", name: str = IDENTITY) -> AbstractContextManager[None]:
        """Inside of the block one adapter is off; others stay on."""

    def reset(self) -> None:
        """Takes out all adapters but that of a style."""
        self.remove_lora()
        self.remove_image_prompt()
        self.remove_face_control()

    _worn: Style | None = None

    def wear(self, style: Style | None) -> None:
        """Puts a style's LoRA into the video side under the name `STYLE`, or takes it out; see `Backbone.wear`."""
        if style == self._worn:
            return
        self.remove_lora("video", STYLE)
        self._worn = None
        if style is not None and style.lora is not None:
            try:
                self.load_foreign_lora(read_tensors(style.lora), style.scale, STYLE)
            except MethodError as error:
                raise WeightsError(f"{style.lora}, the LoRA of the style {style.name!r}: {error}") from error
        self._worn = style

    # Videos

    @torch.no_grad()
    def sample(
        self,
        text: str,
        noise_seed: int,
        span: tuple[float, float] = (0.0, 1.0),
        *,
        renew: bool = False,
        centre: bool = False,
        tokens: Tokens | None = None,
        correlation: float = 0.0,
    ) -> Video:
        """One video; the adapter of the identity works in `span` of the steps and is off outside of it.

        Args:
            renew: the steps after the span begin from fresh noise on the latent that the adapter's last step predicts.
            centre: what the adapter changes is `centred`; the steps from the span on are taken twice for it.
            tokens: learned words that stand in the text, in all steps.
            correlation: of the initial noise's frames, see `noise`.
        """
        words = self.encode(text, tokens)
        latent = self.noise(noise_seed, correlation=correlation)
        start, stop = self.active_steps(span)
        with self.without_lora():
            latent = self.denoise(latent, words, 0, start)
            frozen = self.denoise(latent, words, start) if centre else None
        if renew and stop < self.steps:
            latent = self.clean(latent, words, start, stop)
            latent = self.noised(latent, stop, self.noise(stable_seed("fresh noise", noise_seed)))
        else:
            latent = self.denoise(latent, words, start, stop)
        with self.without_lora():
            latent = self.denoise(latent, words, stop)
        return self.video(latent if frozen is None else centred(latent, frozen))


def centred(tuned: Float[Tensor, "n c T h w"], frozen: Float[Tensor, "n c T h w"]) -> Float[Tensor, "n c T h w"]:
    """The tuned latent without what its change has in common everywhere: a shift of whole channels, which is no face.

    The shift is the median of a channel's change over frames and positions, so that a person who rightly changes does
    not tint a background that did not. A gradient is that of the mean: a shift alone earns and costs nothing.

    Args:
        tuned: of a video or picture with the adapter.
        frozen: from the same noise, without it.
    """
    change = tuned - frozen
    mean = change.mean(dim=(2, 3, 4), keepdim=True)
    median = change.detach().flatten(2).median(dim=2).values[..., None, None, None]
    return tuned - (mean + (median - mean.detach()))
