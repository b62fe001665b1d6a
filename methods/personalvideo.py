"""PersonalVideo: rewards on the generated video, from pure noise, through the sampler; nothing is reconstructed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from pvbench.digest import stable_seed
from pvbench.errors import SettingError
from pvbench.identity import Identity
from pvbench.method import Adapter, Method, Progress, Request
from pvbench.prompt import PromptSet
from pvbench.rewards.identity import IdentityReward, Reference
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
        ceiling: the cosine above which a frame's likeness earns no more: what lies beyond is texture that pleases the
            recogniser rather than the person. 1 is the paper's.
        scr_frames: M of eq. 3. `temperature` multiplies the cosines under its softmax.
        scr_floor: weight of the loss for a match lower than the frozen model's in all frames, which eq. 4 cannot see.
        span: share of the denoising steps, at the end, in which the adapter is active, in tuning and in sampling.
        finish: share of the steps, at the end, that the frozen model takes without the adapter, from fresh noise on the
            latent that the adapter's last step predicts: grid and grain, which rewards breed, are noise to it and go.
            0 is the paper's.
        gradient_steps: so many last steps carry gradient; 0 is all steps of the span.
        rank, targets: of the adapter; the paper adapts q, k and v.
        steps, rate: of Adam; the rate falls to a tenth.
        warm_steps, video_rate: so many steps before these tune on single pictures of the text-to-image model, by the
            same rewards at an eighth of the cost, at `rate`; videos then go on at `video_rate`. 0 is the paper's.
        prefixes: so many (prompt, noise) pairs of videos, and four times as many of pictures, whose shared trajectory
            prefix is computed once; 0 draws a fresh pair every step.
        jitter: size of the face crops' random changes: colour alike for references and frames; shift, scale and blur
            for frames.
        pixel_anchor: weight of the squared distance to the frozen model's frame: outside of the face, which keeps all
            that is not the person; in the face, of what is not grey in the change, which keeps coloured patches out;
            and everywhere in the finest detail, which keeps grain out.
    """

    where: Literal["t2v", "t2i"] = "t2v"
    spa: bool = True
    scr: bool = True
    scr_weight: float = 0.2
    icr_frames: int = 4
    ceiling: float = 0.5
    scr_frames: int = 4
    temperature: float = 25.0
    scr_floor: float = 0.1
    span: float = 0.25
    finish: float = 0.1
    gradient_steps: int = 1
    rank: int = 16
    targets: Literal["qkv", "qkvo"] = "qkv"
    steps: int = 30
    rate: float = 8e-3
    warm_steps: int = 280
    video_rate: float = 8e-4
    prefixes: int = 12
    jitter: float = 0.15
    pixel_anchor: float = 24.0

    def __post_init__(self) -> None:
        if not 0 < self.span <= 1:
            raise SettingError(f"span is {self.span}; expected a share of the steps, above 0 and at most 1")
        if not 0 <= self.finish < self.span:
            raise SettingError(f"finish is {self.finish}; expected a share of the steps, 0 to below span, {self.span}")
        if not 0 < self.ceiling <= 1:
            raise SettingError(f"ceiling is {self.ceiling}; expected a cosine, above 0 and at most 1")
        _at_least("must be positive", self, ("rank", "steps", "icr_frames", "scr_frames"), 1)
        _at_least("must be positive", self, ("rate", "video_rate", "temperature"), math.ulp(0.0))
        weights = ("scr_weight", "scr_floor", "jitter", "pixel_anchor")
        _at_least("cannot be negative", self, ("prefixes", "gradient_steps", "warm_steps", *weights), 0)

    @property
    def active(self) -> tuple[float, float]:
        """Where in the trajectory the adapter is active, in tuning and in sampling: begin and end, shares of it."""
        return 1 - self.span, 1 - self.finish


def _at_least(demand: str, settings: PersonalVideoSettings, names: Sequence[str], least: float) -> None:
    for name in names:
        # Not-a-number is no value either.
        if not getattr(settings, name) >= least:
            raise SettingError(f"{name} {demand}; it is {getattr(settings, name)}")


@dataclass(frozen=True)
class _Prefix:
    """A trajectory up to the adapter's first step, and how the frozen model ends it."""

    text: str
    states: Tensor
    latent: Tensor
    frozen: Tensor  # (frames, 3, H, W)
    outside: Tensor  # (frames, 1, H, W): 1 far from the face, 0 on it
    scores: Tensor  # (frames,)


@dataclass
class _Counts:
    """What a tuning's adapter file says of it."""

    done: int = 0
    seen: int = 0
    similarity: float = 0.0

    def add(self, losses: Mapping[str, float]) -> None:
        self.done += 1
        if "identity" in losses:
            self.seen += 1
            self.similarity += 1 - losses["identity"]

    def info(self) -> dict[str, float]:
        mean = round(self.similarity / max(self.seen, 1), 6)
        return {"steps_without_a_face": self.done - self.seen, "mean_reward_cosine": mean}


class PersonalVideo(Method):
    """Non-reconstructive tuning with an isolated identity adapter.

    Source: the paper, sections 4.1 to 4.4.
    """

    name: ClassVar[str] = "personalvideo"
    version: ClassVar[int] = 4
    summary: ClassVar[str] = "identity and semantic rewards on sampled videos, adapter in the last steps only"
    tunes: ClassVar[bool] = True
    Settings: ClassVar[type] = PersonalVideoSettings
    settings: PersonalVideoSettings

    _rewards: tuple[IdentityReward, SemanticReward] | None = None
    _pools: dict[tuple[str, str, str, int], list[_Prefix]] | None = None

    def tune(self, identity: Identity, prompts: PromptSet, *, seed: int, progress: Progress) -> Adapter:
        """A LoRA under which sampled videos show the identity's face."""
        settings, backbone = self.settings, self.backbone
        reference = self._load_rewards()[0].reference(
            identity.references(), backbone.sampling.height, backbone.sampling.width
        )
        generator = torch.Generator().manual_seed(seed)
        counts = _Counts()
        values: dict[str, Tensor] = {}
        for where, steps in (("t2i", settings.warm_steps), (settings.where, settings.steps)):
            if steps == 0:
                continue
            unet = self._unet(where)
            backbone.remove_lora(unet)
            pool = self._pool(where, identity.class_noun, prompts, seed)
            parameters = backbone.add_lora(
                unet, settings.rank, float(settings.rank), settings.targets, generator, values
            )
            # So few steps are too few for Adam's usual memory of a thousand.
            optimiser = torch.optim.AdamW(parameters, lr=settings.rate, betas=(0.8, 0.95), weight_decay=1e-3)
            rate = settings.video_rate if values else settings.rate
            for step in range(steps):
                for group in optimiser.param_groups:
                    group["lr"] = rate * min(1.0, (step + 1) / 5) * (1 - 0.9 * step / steps)
                if pool:
                    prefix = pool[int(torch.randint(len(pool), (1,), generator=generator))]
                else:
                    with backbone.without_lora(unet):
                        prefix = self._prefix(where, identity.class_noun, prompts, seed, counts.done)
                total, losses = self._loss(unet, prefix, reference, generator)
                total.backward()
                torch.nn.utils.clip_grad_norm_(parameters, 1.0)
                optimiser.step()
                optimiser.zero_grad(set_to_none=True)
                counts.add(losses)
                progress(counts.done, settings.warm_steps + settings.steps, losses)
            tensors = backbone.lora_tensors(unet, float(settings.rank), settings.rank)
            values = backbone.lora_values(unet)
            backbone.remove_lora(unet)
        return Adapter(tensors, settings.active, counts.info())

    def _loss(
        self, unet: torch.nn.Module, prefix: _Prefix, reference: Reference, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        """The loss of one video or picture, with gradient, and its parts."""
        settings = self.settings
        identity_reward, semantic_reward = self._load_rewards()
        latent = self._finish(unet, prefix, generator)
        frames = len(prefix.frozen)
        faces = torch.randperm(frames, generator=generator)[: settings.icr_frames].tolist()
        some = torch.randperm(frames, generator=generator)[: settings.scr_frames].tolist() if settings.scr else []
        chosen = sorted({*faces, *some})
        images = self.backbone.decode(latent, chosen)
        lost = identity_reward(images[[chosen.index(i) for i in faces]], reference, settings.jitter, generator)
        losses = {}
        total = images.sum() * 0.0
        if lost is not None:
            total = total + (lost - (1 - settings.ceiling)).clamp(min=0).mean()
            losses["identity"] = float(lost.mean().detach())
        if settings.scr:
            picked = [chosen.index(i) for i in some]
            tuned = semantic_reward.scores(images[picked], prefix.text)
            apart = divergence(tuned, prefix.scores[some], settings.temperature)
            floor = shortfall(tuned, prefix.scores[some], settings.temperature)
            total = total + settings.scr_weight * (apart + settings.scr_floor * floor)
            losses["semantic"] = float(apart.detach())
        if settings.pixel_anchor > 0:
            anchor = _anchor(images - prefix.frozen[chosen], prefix.outside[chosen])
            total = total + settings.pixel_anchor * anchor
            losses["anchor"] = float(anchor.detach())
        return total, losses

    def generate(self, identity: Identity, adapter: Adapter | None, requests: Sequence[Request]) -> Iterator[Video]:
        """One video for each request, the adapter active in its span of the steps only."""
        assert adapter is not None, "a method that tunes is given its adapter"
        self.backbone.load_lora(adapter.tensors)
        for request in requests:
            text = request.prompt.render(identity.class_noun)
            yield self.backbone.sample(text, request.noise_seed, adapter.span, renew=True)

    def _unet(self, where: str) -> torch.nn.Module:
        """The model that is tuned: of pictures (`t2i`) or of videos (`t2v`)."""
        backbone = self.backbone
        unet: torch.nn.Module = backbone.image_unet if where == "t2i" else backbone.pipe.unet
        return unet

    def _load_rewards(self) -> tuple[IdentityReward, SemanticReward]:
        if self._rewards is None:
            folder, device = self.backbone.folder, self.backbone.device
            self._rewards = IdentityReward.load(folder, device), SemanticReward.load(folder, device)
        return self._rewards

    def _pool(self, where: str, class_noun: str, prompts: PromptSet, seed: int) -> list[_Prefix]:
        """The prefixes of a class noun: they hold nothing of an identity, so one worker computes them once for all."""
        if self._pools is None:
            self._pools = {}
        key = (where, class_noun, prompts.digest, seed)
        if key not in self._pools:
            count = self.settings.prefixes * (4 if where == "t2i" else 1)
            self._pools[key] = [self._prefix(where, class_noun, prompts, seed, k) for k in range(count)]
        return self._pools[key]

    @torch.no_grad()
    def _prefix(self, where: str, class_noun: str, prompts: PromptSet, seed: int, number: int) -> _Prefix:
        """The trajectory that tuned and frozen model share, and the frozen model's end of it.

        The adapter is off in these steps, so both models' latents are the same: one computation serves both.
        """
        settings, backbone = self.settings, self.backbone
        unet = self._unet(where)
        chooser = torch.Generator().manual_seed(stable_seed("prefix", seed, number) % (1 << 62))
        text = f"a {class_noun}"
        if settings.spa:
            prompt = prompts.prompts[int(torch.randint(len(prompts.prompts), (1,), generator=chooser))]
            text = prompt.render(class_noun)
        states = backbone.encode(text)
        noise = backbone.noise(stable_seed("tuning noise", seed, number) % (1 << 62))
        latent = noise if where == "t2v" else noise[:, :, 0]
        first, _ = backbone.active_steps(settings.active)
        latent = backbone.denoise(latent, states, 0, first, unet)
        frozen = backbone.decode(backbone.denoise(latent, states, first, None, unet))
        identity_reward, semantic_reward = self._load_rewards()
        outside = 1 - identity_reward.face_mask(frozen)
        return _Prefix(text, states, latent, frozen, outside, semantic_reward.scores(frozen, text))

    def _finish(self, unet: torch.nn.Module, prefix: _Prefix, generator: torch.Generator) -> Tensor:
        """The tuned model's end of the trajectory, with gradient from the last `gradient_steps` of the adapter on."""
        settings, backbone = self.settings, self.backbone
        end = len(backbone.timesteps)
        first, last = backbone.active_steps(settings.active)
        carried = last - first if settings.gradient_steps == 0 else min(settings.gradient_steps, last - first)
        with torch.no_grad():
            latent = backbone.denoise(prefix.latent, prefix.states, first, last - carried, unet)
        latent = backbone.clean(latent, prefix.states, last - carried, last, unet)
        if last == end:
            return latent
        noise = backbone.noise(int(torch.randint(1 << 62, (1,), generator=generator)))
        latent = backbone.noised(latent, last, noise if latent.ndim == 5 else noise[:, :, 0])
        with backbone.without_lora(unet):
            return backbone.denoise(latent, prefix.states, last, end, unet)


def _anchor(drift: Tensor, outside: Tensor) -> Tensor:
    """What the change of images (n, 3, H, W) costs: all of it outside of the face, its colour within, grain everywhere.

    Args:
        drift: tuned less frozen.
        outside: (n, 1, H, W), 1 far from the face and 0 on it.
    """
    tint = drift - drift.mean(dim=1, keepdim=True)
    return (outside * drift.square() + (1 - outside) * tint.square() + _fine(drift).square()).mean()


def _fine(images: Tensor) -> Tensor:
    """What 3 x 3 averages take away: grain and the autoencoder's grid, hardly anything of a face."""
    padded = torch.nn.functional.pad(images, (1, 1, 1, 1), mode="replicate")
    return images - torch.nn.functional.avg_pool2d(padded, 3, 1)
