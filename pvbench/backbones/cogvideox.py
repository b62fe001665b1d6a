"""CogVideoX: a diffusion transformer over videos, and ConsisID, which is one of them that was trained to see a face."""

from __future__ import annotations

# ruff: noqa: E402  the shim comes before anything that imports torchvision
from pvbench.torchvision_shim import load_torchvision

load_torchvision()

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from diffusers import CogVideoXPipeline, ConsisIDPipeline
from jaxtyping import Float
from torch import Tensor

from pvbench.backbones.checkpointing import enable_checkpointing
from pvbench.backbones.ddim import DdimBackbone
from pvbench.backbones.transformer import TransformerBackbone
from pvbench.backbones.video_size import COGVIDEOX_GUIDANCE, check_sampling
from pvbench.errors import MethodError, ProfileError
from pvbench.latent_backbone import Side, Tokens
from pvbench.profile import Sampling
from pvbench.words import Words

TARGETS = {
    "qkv": r"transformer_blocks\.\d+\.attn1\.to_[qkv]$",
    "qkvo": r"transformer_blocks\.\d+\.attn1\.to_([qkv]|out\.0)$",
    # Text, space and time are attended to together, so that there are no separate motion modules.
    "qkv_motion": r"transformer_blocks\.\d+\.attn1\.to_[qkv]$",
}
"""Layers that an adapter can be put on: queries, keys and values of the attention, or its output projections too."""


class CogVideoXBackbone(TransformerBackbone, DdimBackbone):
    """A text-to-video model of the CogVideoX 1.0 family, around diffusers' own pipeline.

    Steps are DDIM's, where the published scheduler of the larger model is the stochastic, multistep DPM: its state
    would tie a step to those before it. Frames are decoded piece by piece, as the autoencoder itself does.

    Args:
        pipe: its transformer and autoencoder may be in any precision; latents are float32. Its scheduler is a
            `CogVideoXDDIMScheduler`.
        sampling: `guidance` is classifier-free, towards the prompt and away from `negative`.
        negative: what videos are guided away from.

    Raises:
        ProfileError: the profile asks for guidance that stops or differs for motion, or for frames or sides that do
            not divide into latents.
    """

    targets: Mapping[str, str] = TARGETS
    model = "CogVideoX"

    def __init__(
        self,
        pipe: CogVideoXPipeline | ConsisIDPipeline,
        sampling: Sampling,
        device: torch.device,
        signature: Mapping[str, Any],
        negative: str = "",
    ) -> None:
        compression = pipe.vae_scale_factor_temporal, pipe.vae_scale_factor_spatial
        channels = int(pipe.vae.config.latent_channels)
        super().__init__(pipe, sampling, device, signature, ("text_encoder",), compression, channels)
        self._negative = negative
        patch = pipe.transformer.config.patch_size * compression[1]
        # With an even number of latents the autoencoder makes more frames than the latents stand for.
        check_sampling(sampling, self.model, patch, 2 * compression[0], COGVIDEOX_GUIDANCE)
        self._check_positions()

    def _check_positions(self) -> None:
        """Refuses a size for which the model has no learned positions."""
        config, s = self.pipe.transformer.config, self.sampling
        if not config.use_learned_positional_embeddings:
            return
        space = self.compression[1]
        own = config.sample_frames, config.sample_height * space, config.sample_width * space
        if own != (s.frames, s.height, s.width):
            raise ProfileError(
                f"frames is {s.frames} and the size {s.width}x{s.height}; this {self.model} has learned positions for "
                f"{own[0]} frames of {own[2]}x{own[1]} alone"
            )

    def enable_checkpointing(self, *, host: bool = False) -> None:
        """Where gradients are on, networks keep their blocks' inputs only: less memory, a third more time.

        Args:
            host: whether the transformer's block inputs lie in the host's memory; the autoencoder's stay.
        """
        enable_checkpointing(self.pipe.transformer, (self._slots.recall,), host=host)
        enable_checkpointing(self.pipe.vae)

    # Words

    def encode(self, text: str, tokens: Tokens | None = None) -> Words:
        """T5's states of a text (1, 226, d), and those of what videos are guided away from."""
        if tokens:
            raise MethodError(f"{self.model} takes no learned words: no method is published; set token to none or rare")
        if text not in self._kept:
            with self._encoders_here():
                states = self._states(text)
                away = self._states(self._negative) if self._guided else states
            self._kept[text] = Words(text, {"states": states, "away": away})
        return self._kept[text]

    @torch.no_grad()
    def _states(self, text: str) -> Float[Tensor, "1 length width"]:
        length = self.pipe.transformer.config.max_text_seq_length
        given = self.pipe.tokenizer(
            text, padding="max_length", max_length=length, truncation=True, return_tensors="pt"
        ).input_ids
        # Without a mask, as published: the model was trained with the states of what fills texts up.
        found: Tensor = self.pipe.text_encoder(given.to(self.device))[0]
        return found

    # Steps

    @property
    def _guided(self) -> bool:
        return self.sampling.guidance > 1

    def predict(
        self, latent: Float[Tensor, "n c t h w"], step: int, words: Words, side: Side = "video"
    ) -> Float[Tensor, "n c t h w"]:
        """The model's output at a step, guided away from the negative prompt."""
        time = self.schedule.time(step)
        towards = self._output(latent, time, words.tensors["states"], words)
        if not self._guided:
            return towards
        away = self._output(latent, time, words.tensors["away"], words)
        return away + self.sampling.guidance * (towards - away)

    def _output(
        self, latent: Float[Tensor, "n c t h w"], time: Tensor, states: Tensor, words: Words
    ) -> Float[Tensor, "n c t h w"]:
        model, n = self.pipe.transformer, len(latent)
        given = self.beside(latent, words).transpose(1, 2)
        found: Tensor = model(
            hidden_states=given.to(model.dtype),
            encoder_hidden_states=states.to(model.dtype).expand(n, -1, -1),
            timestep=time.expand(n),
            image_rotary_emb=self._rotary(latent.shape[2]),
            **self.face(n, words),
        ).sample
        return found.float().transpose(1, 2)

    def beside(self, latent: Float[Tensor, "n c t h w"], words: Words) -> Float[Tensor, "n d t h w"]:
        """What the first layer is given: the latent, and in ConsisID a picture's behind it."""
        return latent

    def face(self, n: int, words: Words) -> Mapping[str, Any]:
        """What the layers of ConsisID are also given; nothing in plain CogVideoX."""
        return {}

    def _rotary(self, times: int) -> tuple[Tensor, Tensor] | None:
        if not self.pipe.transformer.config.use_rotary_positional_embeddings:
            return None
        s = self.sampling
        found: tuple[Tensor, Tensor] = self.pipe._prepare_rotary_positional_embeddings(
            s.height, s.width, times, self.device
        )
        return found

    # Reconstruction

    def encode_images(self, images: Float[Tensor, "n 3 H W"]) -> Float[Tensor, "n c 1 h w"]:
        """Scaled latents of images in [-1, 1], without gradient."""
        vae = self.pipe.vae
        with torch.no_grad():
            mode: Tensor = vae.encode(images[:, :, None].to(vae.dtype)).latent_dist.mode()
        found: Tensor = mode.float() * vae.config.scaling_factor
        return found

    def errors(
        self,
        latents: Float[Tensor, "n c t h w"],
        words: Sequence[Words],
        generator: torch.Generator,
        side: Side = "image",
    ) -> Float[Tensor, "n c t h w"]:
        """Squared errors of the velocity at time steps that are drawn evenly."""
        noise = torch.randn(latents.shape, generator=generator).to(latents.device)
        times = torch.randint(len(self.schedule.signal), (len(latents),), generator=generator).to(latents.device)
        noisy, target = self.schedule.training_pair(latents, noise, times)
        parts = zip(noisy.split(1), times, words, strict=True)
        found = torch.cat([self._output(one, time, its.tensors["states"], its) for one, time, its in parts])
        return (found - target).square()

    # Pixels

    def _pieces(self, times: int) -> list[tuple[int, int]]:
        """First latent, and the first one after it, of each piece that the autoencoder decodes at once."""
        size = self.pipe.vae.num_latent_frames_batch_size
        over, number = times % size, max(times // size, 1)
        return [(size * i + (over if i else 0), min(size * (i + 1) + over, times)) for i in range(number)]

    def _frames(self, piece: tuple[int, int]) -> tuple[int, ...]:
        """The frames of a piece of a video."""
        time = self.compression[0]
        first = 0 if piece[0] == 0 else 1 + (piece[0] - 1) * time
        return tuple(range(first, 1 + (piece[1] - 1) * time))

    @property
    def frame_groups(self) -> tuple[tuple[int, ...], ...]:
        """The frames of each piece."""
        return tuple(self._frames(piece) for piece in self._pieces(self.latent_shape()[1]))

    def decode(
        self, latent: Float[Tensor, "n c t h w"], frames: Sequence[int] | None = None, side: Side = "video"
    ) -> Float[Tensor, "k 3 H W"]:
        """Frames of one video, or one picture for each latent, in about [-1, 1].

        Pieces after the last frame that is asked for are not decoded, and those of other frames without gradient: what
        they leave in the cache of the autoencoder is taken as given.

        Source: `AutoencoderKLCogVideoX._decode`, whose frames these are.
        """
        vae = self.pipe.vae
        scaled = (latent / vae.config.scaling_factor).to(vae.dtype)
        if side == "image":
            pictures: Tensor = self._decoded(scaled, None)[0][:, :, 0].float()
            return pictures
        pieces = self._pieces(latent.shape[2])
        wanted = list(range(self.sampling.frames)) if frames is None else list(frames)
        place = {frame: number for number, piece in enumerate(pieces) for frame in self._frames(piece)}
        needed = {place[frame] for frame in wanted}
        found: dict[int, Tensor] = {}
        cache = None
        for number in range(max(needed) + 1):
            begin, end = pieces[number]
            with torch.set_grad_enabled(torch.is_grad_enabled() and number in needed):
                part, cache = self._decoded(scaled[:, :, begin:end], cache)
            found |= dict(zip(self._frames(pieces[number]), part[0].transpose(0, 1), strict=True))
        return torch.stack([found[frame] for frame in wanted]).float()

    def _decoded(self, scaled: Tensor, cache: Any) -> tuple[Tensor, Any]:
        vae = self.pipe.vae
        if vae.post_quant_conv is not None:
            scaled = vae.post_quant_conv(scaled)
        part, left = vae.decoder(scaled, conv_cache=cache)
        return part, left


class ConsisIdBackbone(CogVideoXBackbone):
    """ConsisID: a head's latent on further channels of the first latent, and attention to a face in every second block.

    Words without a face are denoised with zeros on those channels and without that attention, which is how the model
    would be asked for a video of no one; it was trained without a reference in 5 % of its clips.

    Source: Yuan et al., "ConsisID", 2024; diffusers' `ConsisIDPipeline`.
    """

    model = "ConsisID"
    _scale: float | None = None

    def load_face_control(self, tensors: Mapping[str, Tensor], scale: float = 1.0) -> None:
        """Sets how much the face counts; the model has its control already.

        Raises:
            MethodError: tensors are given.
        """
        if tensors:
            raise MethodError("ConsisID has its own face control; expected no tensors of another one")
        self._scale = float(scale)

    def remove_face_control(self) -> None:
        """Sets the published weight of the face."""
        self._scale = None

    def with_face(
        self,
        words: Words,
        picture: Float[Tensor, "1 3 H W"] | None,
        identity: Float[Tensor, "1 d"],
        states: Sequence[Float[Tensor, "1 length width"]],
    ) -> Words:
        """The words and, beside them, the head's latent, zero without a picture, and what the extractor reads."""
        if picture is None:
            channels, _, height, width = self.latent_shape("image")
            latent = torch.zeros(1, channels, 1, height, width, device=self.device)
        else:
            latent = self.encode_images(picture.to(self.device))
        config = self.pipe.transformer.config
        got = identity.shape[-1], len(states), {state.shape[-1] for state in states}
        if got != (config.LFE_id_dim, config.LFE_num_scale, {config.LFE_vit_dim}):
            raise MethodError(
                f"the face's vector of {got[0]} numbers and {got[1]} states of width {sorted(got[2])} do not fit "
                f"ConsisID; expected {config.LFE_id_dim}, {config.LFE_num_scale} and {config.LFE_vit_dim}"
            )
        seen = {f"state_{i}": state for i, state in enumerate(states)}
        return replace(words, image={"picture": latent, "identity": identity, **seen})

    def beside(self, latent: Float[Tensor, "n c t h w"], words: Words) -> Float[Tensor, "n d t h w"]:
        """The latent, and on further channels the head's in the first latent and zeros in the others."""
        further = torch.zeros_like(latent)
        if "picture" in words.image:
            further[:, :, :1] = words.image["picture"]
        return torch.cat([latent, further], dim=1)

    def face(self, n: int, words: Words) -> Mapping[str, Any]:
        """The face's vector and the image encoder's states; without a face zeros, of which nothing is seen."""
        model = self.pipe.transformer
        config, given = model.config, "identity" in words.image
        weight = config.local_face_scale if self._scale is None else self._scale
        model.local_face_scale = weight if given else 0.0
        if not given:
            states = [torch.zeros(n, 1, config.LFE_vit_dim, device=self.device)] * config.LFE_num_scale
            return {"id_cond": torch.zeros(n, config.LFE_id_dim, device=self.device), "id_vit_hidden": states}
        states = [words.image[f"state_{i}"].expand(n, -1, -1) for i in range(config.LFE_num_scale)]
        return {"id_cond": words.image["identity"].expand(n, -1), "id_vit_hidden": states}
