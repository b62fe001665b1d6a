"""AnimateDiff: a text-to-image UNet with motion modules, sampled step by step so that adapters can come and go."""

from __future__ import annotations

# ruff: noqa: E402  the shim comes before anything that imports torchvision
from pvbench.torchvision_shim import load_torchvision

load_torchvision()

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AnimateDiffPipeline, DDIMScheduler, MotionAdapter, UNet2DConditionModel
from peft import LoraConfig
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils import get_peft_model_state_dict, set_peft_model_state_dict
from torch import Tensor, nn

from pvbench.backbones.attention import choose_attention, see_all_frames
from pvbench.backbones.noise import video_noise
from pvbench.backbones.patch_autoencoder import PatchAutoencoder
from pvbench.backbones.steps import DdimSteps
from pvbench.backbones.tokens import Tokens, encode_with
from pvbench.devices import torch_device
from pvbench.digest import stable_seed
from pvbench.errors import MethodError, WeightsError
from pvbench.profile import Sampling
from pvbench.video import Video
from pvbench.weights import verified

ADAPTER = "identity"
_ATTENTION = r".*\.attentions\..*\.attn[12]\."
TARGETS = {
    "qkv": _ATTENTION + r"to_[qkv]$",
    "qkvo": _ATTENTION + r"to_(q|k|v|out\.0)$",
    "qkv_motion": r".*\.(attentions|motion_modules)\..*\.attn[12]\.to_[qkv]$",
}
"""Layers that an adapter can be put on: queries, keys and values of the spatial attention, the output projections too,
or queries, keys and values of the motion modules too."""


class AnimateDiffBackbone:
    """A text-to-video model of the AnimateDiff family.

    Attributes:
        pipe: diffusers' own pipeline; its UNet is the text-to-video one, the domain adapter fused into it.
        image_unet: the text-to-image UNet, on which reconstructive methods tune.
        sampling: steps, guidance and size of a video.
        folder: where the weights, those of the rewards included, lie.
        half: UNets compute in bfloat16, the rest in float32.
        shared_noise: share of the initial noise's power that all frames have in common, as in the training.
        rare_words: words of the tokenizer that no caption of the training holds; empty where that is not known.
    """

    def __init__(
        self,
        pipe: AnimateDiffPipeline,
        image_unet: UNet2DConditionModel,
        sampling: Sampling,
        device: torch.device,
        signature: Mapping[str, Any],
        folder: Path,
        half: bool,
        shared_noise: float = 0.0,
        rare_words: Sequence[str] = (),
    ) -> None:
        self.pipe, self.image_unet, self.sampling, self.half = pipe, image_unet, sampling, half
        self.shared_noise, self.rare_words = shared_noise, tuple(rare_words)
        self.device, self.signature, self.folder = device, signature, folder
        self._states: dict[str, Tensor] = {}

    @cached_property
    def steps(self) -> DdimSteps:
        """The denoising steps, noisiest first."""
        return DdimSteps.of(self.pipe.scheduler, self.sampling.steps, self.sampling.shift, self.device)

    def first_step(self, share: float) -> int:
        """The number of the first step at or after `share` of the trajectory: 0.75 of 12 steps is step 9."""
        return int(np.ceil(share * len(self.steps) - 1e-9))

    def active_steps(self, span: tuple[float, float]) -> tuple[int, int]:
        """First step of an adapter's span and the first one after it, shares of the trajectory; one step at least."""
        first = min(self.first_step(span[0]), len(self.steps) - 1)
        return first, max(self.first_step(span[1]), first + 1)

    @property
    def latent_shape(self) -> tuple[int, int, int, int]:
        """(channels, T, h, w)."""
        factor = self.pipe.vae_scale_factor
        s = self.sampling
        return (int(self.pipe.unet.config.in_channels), s.frames, s.height // factor, s.width // factor)

    def noise(self, seed: int, frames: int | None = None) -> Tensor:
        """The initial latent (1, c, T, h, w) of a noise seed; drawn on the CPU, so that every device starts alike."""
        channels, times, height, width = self.latent_shape
        generator = torch.Generator().manual_seed(seed)
        return video_noise((1, channels, frames or times, height, width), self.shared_noise, generator).to(self.device)

    def run(self, unet: nn.Module, latent: Tensor, t: Tensor, states: Tensor) -> Tensor:
        """A UNet's output in float32, computed in the backbone's precision."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
            found: Tensor = unet(latent, t, states).sample
        return found.float()

    def encode(self, text: str, tokens: Tokens | None = None) -> Tensor:
        """Hidden states (1, length, width) of a text.

        Args:
            tokens: learned words that stand in the text, see `spelled`; then the states are differentiable in their
                vectors, and none are kept, since the same text means another person with other tokens.

        Raises:
            MethodError: the tokens were learned with another text encoder.
        """
        if tokens:
            return encode_with(self.pipe.text_encoder, self.pipe.tokenizer, text, tokens)
        return self._encoded(text)

    @torch.no_grad()
    def _encoded(self, text: str) -> Tensor:
        if text not in self._states:
            tokenizer = self.pipe.tokenizer
            found = tokenizer(
                [text],
                padding="max_length",
                truncation=True,
                max_length=tokenizer.model_max_length,
                return_tensors="pt",
            ).input_ids
            self._states[text] = self.pipe.text_encoder(found.to(self.device)).last_hidden_state
        return self._states[text]

    def word_vectors(self, words: str) -> Tensor:
        """The text encoder's vectors (n, width) of the tokens that words are made of."""
        numbers = self.pipe.tokenizer(words, add_special_tokens=False).input_ids
        found: Tensor = self.pipe.text_encoder.get_input_embeddings().weight[numbers].detach().clone()
        return found

    @property
    def text_signature(self) -> str:
        """Digest of the text encoder's weights; learned words fit this one alone."""
        return str(self.signature["weights"]["text_encoder"])

    def predict(
        self, unet: nn.Module, latent: Tensor, step: int, text: Tensor, *, through_both: bool = False
    ) -> Tensor:
        """Guided model output at a step.

        Where gradients are on, they flow through the conditional branch alone unless `through_both`: half the memory,
        and a direction that differs only in what the adapter does to an empty prompt.
        """
        t = self.steps.time(step)
        video = latent.ndim == 5
        repeats = latent.shape[2] if video else 1
        empty, given = (
            s.expand(latent.shape[0], -1, -1).repeat_interleave(repeats, 0) for s in (self.encode(""), text)
        )
        if step >= self.first_step(self.sampling.guidance_stop):
            return self.run(unet, latent, t, given)
        if torch.is_grad_enabled() and not through_both:
            with torch.no_grad():
                without = self.run(unet, latent, t, empty)
            with_ = self.run(unet, latent, t, given)
        else:
            both = self.run(unet, torch.cat([latent, latent]), t, torch.cat([empty, given]))
            without, with_ = both.chunk(2)
        return self._guided(without, with_)

    def _guided(self, without: Tensor, with_: Tensor) -> Tensor:
        """Classifier-free guidance, by a scale of its own for what differs between the frames of a video."""
        scale, ratio = self.sampling.guidance, self.sampling.motion_guidance
        towards = with_ - without
        if towards.ndim == 5 and ratio != 1:
            towards = ratio * towards + (1 - ratio) * towards.mean(2, keepdim=True)
        return without + scale * towards

    def denoise(
        self, latent: Tensor, text: Tensor, first: int = 0, last: int | None = None, unet: nn.Module | None = None
    ) -> Tensor:
        """The latent after steps `first` up to (not including) `last`; differentiable where gradients are on."""
        model = unet or self.pipe.unet
        for step in range(first, len(self.steps) if last is None else last):
            output = self.predict(model, latent, step, text)
            latent = self.steps.next(output, step, latent)
        return latent

    def clean(
        self, latent: Tensor, text: Tensor, first: int, last: int, unet: nn.Module | None = None
    ) -> Tensor:
        """The noiseless latent that the model predicts in step `last - 1`, the steps from `first` taken before it."""
        model = unet or self.pipe.unet
        latent = self.denoise(latent, text, first, last - 1, model)
        output = self.predict(model, latent, last - 1, text)
        return self.steps.clean(output, last - 1, latent)

    def noised(self, latent: Tensor, step: int, noise: Tensor) -> Tensor:
        """A noiseless latent with as much of `noise` as step `step` takes away."""
        return self.steps.noised(latent, step, noise)

    def decode(self, latent: Tensor, frames: Sequence[int] | None = None) -> Tensor:
        """Images (n, 3, H, W) in about [-1, 1] of a latent (1, c, T, h, w) or (n, c, h, w); all frames by default."""
        if latent.ndim == 5:
            latent = latent[0].transpose(0, 1)
        chosen = latent if frames is None else latent[list(frames)]
        images: Tensor = self.pipe.vae.decode(chosen / self.pipe.vae.config.scaling_factor).sample
        return images

    def encode_images(self, images: Tensor) -> Tensor:
        """Scaled latents (n, c, h, w) of images (n, 3, H, W) in [-1, 1], without gradient."""
        with torch.no_grad():
            mode: Tensor = self.pipe.vae.encode(images).latent_dist.mode()
        return mode * self.pipe.vae.config.scaling_factor

    def errors(self, unet: nn.Module, clean: Tensor, states: Tensor, generator: torch.Generator) -> Tensor:
        """The training loss (n,) of noiseless latents at random noise levels, with gradient: mean squared errors.

        Args:
            clean: (n, c, h, w).
            states: (n, length, width), of the texts that describe them.
            generator: draws noise and noise levels, on the CPU.
        """
        noise = torch.randn(clean.shape, generator=generator).to(clean.device)
        times = torch.randint(len(self.steps.signal), (len(clean),), generator=generator).to(clean.device)
        noisy, target = self.steps.training_pair(clean, noise, times)
        found = self.run(unet, noisy, times, states)
        return (found - target).square().flatten(1).mean(dim=1)

    @torch.no_grad()
    def video(self, latent: Tensor) -> Video:
        """The decoded video."""
        images = self.decode(latent).clamp(-1, 1)
        frames = ((images + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()
        return Video(np.ascontiguousarray(frames), self.sampling.fps)

    # Adapters

    def add_lora(
        self,
        unet: nn.Module,
        rank: int,
        alpha: float,
        targets: str,
        generator: torch.Generator,
        values: Mapping[str, Tensor] | None = None,
    ) -> list[nn.Parameter]:
        """An adapter on a UNet, initialised from the generator or with another UNet's `values`; returns its parameters.

        Raises:
            MethodError: `targets` is none of `TARGETS`.
        """
        if targets not in TARGETS:
            raise MethodError(f"no adapter targets {targets!r}; known: {', '.join(TARGETS)}")
        self.remove_lora(unet)
        config = LoraConfig(r=rank, lora_alpha=alpha, target_modules=TARGETS[targets])
        unet.add_adapter(config, adapter_name=ADAPTER)  # type: ignore[operator]
        parameters = []
        for name, parameter in unet.named_parameters():
            if "lora_" not in name:
                continue
            parameter.requires_grad_(True)
            parameters.append(parameter)
            if "lora_A" in name:
                # peft draws from the global generator; a run's bytes may depend on its seed alone.
                bound = parameter.shape[1] ** -0.5
                drawn = torch.rand(parameter.shape, generator=generator) * 2 * bound - bound
                parameter.data.copy_(drawn)
            # The image UNet has no motion modules: theirs begin as drawn.
            if values and name in values:
                parameter.data.copy_(values[name])
        return parameters

    def lora_values(self, unet: nn.Module) -> dict[str, Tensor]:
        """The adapter's parameters under their names, which image and video UNet share."""
        return {name: value.detach().clone() for name, value in unet.named_parameters() if "lora_" in name}

    def lora_tensors(self, unet: nn.Module, alpha: float, rank: int) -> dict[str, Tensor]:
        """The adapter's tensors under diffusers' keys, its scale multiplied in, so that loading it needs no more."""
        state = get_peft_model_state_dict(unet, adapter_name=ADAPTER)
        scale = alpha / rank
        return {
            f"unet.{name}": (value.detach() * (scale if "lora_B" in name else 1.0)).half().cpu().contiguous()
            for name, value in state.items()
        }

    def load_lora(self, tensors: Mapping[str, Tensor]) -> None:
        """Puts a saved adapter into the text-to-video UNet.

        Raises:
            MethodError: the tensors do not fit this backbone.
        """
        unet = self.pipe.unet
        self.remove_lora(unet)
        state = {name.removeprefix("unet."): value.float() for name, value in tensors.items()}
        ranks = {value.shape[0] for name, value in state.items() if "lora_A" in name}
        modules = sorted({name.split(".lora_")[0] for name in state})
        if len(ranks) != 1:
            raise MethodError(f"an adapter of this backbone has one rank; found {sorted(ranks) or 'no LoRA tensors'}")
        rank = ranks.pop()
        config = LoraConfig(r=rank, lora_alpha=rank, target_modules=modules)
        unet.add_adapter(config, adapter_name=ADAPTER)
        found = set_peft_model_state_dict(unet, state, adapter_name=ADAPTER)
        wrong = list(getattr(found, "unexpected_keys", None) or [])
        if wrong:
            raise MethodError(f"the adapter holds tensors that this backbone has no place for: {wrong[:3]}")
        unet.requires_grad_(False)

    def remove_lora(self, unet: nn.Module) -> None:
        """Takes the adapter out of a UNet, if it has one."""
        if getattr(unet, "peft_config", None):
            unet.delete_adapters(ADAPTER)  # type: ignore[operator]

    @contextmanager
    def without_lora(self, unet: nn.Module) -> Iterator[None]:
        """The UNet as it was before the adapter, inside the block."""
        layers = [m for m in unet.modules() if isinstance(m, BaseTunerLayer)]
        # peft's own switch walks the tree and turns gradients off and on; the flag behind it does neither.
        for layer in layers:
            layer._disable_adapters = True
        try:
            yield
        finally:
            for layer in layers:
                layer._disable_adapters = False

    def sample(
        self,
        text: str,
        noise_seed: int,
        span: tuple[float, float] = (0.0, 1.0),
        *,
        renew: bool = False,
        tokens: Tokens | None = None,
    ) -> Video:
        """One video; a loaded adapter works in `span` of the steps and is off outside of it.

        Args:
            tokens: learned words that stand in the text; they are part of the prompt in all steps.
            renew: the steps after the span begin from fresh noise on the latent that the adapter's last step predicts.
        """
        with torch.no_grad():
            states = self.encode(text, tokens)
            latent = self.noise(noise_seed)
            start, stop = self.active_steps(span)
            with self.without_lora(self.pipe.unet):
                latent = self.denoise(latent, states, 0, start)
            if renew and stop < len(self.steps):
                latent = self.clean(latent, states, start, stop)
                latent = self.noised(latent, stop, self.noise(stable_seed("fresh noise", noise_seed)))
            else:
                latent = self.denoise(latent, states, start, stop)
            with self.without_lora(self.pipe.unet):
                latent = self.denoise(latent, states, stop)
            return self.video(latent)


def load_mini(
    weights: Path,
    sampling: Sampling,
    device: str,
    signature: Mapping[str, Any],
    *,
    half: bool,
    shared_noise: float = 0.0,
    joint_attention: int = 0,
    rare_words: Sequence[str] = (),
) -> AnimateDiffBackbone:
    """The miniature backbone out of a folder of weights, through AnimateDiff's own classes.

    Args:
        joint_attention: up to how many positions frames see each other, see `see_all_frames`.

    Raises:
        WeightsError: a file is missing, damaged, or of another model.
    """
    from transformers import CLIPTextModel, PreTrainedTokenizerFast

    place = torch_device(device)
    try:
        vae = PatchAutoencoder.from_pretrained(verified(weights, "vae"))
        text = CLIPTextModel.from_pretrained(verified(weights, "text_encoder"))
        tokenizer = PreTrainedTokenizerFast.from_pretrained(verified(weights, "tokenizer"))
        unet = UNet2DConditionModel.from_pretrained(verified(weights, "unet"))
        motion = MotionAdapter.from_pretrained(verified(weights, "motion_adapter"))
        scheduler = DDIMScheduler.from_pretrained(verified(weights, "scheduler"))
    except (OSError, ValueError, RuntimeError) as error:
        raise WeightsError(f"{weights} does not load as the mini backbone: {error}") from error
    for module in (vae, text, unet, motion):
        module.float().requires_grad_(False).eval()
    # The pipeline builds its own text-to-video UNet out of the image UNet's values; the image UNet stays as it is.
    pipe = AnimateDiffPipeline(
        vae=vae, text_encoder=text, tokenizer=tokenizer, unet=unet, motion_adapter=motion, scheduler=scheduler
    )
    pipe.set_progress_bar_config(disable=True)
    pipe.load_lora_weights(verified(weights, "domain_adapter"), adapter_name="domain")
    pipe.fuse_lora(components=["unet"])
    pipe.unload_lora_weights()
    pipe.to(place)
    pipe.unet.requires_grad_(False).eval()
    choose_attention(pipe.unet, place)
    choose_attention(unet, place)
    see_all_frames(pipe.unet, joint_attention)
    backbone = AnimateDiffBackbone(
        pipe, unet.to(place), sampling, place, signature, weights, half, shared_noise, rare_words
    )
    # What is wrong with the profile's steps or shift shows before anything is tuned.
    assert len(backbone.steps) == sampling.steps
    return backbone
