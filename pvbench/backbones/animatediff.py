"""AnimateDiff: a text-to-image UNet with motion modules, sampled step by step so that adapters can come and go."""

from __future__ import annotations

# ruff: noqa: E402  the shim comes before anything that imports torchvision
from pvbench.torchvision_shim import load_torchvision

load_torchvision()

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import torch
from diffusers import AnimateDiffPipeline, UNet2DConditionModel
from jaxtyping import Float
from torch import Tensor, nn

from pvbench.backbones.checkpointing import enable_checkpointing
from pvbench.backbones.ddim import DdimBackbone
from pvbench.backbones.face_control import FaceControlSlot
from pvbench.backbones.foreign_lora import attach
from pvbench.backbones.image_prompt import ImagePromptSlot
from pvbench.backbones.lora import LoraSlots
from pvbench.backbones.noise import video_noise
from pvbench.backbones.tokens import encode_with
from pvbench.errors import MethodError
from pvbench.latent_backbone import IDENTITY, Side, Tokens
from pvbench.profile import Sampling
from pvbench.words import Words

_ATTENTION = r".*\.attentions\..*\.attn[12]\."
TARGETS = {
    "qkv": _ATTENTION + r"to_[qkv]$",
    "qkvo": _ATTENTION + r"to_(q|k|v|out\.0)$",
    "qkv_motion": r".*\.(attentions|motion_modules)\..*\.attn[12]\.to_[qkv]$",
}
"""Layers that an adapter can be put on: queries, keys and values of the spatial attention, the output projections too,
or queries, keys and values of the motion modules too."""


class AnimateDiffBackbone(DdimBackbone):
    """A text-to-video model of the AnimateDiff family.

    Frames are decoded one by one, so that any choice of them costs as much as it has frames.

    Attributes:
        pipe: diffusers' own pipeline; its UNet is the text-to-video one, the domain adapter fused into it.
        image_unet: the text-to-image UNet, on which reconstructive methods tune.
        half: UNets compute in bfloat16, the rest in float32.
        shared_noise: share of the initial noise's power that all frames have in common, as in the training.
    """

    targets: Mapping[str, str] = TARGETS

    def __init__(
        self,
        pipe: AnimateDiffPipeline,
        image_unet: UNet2DConditionModel,
        sampling: Sampling,
        device: torch.device,
        signature: Mapping[str, Any],
        half: bool = False,
        shared_noise: float = 0.0,
        rare_words: Sequence[str] = (),
    ) -> None:
        self.pipe, self.image_unet, self.sampling, self.half = pipe, image_unet, sampling, half
        self.shared_noise, self.rare_words = shared_noise, tuple(rare_words)
        self.device, self.signature = device, signature
        self._slots = {"video": LoraSlots(pipe.unet, "unet."), "image": LoraSlots(image_unet, "unet.")}
        self._text_slot = LoraSlots(pipe.text_encoder, "text_encoder.")
        self._image_prompt, self._face_control = ImagePromptSlot(pipe.unet), FaceControlSlot(pipe.unet)
        self._kept: dict[str, Words] = {}

    def enable_checkpointing(self, *, host: bool = False) -> None:
        """Where gradients are on, networks keep their blocks' inputs only: less memory, a third more time.

        Args:
            host: whether the UNets' block inputs lie in the host's memory; the autoencoder's stay.
        """
        shown = (self._slots["video"].recall, self._image_prompt.recall, self._face_control.recall)
        enable_checkpointing(self.pipe.unet, shown, host=host)
        enable_checkpointing(self.image_unet, (self._slots["image"].recall,), host=host)
        enable_checkpointing(self.pipe.vae)

    # Words

    def encode(self, text: str, tokens: Tokens | None = None) -> Words:
        """The text encoder's last hidden state (1, length, width)."""
        if tokens:
            states = encode_with(self.pipe.text_encoder, self.pipe.tokenizer, text, tokens)
            return Words(text, {"states": states})
        if text not in self._kept:
            self._kept[text] = Words(text, {"states": self._states(text)})
        return self._kept[text]

    @torch.no_grad()
    def _states(self, text: str) -> Float[Tensor, "1 length width"]:
        tokenizer = self.pipe.tokenizer
        found = tokenizer(
            [text],
            padding="max_length",
            truncation=True,
            max_length=tokenizer.model_max_length,
            return_tensors="pt",
        ).input_ids
        states: Tensor = self.pipe.text_encoder(found.to(self.device)).last_hidden_state
        return states

    def word_vectors(self, words: str) -> Float[Tensor, "n width"]:
        """The text encoder's vectors of the tokens that words are made of."""
        numbers = self.pipe.tokenizer(words, add_special_tokens=False).input_ids
        found: Tensor = self.pipe.text_encoder.get_input_embeddings().weight[numbers].detach().clone()
        return found

    @property
    def text_signature(self) -> str:
        """Digest of the text encoder's weights; learned words fit no other."""
        return str(self.signature["weights"]["text_encoder"])

    # Latents and steps

    def latent_shape(self, side: Side = "video") -> tuple[int, int, int, int]:
        """(channels, T, h, w): one latent for each frame."""
        factor = self.pipe.vae_scale_factor
        s = self.sampling
        frames = s.frames if side == "video" else 1
        return (int(self.pipe.unet.config.in_channels), frames, s.height // factor, s.width // factor)

    def noise(self, seed: int, side: Side = "video", correlation: float = 0.0) -> Float[Tensor, "1 c t h w"]:
        """The initial latent of a noise seed; drawn on the CPU, so that every device starts alike."""
        generator = torch.Generator().manual_seed(seed)
        return video_noise((1, *self.latent_shape(side)), self.shared_noise, generator, correlation).to(self.device)

    def run(
        self,
        latent: Float[Tensor, "n c t h w"],
        t: Tensor,
        states: Float[Tensor, "m length width"],
        side: Side,
        image: Float[Tensor, "m tokens width"] | None = None,
        face: Mapping[str, Tensor] | None = None,
    ) -> Float[Tensor, "n c t h w"]:
        """A UNet's output in float32, computed in the backbone's precision.

        Args:
            states: of a text for each frame, frames of one video together.
            image: of an image prompt for each frame; on the side of videos only.
            face: of a face control, the same for all frames; on the side of videos only.
        """
        face = face or {}
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
            if side == "video":
                control = self._face_control.showing(face.get("picture"), face.get("face"))
                with self._image_prompt.showing(image), control:
                    found: Tensor = self.pipe.unet(latent, t, states).sample
            else:
                found = self.image_unet(latent[:, :, 0], t, states).sample[:, :, None]
        return found.float()

    def predict(
        self,
        latent: Float[Tensor, "n c t h w"],
        step: int,
        words: Words,
        side: Side = "video",
        *,
        through_both: bool = False,
    ) -> Float[Tensor, "n c t h w"]:
        """Guided model output at a step.

        Where gradients are on, they flow through the conditional branch only unless `through_both`: half the memory,
        and a direction that differs only in what the adapter does to an empty prompt.
        """

        def for_frames(states: Float[Tensor, "1 length width"]) -> Float[Tensor, "frames length width"]:
            return states.expand(latent.shape[0], -1, -1).repeat_interleave(latent.shape[2], 0)

        t = self.schedule.time(step)
        empty, given = for_frames(self.encode("").tensors["states"]), for_frames(words.tensors["states"])
        beside = words.image
        no_image, image = (for_frames(beside[name]) if name in beside else None for name in ("empty", "tokens"))
        if step >= self.first_step(self.sampling.guidance_stop):
            return self.run(latent, t, given, side, image, beside)
        if torch.is_grad_enabled() and not through_both:
            with torch.no_grad():
                without = self.run(latent, t, empty, side, no_image, beside)
            with_ = self.run(latent, t, given, side, image, beside)
        else:
            images = None if image is None or no_image is None else torch.cat([no_image, image])
            both = self.run(torch.cat([latent, latent]), t, torch.cat([empty, given]), side, images, beside)
            without, with_ = both.chunk(2)
        return self._guided(without, with_, side)

    def _guided(
        self, without: Float[Tensor, "n c t h w"], with_: Float[Tensor, "n c t h w"], side: Side
    ) -> Float[Tensor, "n c t h w"]:
        """Classifier-free guidance, by a scale of its own for what differs between the frames of a video."""
        scale, ratio = self.sampling.guidance, self.sampling.motion_guidance
        towards = with_ - without
        if side == "video" and ratio != 1:
            towards = ratio * towards + (1 - ratio) * towards.mean(2, keepdim=True)
        return without + scale * towards

    # Reconstruction

    def encode_images(self, images: Float[Tensor, "n 3 H W"]) -> Float[Tensor, "n c 1 h w"]:
        """Scaled latents of images in [-1, 1], without gradient."""
        with torch.no_grad():
            mode: Tensor = self.pipe.vae.encode(images).latent_dist.mode()
        found: Float[Tensor, "n c 1 h w"] = (mode * self.pipe.vae.config.scaling_factor)[:, :, None]
        return found

    def errors(
        self,
        latents: Float[Tensor, "n c t h w"],
        words: Sequence[Words],
        generator: torch.Generator,
        side: Side = "image",
    ) -> Float[Tensor, "n c t h w"]:
        """Squared errors of the noise or velocity at time steps that are drawn evenly."""
        noise = torch.randn(latents.shape, generator=generator).to(latents.device)
        times = torch.randint(len(self.schedule.signal), (len(latents),), generator=generator).to(latents.device)
        noisy, target = self.schedule.training_pair(latents, noise, times)
        different = list(dict.fromkeys(words))
        rows = torch.tensor([different.index(one) for one in words], device=latents.device)
        states = torch.cat([one.tensors["states"] for one in different])[rows]
        found = self.run(noisy, times, states.repeat_interleave(latents.shape[2], 0), side)
        return (found - target).square()

    # Pixels

    @property
    def frame_groups(self) -> tuple[tuple[int, ...], ...]:
        """One group: the autoencoder knows no time, so that frames can be chosen freely."""
        return (tuple(range(self.sampling.frames)),)

    def decode(
        self, latent: Float[Tensor, "n c t h w"], frames: Sequence[int] | None = None, side: Side = "video"
    ) -> Float[Tensor, "k 3 H W"]:
        """Frames of one video, or one picture for each latent, in about [-1, 1]."""
        flat = latent[0].transpose(0, 1) if side == "video" else latent[:, :, 0]
        chosen = flat if frames is None else flat[list(frames)]
        images: Tensor = self.pipe.vae.decode(chosen / self.pipe.vae.config.scaling_factor).sample
        return images

    # Adapters

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
        """A new adapter on a UNet, in the place of one of that name; returns its parameters."""
        if targets not in self.targets:
            raise MethodError(f"no adapter targets {targets!r}; known: {', '.join(self.targets)}")
        return self._slots[side].add(name, rank, alpha, self.targets[targets], generator, values)

    def lora_values(self, side: Side = "video", name: str = IDENTITY) -> dict[str, Tensor]:
        """The adapter's parameters under their names, which image and video UNet share."""
        return self._slots[side].values(name)

    def lora_tensors(self, alpha: float, rank: int, side: Side = "video", name: str = IDENTITY) -> dict[str, Tensor]:
        """The adapter's tensors under diffusers' keys, its scale multiplied in."""
        return self._slots[side].tensors(name, alpha, rank)

    def load_lora(self, tensors: Mapping[str, Tensor], name: str = IDENTITY) -> None:
        """Puts a saved adapter into the text-to-video UNet."""
        self._slots["video"].load(name, tensors)

    def load_foreign_lora(self, tensors: Mapping[str, Tensor], scale: float = 1.0, name: str = IDENTITY) -> None:
        """Puts a LoRA of another trainer into the text-to-video UNet and, where it has a part for it, the encoder."""
        self.remove_lora("video", name)
        attach(self.pipe, [self._slots["video"], self._text_slot], tensors, name, scale)
        if self._text_slot.names:
            self._kept.clear()

    def remove_lora(self, side: Side | None = None, name: str | None = None) -> None:
        """Takes adapters out of one UNet or both."""
        if side != "image" and self._text_slot.names:
            self._text_slot.remove(name)
            self._kept.clear()
        for one in self._slots if side is None else [side]:
            self._slots[one].remove(name)

    def without_lora(self, side: Side = "video", name: str = IDENTITY) -> AbstractContextManager[None]:
        """The UNet without one adapter, inside of the block."""
        return self._slots[side].without(name)

    def load_image_prompt(self, tensors: Mapping[str, Tensor], scale: float = 1.0) -> None:
        """Puts an IP-Adapter into the text-to-video UNet."""
        self._image_prompt.load(tensors, scale)

    def remove_image_prompt(self) -> None:
        """Takes the IP-Adapter out of the text-to-video UNet."""
        self._image_prompt.remove()

    def with_image(
        self, words: Words, states: Float[Tensor, "photos length width"], empty: Float[Tensor, "1 length width"]
    ) -> Words:
        """The words and, beside them, what the IP-Adapter's projection makes of the photos."""
        with torch.no_grad():
            seen = {"tokens": self._image_prompt.tokens(states), "empty": self._image_prompt.tokens(empty)}
        return replace(words, image={**words.image, **seen})

    def load_face_control(self, tensors: Mapping[str, Tensor], scale: float = 1.0) -> None:
        """Puts a face control into the text-to-video UNet."""
        self._face_control.load(tensors, scale)

    def remove_face_control(self) -> None:
        """Takes the face control out of the text-to-video UNet."""
        self._face_control.remove()

    def with_face(
        self,
        words: Words,
        picture: Float[Tensor, "1 3 H W"] | None,
        identity: Float[Tensor, "1 d"],
        states: Sequence[Float[Tensor, "1 length width"]],
    ) -> Words:
        """The words and, beside them, the head's latent and the tokens of the face."""
        with torch.no_grad():
            seen = {"face": self._face_control.face(identity, states)}
        if picture is not None:
            seen["picture"] = self.encode_images(picture.to(self.device))[:, :, 0]
        return replace(words, image={**words.image, **seen})
