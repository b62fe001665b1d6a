"""HunyuanVideo: a flow-matching transformer over videos, whose pictures are videos of one frame."""

from __future__ import annotations

# ruff: noqa: E402  the shim comes before anything that imports torchvision
from pvbench.torchvision_shim import load_torchvision

load_torchvision()

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from diffusers import HunyuanVideoPipeline
from diffusers.pipelines.hunyuan_video.pipeline_hunyuan_video import DEFAULT_PROMPT_TEMPLATE
from jaxtyping import Float
from torch import Tensor

from pvbench.backbones.checkpointing import checkpoint_calls, enable_checkpointing
from pvbench.backbones.flow import FlowBackbone
from pvbench.backbones.tokenizers import HUNYUAN_WORDS
from pvbench.backbones.video_size import HUNYUAN_GUIDANCE, check_sampling
from pvbench.errors import MethodError
from pvbench.latent_backbone import Side, Tokens
from pvbench.profile import Sampling
from pvbench.words import Words

_BLOCKS = r"(single_)?transformer_blocks\.\d+\.attn\."
TARGETS = {
    "qkv": _BLOCKS + r"to_[qkv]$",
    "qkvo": _BLOCKS + r"to_([qkv]|out\.0)$",
    # Space and time are attended to together, so that there are no separate motion modules.
    "qkv_motion": _BLOCKS + r"to_[qkv]$",
    "qkv_text": _BLOCKS + r"(to_[qkv]|add_[qkv]_proj)$",
}
"""Layers that an adapter can be put on: queries, keys and values of the video's stream, the dual blocks' output
projections too, or the text's stream too."""


def template_length(tokenizer: Any) -> int:
    """How many tokens stand before every prompt."""
    template: str = DEFAULT_PROMPT_TEMPLATE["template"]
    return len(tokenizer(template.partition("{}")[0]).input_ids)


class HunyuanBackbone(FlowBackbone):
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
        compression = pipe.vae.temporal_compression_ratio, pipe.vae.spatial_compression_ratio
        encoders, channels = ("text_encoder", "text_encoder_2"), int(pipe.transformer.config.in_channels)
        super().__init__(pipe, sampling, device, signature, encoders, compression, channels)
        patch = pipe.transformer.config.patch_size * compression[1]
        check_sampling(sampling, "HunyuanVideo", patch, compression[0], HUNYUAN_GUIDANCE)

    def enable_checkpointing(self, *, host: bool = False) -> None:
        """Where gradients are on, networks keep their blocks' inputs only: less memory, a third more time.

        Args:
            host: whether the transformer's block inputs lie in the host's memory; the autoencoder's stay.
        """
        enable_checkpointing(self.pipe.transformer, (self._slots.recall,), host=host)
        enable_checkpointing(self.pipe.vae)
        # Of a frame at 720p it decodes 28 overlapping pieces, whose block inputs take 1.8 GiB each.
        checkpoint_calls(self.pipe.vae.decoder)

    # Words

    def encode(self, text: str, tokens: Tokens | None = None) -> Words:
        """LLaMA's third-last hidden states (1, L, d), cut to the text, and CLIP's pooled output (1, p)."""
        if tokens:
            raise MethodError("HunyuanVideo takes no learned words: no method is published; set token to none or rare")
        if text not in self._kept:
            with self._encoders_here():
                self._kept[text] = Words(text, {"states": self._states(text), "pooled": self._pooled(text)})
        return self._kept[text]

    @torch.no_grad()
    def _states(self, text: str) -> Float[Tensor, "1 length width"]:
        tokenizer, model = self.pipe.tokenizer, self.pipe.text_encoder
        template: str = DEFAULT_PROMPT_TEMPLATE["template"]
        # The template's words say how to read a prompt; what they became is left out, as in diffusers' pipeline.
        start = template_length(tokenizer)
        given = tokenizer(
            [template.format(text)], truncation=True, max_length=HUNYUAN_WORDS + start, return_tensors="pt"
        ).to(self.device)
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
    def own_shift(self) -> float:
        """That of the published scheduler."""
        return float(self.pipe.scheduler.config.shift)

    def velocity(self, latent: Float[Tensor, "n c t h w"], words: Words, sigma: float) -> Float[Tensor, "n c t h w"]:
        """The model's at the profile's embedded guidance."""
        return self._velocity(latent, words, sigma, self.sampling.guidance)

    def trained_velocity(
        self, latent: Float[Tensor, "n c t h w"], words: Words, sigma: float
    ) -> Float[Tensor, "n c t h w"]:
        """The model's at an embedded guidance of 1, as finetrainers and diffusion-pipe train it."""
        return self._velocity(latent, words, sigma, 1.0)

    def _velocity(
        self, latent: Float[Tensor, "n c t h w"], words: Words, sigma: float, guidance: float
    ) -> Float[Tensor, "n c t h w"]:
        model, n = self.pipe.transformer, len(latent)
        kind = model.dtype
        states = words.tensors["states"].to(kind).expand(n, -1, -1)
        found: Tensor = model(
            hidden_states=latent.to(kind),
            timestep=torch.full((n,), 1000 * sigma, device=latent.device, dtype=torch.float32),
            encoder_hidden_states=states,
            encoder_attention_mask=torch.ones(states.shape[:2], device=latent.device, dtype=kind),
            pooled_projections=words.tensors["pooled"].to(kind).expand(n, -1),
            # Rounded before it is multiplied, as in diffusers' pipeline: 6 is 6016 in bfloat16.
            guidance=torch.full((n,), guidance, dtype=kind, device=latent.device) * 1000.0,
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
