"""HunyuanVideo: a flow-matching transformer over videos, whose pictures are videos of one frame."""

from __future__ import annotations

# ruff: noqa: E402  the shim comes before anything that imports torchvision
from pvbench.torchvision_shim import load_torchvision

load_torchvision()

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from typing import Any

import torch
from diffusers import HunyuanVideoPipeline
from diffusers.pipelines.hunyuan_video.pipeline_hunyuan_video import DEFAULT_PROMPT_TEMPLATE
from jaxtyping import Float
from torch import Tensor, nn

from pvbench.backbones.checkpointing import enable_checkpointing
from pvbench.backbones.foreign_lora import attach
from pvbench.backbones.hunyuan_sampling import check_sampling
from pvbench.backbones.lora import LoraSlots
from pvbench.backbones.noise import correlated
from pvbench.backbones.steps import FlowSteps
from pvbench.errors import MethodError
from pvbench.latent_backbone import IDENTITY, LatentBackbone, Side, Tokens, Words
from pvbench.profile import Sampling

_BLOCKS = r"(single_)?transformer_blocks\.\d+\.attn\."
TARGETS = {
    "qkv": _BLOCKS + r"to_[qkv]$",
    "qkvo": _BLOCKS + r"to_([qkv]|out\.0)$",
    # Space and time are attended to together, so that there are no motion modules besides.
    "qkv_motion": _BLOCKS + r"to_[qkv]$",
    "qkv_text": _BLOCKS + r"(to_[qkv]|add_[qkv]_proj)$",
}
"""Layers that an adapter can be put on: queries, keys and values of the video's stream, the dual blocks' output
projections too, or the text's stream too."""

_WORDS = 256
"""Tokens of a prompt that are read, as in diffusers' pipeline."""


def template_length(tokenizer: Any) -> int:
    """How many tokens stand before every prompt."""
    template: str = DEFAULT_PROMPT_TEMPLATE["template"]
    return len(tokenizer(template.partition("{}")[0]).input_ids)


class HunyuanBackbone(LatentBackbone):
    """A text-to-video model of the HunyuanVideo family, around diffusers' own pipeline.

    The pipeline's classes compute; the steps are taken here, by index. Prompts are cut to their own length, which
    gives what padding and a mask give. Frames are decoded a temporal tile at a time, as the autoencoder itself does.

    Args:
        pipe: its transformer may be in any precision; latents are float32.
        sampling: `guidance` is HunyuanVideo's embedded one; without a `shift` the scheduler's own is taken.

    Raises:
        ProfileError: the profile asks for guidance that this model does not have, or for frames or sides that do not
            divide into its latents.
    """

    targets: Mapping[str, str] = TARGETS

    def __init__(
        self, pipe: HunyuanVideoPipeline, sampling: Sampling, device: torch.device, signature: Mapping[str, Any]
    ) -> None:
        self.pipe, self.sampling, self.device, self.signature = pipe, sampling, device, signature
        self._slots = LoraSlots(pipe.transformer, "transformer.")
        self._kept: dict[str, Words] = {}
        patch = pipe.transformer.config.patch_size * pipe.vae.spatial_compression_ratio
        check_sampling(sampling, patch, pipe.vae.temporal_compression_ratio)
        self._encoders_are_here = device.type == "cpu"

    def enable_checkpointing(self) -> None:
        """Where gradients are on, networks keep their blocks' inputs only: less memory, a third more time."""
        enable_checkpointing(self.pipe.transformer, (self._slots.recall,))
        enable_checkpointing(self.pipe.vae)

    # Words

    def encode(self, text: str, tokens: Tokens | None = None) -> Words:
        """LLaMA's third-last hidden states (1, L, d), cut to the text, and CLIP's pooled output (1, p)."""
        if tokens:
            raise MethodError("HunyuanVideo takes no learned words: no method is published; set token to none or rare")
        if text not in self._kept:
            with self._encoders_here():
                self._kept[text] = Words(text, {"states": self._states(text), "pooled": self._pooled(text)})
        return self._kept[text]

    def prepare(self, texts: Sequence[str]) -> None:
        """Encodes texts; LLaMA, of 15 GB, goes to the device and back once for all of them."""
        with self._encoders_here():
            super().prepare(texts)

    @contextmanager
    def _encoders_here(self) -> Iterator[None]:
        """Inside of the block the text encoders are on the device; outside they leave it to the transformer."""
        if self._encoders_are_here:
            yield
            return
        encoders = self.pipe.text_encoder, self.pipe.text_encoder_2
        try:
            for encoder in encoders:
                encoder.to(self.device)
            self._encoders_are_here = True
            yield
        finally:
            self._encoders_are_here = False
            for encoder in encoders:
                encoder.to("cpu")

    @torch.no_grad()
    def _states(self, text: str) -> Float[Tensor, "1 length width"]:
        tokenizer, model = self.pipe.tokenizer, self.pipe.text_encoder
        template: str = DEFAULT_PROMPT_TEMPLATE["template"]
        # The template's words say how to read a prompt; what they became is left out, as in diffusers' pipeline.
        start = template_length(tokenizer)
        given = tokenizer([template.format(text)], truncation=True, max_length=_WORDS + start, return_tensors="pt").to(
            self.device
        )
        found = model(
            input_ids=given.input_ids, attention_mask=given.attention_mask, output_hidden_states=True
        ).hidden_states[-3]
        states: Tensor = found[:, start:]
        return states

    @torch.no_grad()
    def _pooled(self, text: str) -> Float[Tensor, "1 width"]:
        tokenizer = self.pipe.tokenizer_2
        given = tokenizer([text], padding="max_length", max_length=77, truncation=True, return_tensors="pt")
        pooled: Tensor = self.pipe.text_encoder_2(given.input_ids.to(self.device)).pooler_output
        return pooled

    # Latents and steps

    @property
    def steps(self) -> int:
        """The number of denoising steps."""
        return len(self.schedule)

    @cached_property
    def schedule(self) -> FlowSteps:
        """The noise levels of the steps, and what one step does to a latent."""
        return FlowSteps.of(self.sampling.steps, self._shift)

    @property
    def _shift(self) -> float:
        given = self.sampling.shift
        return float(self.pipe.scheduler.config.shift) if given is None else given

    def level(self, step: int) -> float:
        """Share of the noise in the latent that a step is given; 0 after the last."""
        return self.schedule.sigmas[step]

    def latent_shape(self, side: Side = "video") -> tuple[int, int, int, int]:
        """(channels, T, h, w); T is a quarter of the frames, and the first."""
        s, vae = self.sampling, self.pipe.vae
        times = (s.frames - 1) // vae.temporal_compression_ratio + 1 if side == "video" else 1
        space = vae.spatial_compression_ratio
        return int(self.pipe.transformer.config.in_channels), times, s.height // space, s.width // space

    def noise(self, seed: int, side: Side = "video", correlation: float = 0.0) -> Float[Tensor, "1 c t h w"]:
        """The initial latent of a noise seed; drawn on the CPU, so that every device starts alike."""
        generator = torch.Generator().manual_seed(seed)
        return correlated(torch.randn(1, *self.latent_shape(side), generator=generator), correlation).to(self.device)

    def denoise(
        self,
        latent: Float[Tensor, "n c t h w"],
        words: Words,
        first: int = 0,
        last: int | None = None,
        side: Side = "video",
    ) -> Float[Tensor, "n c t h w"]:
        """The latent after steps `first` up to, not including, `last`."""
        for step in range(first, self.steps if last is None else last):
            latent = self.schedule.next(self._velocity(latent, words, self.level(step)), step, latent)
        return latent

    def clean(
        self, latent: Float[Tensor, "n c t h w"], words: Words, first: int, last: int, side: Side = "video"
    ) -> Float[Tensor, "n c t h w"]:
        """The noiseless latent that step `last - 1` predicts, the steps from `first` taken before it."""
        latent = self.denoise(latent, words, first, last - 1, side)
        return self.schedule.clean(self._velocity(latent, words, self.level(last - 1)), last - 1, latent)

    def noised(
        self, latent: Float[Tensor, "n c t h w"], step: int, noise: Float[Tensor, "n c t h w"]
    ) -> Float[Tensor, "n c t h w"]:
        """A noiseless latent with as much of `noise` as a step is given."""
        return self.schedule.noised(latent, step, noise)

    def _velocity(
        self, latent: Float[Tensor, "n c t h w"], words: Words, sigma: float, guidance: float | None = None
    ) -> Float[Tensor, "n c t h w"]:
        """What the model predicts, noise less video, at a noise level."""
        model, n = self.pipe.transformer, len(latent)
        kind = model.dtype
        states = words.tensors["states"].to(kind).expand(n, -1, -1)
        strength = self.sampling.guidance if guidance is None else guidance
        found: Tensor = model(
            hidden_states=latent.to(kind),
            timestep=torch.full((n,), 1000 * sigma, device=latent.device, dtype=torch.float32),
            encoder_hidden_states=states,
            encoder_attention_mask=torch.ones(states.shape[:2], device=latent.device, dtype=kind),
            pooled_projections=words.tensors["pooled"].to(kind).expand(n, -1),
            # Rounded before it is multiplied, as in diffusers' pipeline: 6 is 6016 in bfloat16.
            guidance=torch.full((n,), strength, dtype=kind, device=latent.device) * 1000.0,
        ).sample
        return found.float()

    # Reconstruction

    def encode_images(self, images: Float[Tensor, "n 3 H W"]) -> Float[Tensor, "n c 1 h w"]:
        """Scaled latents of images in [-1, 1], without gradient."""
        vae = self.pipe.vae
        with torch.no_grad():
            mode: Tensor = vae.encode(images[:, :, None].to(vae.dtype)).latent_dist.mode()
        found: Float[Tensor, "n c 1 h w"] = mode.float() * vae.config.scaling_factor
        return found

    def errors(
        self,
        latents: Float[Tensor, "n c t h w"],
        words: Sequence[Words],
        generator: torch.Generator,
        side: Side = "image",
    ) -> Float[Tensor, "n c t h w"]:
        """Squared errors of the velocity at logit-normal noise levels, shifted as in sampling, at guidance 1.

        Source: finetrainers and diffusion-pipe train HunyuanVideo at an embedded guidance of 1.
        """
        noise = torch.randn(latents.shape, generator=generator).to(latents.device)
        even = torch.randn(len(latents), generator=generator).sigmoid()
        sigmas = (self._shift * even / (1 + (self._shift - 1) * even)).tolist()
        errors = []
        for one, its_noise, its_words, sigma in zip(latents.split(1), noise.split(1), words, sigmas, strict=True):
            noisy = (1 - sigma) * one + sigma * its_noise
            errors.append((self._velocity(noisy, its_words, sigma, guidance=1.0) - (its_noise - one)).square())
        return torch.cat(errors)

    # Pixels

    @property
    def frame_groups(self) -> tuple[tuple[int, ...], ...]:
        """The frames of each temporal tile of the autoencoder."""
        frames, stride = self.sampling.frames, self.pipe.vae.tile_sample_stride_num_frames
        if not self._tiled:
            return (tuple(range(frames)),)
        starts = [0, *range(stride + 1, frames, stride)]
        return tuple(tuple(range(a, b)) for a, b in zip(starts, [*starts[1:], frames], strict=True))

    @property
    def _tiled(self) -> bool:
        vae = self.pipe.vae
        longest = vae.tile_sample_min_num_frames // vae.temporal_compression_ratio
        return bool(vae.use_framewise_decoding) and self.latent_shape()[1] > longest

    def decode(
        self, latent: Float[Tensor, "n c t h w"], frames: Sequence[int] | None = None, side: Side = "video"
    ) -> Float[Tensor, "k 3 H W"]:
        """Frames of one video, or one picture for each latent, in about [-1, 1].

        Source: `AutoencoderKLHunyuanVideo._temporal_tiled_decode`, whose frames these are, bit by bit; but for the
            tiles that no frame asks for, which are not computed.
        """
        vae = self.pipe.vae
        scaled = latent.to(vae.dtype) / vae.config.scaling_factor
        if side == "image":
            pictures: Tensor = vae.decode(scaled).sample
            return pictures[:, :, 0].float()
        wanted = list(range(self.sampling.frames)) if frames is None else list(frames)
        if not self._tiled:
            whole: Tensor = vae.decode(scaled).sample
            return whole[0, :, wanted].transpose(0, 1).float()
        tiles: dict[int, Tensor] = {}
        return torch.stack([self._frame(scaled, frame, tiles) for frame in wanted]).float()

    def _frame(self, scaled: Tensor, frame: int, tiles: dict[int, Tensor]) -> Float[Tensor, "3 H W"]:
        """A frame out of its tile; the first ones of a tile are blended with the last ones of the tile before."""
        vae = self.pipe.vae
        stride = vae.tile_sample_stride_num_frames
        blended = vae.tile_sample_min_num_frames - stride
        if frame <= stride:
            return self._tile(scaled, 0, tiles)[:, frame]
        number, place = 1 + (frame - stride - 1) // stride, (frame - stride - 1) % stride
        own = self._tile(scaled, number, tiles)
        before = self._tile(scaled, number - 1, tiles) if place < blended else None
        extent = blended if before is None else min(before.shape[1], own.shape[1], blended)
        if before is None or place >= extent:
            return own[:, place]
        found: Float[Tensor, "3 H W"] = before[:, place - extent] * (1 - place / extent) + own[:, place] * (
            place / extent
        )
        return found

    def _tile(self, scaled: Tensor, number: int, tiles: dict[int, Tensor]) -> Float[Tensor, "3 f H W"]:
        if number not in tiles:
            vae, time = self.pipe.vae, self.pipe.vae.temporal_compression_ratio
            first = number * (vae.tile_sample_stride_num_frames // time)
            part = scaled[:, :, first : first + vae.tile_sample_min_num_frames // time + 1]
            side = max(part.shape[-2:]) * vae.spatial_compression_ratio
            if vae.use_tiling and side > min(vae.tile_sample_min_height, vae.tile_sample_min_width):
                decoded = vae.tiled_decode(part).sample
            else:
                decoded = vae.decoder(vae.post_quant_conv(part))
            tiles[number] = decoded[0] if number == 0 else decoded[0, :, 1:]
        return tiles[number]

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
        """A new adapter on the transformer, which serves both sides; returns its parameters."""
        if targets not in self.targets:
            raise MethodError(f"no adapter targets {targets!r}; known: {', '.join(self.targets)}")
        return self._slots.add(name, rank, alpha, self.targets[targets], generator, values)

    def lora_values(self, side: Side = "video", name: str = IDENTITY) -> dict[str, Tensor]:
        """Copies of the adapter's parameters."""
        return self._slots.values(name)

    def lora_tensors(self, alpha: float, rank: int, side: Side = "video", name: str = IDENTITY) -> dict[str, Tensor]:
        """The adapter's tensors under diffusers' keys, its scale multiplied in."""
        return self._slots.tensors(name, alpha, rank)

    def load_lora(self, tensors: Mapping[str, Tensor], name: str = IDENTITY) -> None:
        """Puts a saved adapter into the transformer."""
        self._slots.load(name, tensors)

    def load_foreign_lora(self, tensors: Mapping[str, Tensor], scale: float = 1.0, name: str = IDENTITY) -> None:
        """Puts a LoRA of another trainer into the transformer."""
        self.remove_lora(name=name)
        attach(self.pipe, [self._slots], tensors, name, scale)

    def remove_lora(self, side: Side | None = None, name: str | None = None) -> None:
        """Takes adapters out of the transformer, whichever side is named."""
        self._slots.remove(name)

    def without_lora(self, side: Side = "video", name: str = IDENTITY) -> AbstractContextManager[None]:
        """The transformer without one adapter, inside of the block."""
        return self._slots.without(name)
