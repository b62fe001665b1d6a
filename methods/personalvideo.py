"""PersonalVideo: rewards on the generated video, from pure noise, through the sampler; nothing is reconstructed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from pvbench.digest import stable_seed
from pvbench.errors import SettingError
from pvbench.identity import Identity
from pvbench.method import Adapter, Method, Progress, Request
from pvbench.prompt import PromptSet
from pvbench.rewards.identity import IdentityReward
from pvbench.rewards.semantic import SemanticReward, divergence, shortfall
from pvbench.video import Video


@dataclass(frozen=True)
class PersonalVideoSettings:
    """Settings of PersonalVideo; the paper's main text leaves most of them open (docs/personalvideo.md gives reasons).

    Attributes:
        where: the model that is tuned through its sampler, text-to-video or (an ablation) text-to-image.
        spa: simulated prompt augmentation: prompts drawn from the simulated set, or always the bare class noun.
        scr: the semantic consistency reward, on or off; `scr_weight` its weight beside the identity reward's 1.
        icr_frames: so many random frames carry the identity reward in a step; the paper takes one.
        scr_frames: M of eq. 3. `temperature` multiplies the cosines under its softmax.
        scr_floor: weight of the loss for a match lower than the frozen model's in all frames, which eq. 4 cannot see.
        span: share of the denoising steps, at the end, in which the adapter is active, in tuning and in sampling.
        gradient_steps: so many last steps carry gradient; 0 is all steps of the span.
        rank, targets: of the adapter; the paper adapts q, k and v.
        steps, rate: of Adam.
        prefixes: so many (prompt, noise) pairs, whose shared trajectory prefix is computed once; 0 draws a fresh pair
            every step.
        jitter: size of the face crops' random changes: colour alike for references and frames; shift, scale and blur
            for frames.
        pixel_anchor: weight of the squared distance to the frozen model's frame: between averages over large cells,
            which keeps colours, and between pixels outside of the face, which keeps all that is not the person.
    """

    where: Literal["t2v", "t2i"] = "t2v"
    spa: bool = True
    scr: bool = True
    scr_weight: float = 1.0
    icr_frames: int = 4
    scr_frames: int = 4
    temperature: float = 100.0
    scr_floor: float = 0.1
    span: float = 0.25
    gradient_steps: int = 1
    rank: int = 16
    targets: Literal["qkv", "qkvo"] = "qkv"
    steps: int = 60
    rate: float = 8e-3
    prefixes: int = 12
    jitter: float = 0.15
    pixel_anchor: float = 2.0

    def __post_init__(self) -> None:
        if not 0 < self.span <= 1:
            raise SettingError(f"span is {self.span}; expected a share of the steps, above 0 and at most 1")
        if min(self.rank, self.steps, self.icr_frames, self.scr_frames) < 1 or self.rate <= 0:
            raise SettingError("rank, steps, icr_frames, scr_frames and rate must be positive")
        if self.prefixes < 0 or self.gradient_steps < 0:
            raise SettingError("prefixes and gradient_steps cannot be negative")


@dataclass(frozen=True)
class _Prefix:
    """A trajectory up to the adapter's first step, and how the frozen model ends it."""

    text: str
    states: Tensor
    latent: Tensor
    frozen: Tensor  # (frames, 3, H, W)
    outside: Tensor  # (frames, 1, H, W): 1 far from the face, 0 on it
    scores: Tensor  # (frames,)


class PersonalVideo(Method):
    """Non-reconstructive tuning with an isolated identity adapter.

    Source: the paper, sections 4.1 to 4.4.
    """

    name: ClassVar[str] = "personalvideo"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "identity and semantic rewards on sampled videos, adapter in the last steps only"
    tunes: ClassVar[bool] = True
    Settings: ClassVar[type] = PersonalVideoSettings
    settings: PersonalVideoSettings

    _rewards: tuple[IdentityReward, SemanticReward] | None = None
    _pools: dict[tuple[str, str, int], list[_Prefix]] | None = None

    def tune(self, identity: Identity, prompts: PromptSet, *, seed: int, progress: Progress) -> Adapter:
        """A LoRA under which sampled videos show the identity's face."""
        settings, backbone = self.settings, self.backbone
        identity_reward, semantic_reward = self._load_rewards()
        sampling = backbone.sampling
        reference = identity_reward.reference(identity.references(), sampling.height, sampling.width)
        unet = backbone.pipe.unet if settings.where == "t2v" else backbone.image_unet
        generator = torch.Generator().manual_seed(seed)
        alpha = float(settings.rank)
        backbone.remove_lora(unet)
        pool = self._pool(unet, identity.class_noun, prompts, seed)
        parameters = backbone.add_lora(unet, settings.rank, alpha, settings.targets, generator)
        # Some sixty steps are too few for Adam's usual memory of a thousand.
        optimiser = torch.optim.AdamW(parameters, lr=settings.rate, betas=(0.8, 0.95), weight_decay=1e-3)
        seen, similarity, missed = 0, 0.0, 0
        for step in range(settings.steps):
            for group in optimiser.param_groups:
                group["lr"] = settings.rate * min(1.0, (step + 1) / 5) * (1 - 0.9 * step / settings.steps)
            if pool:
                prefix = pool[int(torch.randint(len(pool), (1,), generator=generator))]
            else:
                with backbone.without_lora(unet):
                    prefix = self._prefix(unet, identity.class_noun, prompts, seed, settings.steps + step)
            latent = self._finish(unet, prefix)
            frames = len(prefix.frozen)
            faces = torch.randperm(frames, generator=generator)[: settings.icr_frames].tolist()
            some = torch.randperm(frames, generator=generator)[: settings.scr_frames].tolist() if settings.scr else []
            chosen = sorted({*faces, *some})
            images = backbone.decode(latent, chosen)
            lost = identity_reward(images[[chosen.index(i) for i in faces]], reference, settings.jitter, generator)
            losses = {}
            total = images.sum() * 0.0
            if lost is None:
                missed += 1
            else:
                total = total + lost.mean()
                losses["identity"] = float(lost.mean().detach())
                seen, similarity = seen + 1, similarity + 1 - losses["identity"]
            if settings.scr:
                picked = [chosen.index(i) for i in some]
                tuned = semantic_reward.scores(images[picked], prefix.text)
                apart = divergence(tuned, prefix.scores[some], settings.temperature)
                floor = shortfall(tuned, prefix.scores[some], settings.temperature)
                total = total + settings.scr_weight * (apart + settings.scr_floor * floor)
                losses["semantic"] = float(apart.detach())
            if settings.pixel_anchor > 0:
                drift = images - prefix.frozen[chosen]
                anchor = _coarse(drift).square().mean() + (prefix.outside[chosen] * drift.square()).mean()
                total = total + settings.pixel_anchor * anchor
                losses["anchor"] = float(anchor.detach())
            total.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            progress(step + 1, settings.steps, losses)
        tensors = backbone.lora_tensors(unet, alpha, settings.rank)
        backbone.remove_lora(unet)
        info = {"steps_without_a_face": missed, "mean_reward_cosine": round(similarity / max(seen, 1), 6)}
        return Adapter(tensors, (1 - settings.span, 1.0), info)

    def generate(self, identity: Identity, adapter: Adapter | None, requests: Sequence[Request]) -> Iterator[Video]:
        """One video for each request, the adapter active in its span of the steps only."""
        assert adapter is not None, "a method that tunes is given its adapter"
        self.backbone.load_lora(adapter.tensors)
        for request in requests:
            yield self.backbone.sample(request.prompt.render(identity.class_noun), request.noise_seed, adapter.span)

    def _load_rewards(self) -> tuple[IdentityReward, SemanticReward]:
        if self._rewards is None:
            folder, device = self.backbone.folder, self.backbone.device
            self._rewards = IdentityReward.load(folder, device), SemanticReward.load(folder, device)
        return self._rewards

    def _pool(self, unet: torch.nn.Module, class_noun: str, prompts: PromptSet, seed: int) -> list[_Prefix]:
        """The prefixes of a class noun: they hold nothing of an identity, so one worker computes them once for all."""
        if self._pools is None:
            self._pools = {}
        key = (class_noun, prompts.digest, seed)
        if key not in self._pools:
            count = self.settings.prefixes
            self._pools[key] = [self._prefix(unet, class_noun, prompts, seed, k) for k in range(count)]
        return self._pools[key]

    @torch.no_grad()
    def _prefix(self, unet: torch.nn.Module, class_noun: str, prompts: PromptSet, seed: int, number: int) -> _Prefix:
        """The trajectory that tuned and frozen model share, and the frozen model's end of it.

        The adapter is off in these steps, so both models' latents are the same: one computation serves both.
        """
        settings, backbone = self.settings, self.backbone
        chooser = torch.Generator().manual_seed(stable_seed("prefix", seed, number) % (1 << 62))
        text = f"a {class_noun}"
        if settings.spa:
            prompt = prompts.prompts[int(torch.randint(len(prompts.prompts), (1,), generator=chooser))]
            text = prompt.render(class_noun)
        states = backbone.encode(text)
        noise = backbone.noise(stable_seed("tuning noise", seed, number) % (1 << 62))
        latent = noise if settings.where == "t2v" else noise[:, :, 0]
        first = backbone.first_step(1 - settings.span)
        latent = backbone.denoise(latent, states, 0, first, unet)
        frozen = backbone.decode(backbone.denoise(latent, states, first, None, unet))
        identity_reward, semantic_reward = self._load_rewards()
        outside = 1 - identity_reward.face_mask(frozen)
        return _Prefix(text, states, latent, frozen, outside, semantic_reward.scores(frozen, text))

    def _finish(self, unet: torch.nn.Module, prefix: _Prefix) -> Tensor:
        """The tuned model's end of the trajectory, with gradient in the last `gradient_steps`."""
        settings, backbone = self.settings, self.backbone
        first, last = backbone.first_step(1 - settings.span), len(backbone.timesteps)
        carried = last - first if settings.gradient_steps == 0 else min(settings.gradient_steps, last - first)
        with torch.no_grad():
            latent = backbone.denoise(prefix.latent, prefix.states, first, last - carried, unet)
        return backbone.denoise(latent, prefix.states, last - carried, last, unet)


def _coarse(images: Tensor) -> Tensor:
    """Averages over cells an eighth of the picture wide: colours and layout, no features of a face."""
    return torch.nn.functional.avg_pool2d(images, images.shape[-1] // 8)
