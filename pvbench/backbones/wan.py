"""Wan 2.1: a flow-matching transformer over videos with classifier-free guidance, whose pictures are single frames."""

from __future__ import annotations

# ruff: noqa: E402  the shim comes before anything that imports torchvision
from pvbench.torchvision_shim import load_torchvision

load_torchvision()

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from diffusers import WanPipeline, WanVACEPipeline
from diffusers.pipelines.wan.pipeline_wan import prompt_clean
from jaxtyping import Float
from torch import Tensor

from pvbench.backbones.checkpointing import enable_checkpointing
from pvbench.backbones.flow import FlowBackbone
from pvbench.backbones.tokenizers import WAN_WORDS
from pvbench.backbones.video_size import WAN_GUIDANCE, check_sampling
from pvbench.errors import MethodError
from pvbench.latent_backbone import Side, Tokens
from pvbench.profile import Sampling
from pvbench.words import Words

TARGETS = {
    "qkv": r"blocks\.\d+\.attn[12]\.to_[qkv]$",
    "qkvo": r"blocks\.\d+\.attn[12]\.to_([qkv]|out\.0)$",
    # Space and time are attended to together, so that there are no separate motion modules.
    "qkv_motion": r"blocks\.\d+\.attn[12]\.to_[qkv]$",
    "qkv_video": r"blocks\.\d+\.attn1\.to_[qkv]$",
}
"""Layers that an adapter can be put on: queries, keys and values of both attentions, their output projections too, or
the attention of the video to itself alone."""


class WanBackbone(FlowBackbone):
    """A text-to-video model of the Wan 2.1 family, around diffusers' own pipeline.

    Steps are Euler's, where the published scheduler is the multistep UniPC: its state would tie a step to those before
    it. Frames are decoded a latent at a time, as the autoencoder itself does, but not clamped, so that a reward has a
    gradient everywhere.

    Args:
        pipe: its transformer and autoencoder may be in any precision; latents are float32.
        sampling: `guidance` is classifier-free, towards the prompt and away from `negative`.
        shift: of the published scheduler.
        negative: what videos are guided away from.

    Raises:
        ProfileError: the profile asks for guidance that stops or differs for motion, or for frames or sides that do
            not divide into latents.
    """

    targets: Mapping[str, str] = TARGETS

    def __init__(
        self,
        pipe: WanPipeline | WanVACEPipeline,
        sampling: Sampling,
        device: torch.device,
        signature: Mapping[str, Any],
        shift: float,
        negative: str = "",
    ) -> None:
        vae = pipe.vae.config
        compression = vae.scale_factor_temporal, vae.scale_factor_spatial
        channels = int(pipe.transformer.config.in_channels)
        super().__init__(pipe, sampling, device, signature, ("text_encoder",), compression, channels)
        self._shift_of_scheduler, self._negative = shift, negative
        patch = pipe.transformer.config.patch_size[1] * vae.scale_factor_spatial
        check_sampling(sampling, "Wan", patch, vae.scale_factor_temporal, WAN_GUIDANCE)
        shape = 1, vae.z_dim, 1, 1, 1
        self._mean = torch.tensor(vae.latents_mean, device=device).view(shape)
        self._deviation = torch.tensor(vae.latents_std, device=device).view(shape)

    def enable_checkpointing(self, *, host: bool = False) -> None:
        """Where gradients are on, the transformer keeps its blocks' inputs only: less memory, a third more time.

        Args:
            host: whether the transformer's block inputs lie in the host's memory.
        """
        enable_checkpointing(self.pipe.transformer, (self._slots.recall,), host=host)

    # Words

    def encode(self, text: str, tokens: Tokens | None = None) -> Words:
        """UMT5's states of a text (1, 512, d), and those of what videos are guided away from."""
        if tokens:
            raise MethodError("Wan takes no learned words: no method is published; set token to none or rare")
        if text not in self._kept:
            with self._encoders_here():
                states = self._states(text)
                away = self._states(self._negative) if self._guided else states
            self._kept[text] = Words(text, {"states": states, "away": away})
        return self._kept[text]

    @torch.no_grad()
    def _states(self, text: str) -> Float[Tensor, "1 length width"]:
        given = self.pipe.tokenizer(prompt_clean(text), truncation=True, max_length=WAN_WORDS, return_tensors="pt")
        found = self.pipe.text_encoder(
            given.input_ids.to(self.device), given.attention_mask.to(self.device)
        ).last_hidden_state
        states: Tensor = torch.nn.functional.pad(found, (0, 0, 0, WAN_WORDS - found.shape[1]))
        return states

    # Steps

    @property
    def own_shift(self) -> float:
        """That of the published scheduler."""
        return self._shift_of_scheduler

    @property
    def _guided(self) -> bool:
        return self.sampling.guidance > 1

    def velocity(self, latent: Float[Tensor, "n c t h w"], words: Words, sigma: float) -> Float[Tensor, "n c t h w"]:
        """The model's, guided away from the negative prompt."""
        towards = self._velocity(latent, words, "states", sigma)
        if not self._guided:
            return towards
        away = self._velocity(latent, words, "away", sigma)
        return away + self.sampling.guidance * (towards - away)

    def trained_velocity(
        self, latent: Float[Tensor, "n c t h w"], words: Words, sigma: float
    ) -> Float[Tensor, "n c t h w"]:
        """The model's, without guidance."""
        return self._velocity(latent, words, "states", sigma)

    def _velocity(
        self, latent: Float[Tensor, "n c t h w"], words: Words, which: str, sigma: float
    ) -> Float[Tensor, "n c t h w"]:
        model, n = self.pipe.transformer, len(latent)
        found: Tensor = model(
            hidden_states=latent.to(model.dtype),
            timestep=torch.full((n,), 1000 * sigma, device=latent.device, dtype=torch.float32),
            encoder_hidden_states=words.tensors[which].to(model.dtype).expand(n, -1, -1),
            **self.beside(latent, words),
        ).sample
        return found.float()

    def beside(self, latent: Float[Tensor, "n c t h w"], words: Words) -> Mapping[str, Any]:
        """What the transformer is given beside latent, level and words; nothing in plain Wan."""
        return {}

    # Reconstruction and pixels

    def encode_images(self, images: Float[Tensor, "n 3 H W"]) -> Float[Tensor, "n c 1 h w"]:
        """Normalised latents of images in [-1, 1], without gradient."""
        vae = self.pipe.vae
        with torch.no_grad():
            mode: Tensor = vae.encode(images[:, :, None].to(vae.dtype)).latent_dist.mode()
        return (mode.float() - self._mean) / self._deviation

    @property
    def frame_groups(self) -> tuple[tuple[int, ...], ...]:
        """The frames of each latent: the first alone, then four by four."""
        time = self.compression[0]
        later = range(1, self.sampling.frames, time)
        return ((0,), *(tuple(range(first, first + time)) for first in later))

    def decode(
        self, latent: Float[Tensor, "n c t h w"], frames: Sequence[int] | None = None, side: Side = "video"
    ) -> Float[Tensor, "k 3 H W"]:
        """Frames of one video, or one picture for each latent, in about [-1, 1].

        Latents after the last frame that is asked for are not decoded, and those of other frames without gradient:
        what they leave in the cache of the autoencoder is taken as given.

        Source: `AutoencoderKLWan._decode`, whose frames these are but for its clamp to [-1, 1].
        """
        vae = self.pipe.vae
        scaled = vae.post_quant_conv((latent * self._deviation + self._mean).to(vae.dtype))
        wanted = list(range(self.sampling.frames)) if frames is None else list(frames)
        if side == "image":
            wanted = [0]
        time = self.compression[0]
        place = {frame: 0 if frame == 0 else 1 + (frame - 1) // time for frame in wanted}
        vae.clear_cache()
        try:
            parts = {
                number: self._part(scaled, number, set(place.values())) for number in range(max(place.values()) + 1)
            }
        finally:
            vae.clear_cache()
        if side == "image":
            pictures: Tensor = parts[0][:, :, 0].float()
            return pictures
        return torch.stack([parts[place[frame]][0, :, (frame - 1) % time if frame else 0] for frame in wanted]).float()

    def _part(self, scaled: Tensor, number: int, wanted: set[int]) -> Float[Tensor, "n 3 f H W"]:
        """The frames of one latent, after those before it."""
        vae = self.pipe.vae
        # The autoencoder counts its own layers in a list that it is given.
        vae._conv_idx = [0]
        more = {"first_chunk": True} if number == 0 else {}
        with torch.set_grad_enabled(torch.is_grad_enabled() and number in wanted):
            found: Tensor = vae.decoder(
                scaled[:, :, number : number + 1], feat_cache=vae._feat_map, feat_idx=vae._conv_idx, **more
            )
        return found
