"""PersonalVideo as printed: rewards on the generated video, from pure noise, through the sampler."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from pvbench.digest import stable_seed
from pvbench.errors import SettingError
from pvbench.identity import Identity
from pvbench.keyword import (
    Keyword,
    KeywordMethod,
    KeywordSettings,
    TokenKind,
    at_least,
    make_keyword,
    photos_and_captions,
)
from pvbench.method import Adapter, Progress
from pvbench.prompt import PromptSet
from pvbench.rewards.identity import IdentityReward, Jitter, Reference
from pvbench.rewards.semantic import SemanticReward, divergence


@dataclass(frozen=True)
class PersonalVideoSettings(KeywordSettings):
    """Settings of PersonalVideo, beside those of the keyword; docs/personalvideo.md says which are printed.

    Attributes:
        where: printed: the text-to-video model is tuned; `t2i` is the paper's ablation.
        spa: printed: simulated prompt augmentation, prompts drawn from the simulated set; off is its ablation, the bare
            class noun.
        scr: printed: the semantic consistency reward, weighted as the identity reward; off is its ablation.
        span: printed: share of the denoising steps, at the end, in which the adapter is active, in tuning and sampling.
        targets: printed: q, k and v; open: of the spatial attention alone or of the motion modules too.
        scr_frames: open: M of eq. 3, frames whose match with the prompt is compared.
        temperature: open: multiplies the cosines under the softmax of eq. 3; 100 is the logit scale of OpenAI's CLIP.
        gradient_steps: open: so many last steps carry gradient; 0 is all steps of the span.
        rank: open, of the adapter.
        steps, rate: open, of AdamW; the rate falls to a tenth.
        prefixes: open: the steps before the span are computed once for so many pairs of prompt and noise; 0 draws a
            fresh pair every step, as the paper's text reads.
        jitter: open: size of the random gain and offset of each colour of the references.
    """

    token: TokenKind = "inverted"
    where: Literal["t2v", "t2i"] = "t2v"
    spa: bool = True
    scr: bool = True
    span: float = 0.25
    targets: Literal["qkv", "qkv_motion"] = "qkv_motion"
    scr_frames: int = 4
    temperature: float = 25.0
    gradient_steps: int = 0
    rank: int = 16
    steps: int = 120
    rate: float = 2e-3
    prefixes: int = 6
    jitter: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.span <= 1:
            raise SettingError(f"span is {self.span}; expected a share of the steps, above 0 and at most 1")
        at_least("must be positive", self, ("rank", "steps", "scr_frames"), 1)
        if self.scr and self.scr_frames < 2:
            raise SettingError("scr_frames is 1; a softmax over one frame is constant: set 2 or more, or scr=off")
        at_least("must be positive", self, ("rate", "temperature"), math.ulp(0.0))
        at_least("cannot be negative", self, ("prefixes", "gradient_steps", "jitter"), 0)

    @property
    def active(self) -> tuple[float, float]:
        """Where in the trajectory the adapter is active, in tuning and in sampling: begin and end, shares of it."""
        return 1 - self.span, 1.0


@dataclass(frozen=True)
class Stage:
    """So many steps at a rate on one model, that of pictures (`t2i`) or of videos (`t2v`)."""

    where: Literal["t2v", "t2i"]
    steps: int
    rate: float


@dataclass(frozen=True)
class Prefix:
    """A trajectory up to the adapter's first step, and how the frozen model ends it.

    Attributes:
        text: of the prompt, without the keyword, as the semantic reward reads it.
        states: hidden states of the prompt, with the keyword.
        latent: before the adapter's first step.
        frozen: (frames, 3, H, W), the frozen model's video in about [-1, 1].
        scores: (frames,) match of the frozen model's frames with the prompt.
    """

    text: str
    states: Tensor
    latent: Tensor
    frozen: Tensor
    scores: Tensor


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


class PersonalVideo(KeywordMethod):
    """Non-reconstructive tuning with an isolated identity adapter.

    Source: the paper, sections 4.1 to 4.4, and nothing else; what it leaves open is a setting, and listed as ours.
    """

    name: ClassVar[str] = "personalvideo"
    version: ClassVar[int] = 5
    summary: ClassVar[str] = "the paper as printed: rewards on sampled videos, adapter in the last quarter of the steps"
    tunes: ClassVar[bool] = True
    Settings: ClassVar[type] = PersonalVideoSettings
    settings: PersonalVideoSettings

    _rewards: tuple[IdentityReward, SemanticReward] | None = None
    _pools: dict[tuple[str, str, str, int], list[Prefix]] | None = None

    def tune(self, identity: Identity, prompts: PromptSet, *, seed: int, progress: Progress) -> Adapter:
        """A LoRA under which sampled videos show the identity's face."""
        settings, backbone = self.settings, self.backbone
        stages = [stage for stage in self.stages() if stage.steps]
        before = settings.inversion_steps
        total = before + sum(stage.steps for stage in stages)
        keyword = make_keyword(
            settings, backbone, identity, prompts, seed, lambda step, losses: progress(step, total, losses)
        )
        photos, _ = photos_and_captions(identity, settings.references)
        reference = self.rewards()[0].reference(photos, backbone.sampling.height, backbone.sampling.width)
        generator = torch.Generator().manual_seed(seed)
        counts = _Counts()
        values: dict[str, Tensor] = {}
        for stage in stages:
            unet = self._unet(stage.where)
            backbone.remove_lora(unet)
            pool = self._pool(stage.where, identity.class_noun, keyword, prompts, seed)
            parameters = backbone.add_lora(
                unet, settings.rank, float(settings.rank), settings.targets, generator, values
            )
            # So few steps are too few for Adam's usual memory of a thousand.
            optimiser = torch.optim.AdamW(parameters, lr=stage.rate, betas=(0.8, 0.95), weight_decay=1e-3)
            for step in range(stage.steps):
                optimiser.param_groups[0]["lr"] = (
                    stage.rate * min(1.0, (step + 1) / 5) * (1 - 0.9 * step / stage.steps)
                )
                if pool:
                    prefix = pool[int(torch.randint(len(pool), (1,), generator=generator))]
                else:
                    with backbone.without_lora(unet):
                        prefix = self._prefix(stage.where, identity.class_noun, keyword, prompts, seed, counts.done)
                loss, losses = self.loss(unet, prefix, reference, generator)
                loss.backward()
                torch.nn.utils.clip_grad_norm_(parameters, 1.0)
                optimiser.step()
                optimiser.zero_grad(set_to_none=True)
                counts.add(losses)
                progress(before + counts.done, total, losses)
            tensors = backbone.lora_tensors(unet, float(settings.rank), settings.rank)
            values = backbone.lora_values(unet)
            backbone.remove_lora(unet)
        return Adapter(tensors, settings.active, counts.info(), dict(keyword.tokens), backbone.text_signature)

    def stages(self) -> Sequence[Stage]:
        """What is tuned, in turn."""
        return (Stage(self.settings.where, self.settings.steps, self.settings.rate),)

    def loss(
        self, unet: torch.nn.Module, prefix: Prefix, reference: Reference, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        """The loss of one video or picture, with gradient, and its parts: eq. 5, both rewards weighted alike."""
        settings = self.settings
        identity_reward, semantic_reward = self.rewards()
        latent = self._end(unet, prefix)
        frames = len(prefix.frozen)
        face = int(torch.randint(frames, (1,), generator=generator))
        some = torch.randperm(frames, generator=generator)[: settings.scr_frames].tolist() if settings.scr else []
        chosen = sorted({face, *some})
        images = self.backbone.decode(latent, chosen)
        losses = {}
        loss = images.sum() * 0.0
        lost = identity_reward(images[[chosen.index(face)]], reference, Jitter(reference=settings.jitter), generator)
        if lost is not None:
            loss = loss + lost.mean()
            losses["identity"] = float(lost.mean().detach())
        if settings.scr:
            tuned = semantic_reward.scores(images[[chosen.index(i) for i in some]], prefix.text)
            apart = divergence(tuned, prefix.scores[some], settings.temperature)
            loss = loss + apart
            losses["semantic"] = float(apart.detach())
        return loss, losses

    def rewards(self) -> tuple[IdentityReward, SemanticReward]:
        """The reward networks, loaded once."""
        if self._rewards is None:
            folder, device = self.backbone.folder, self.backbone.device
            self._rewards = IdentityReward.load(folder, device), SemanticReward.load(folder, device)
        return self._rewards

    def _unet(self, where: str) -> torch.nn.Module:
        backbone = self.backbone
        unet: torch.nn.Module = backbone.image_unet if where == "t2i" else backbone.pipe.unet
        return unet

    def _pool(
        self, where: str, class_noun: str, keyword: Keyword, prompts: PromptSet, seed: int
    ) -> Sequence[Prefix]:
        """The prefixes of a tuning. Without learned words they hold nothing of an identity, and serve the next one."""
        count = self.settings.prefixes * (4 if where == "t2i" else 1)
        if keyword.tokens:
            return [self._prefix(where, class_noun, keyword, prompts, seed, k) for k in range(count)]
        if self._pools is None:
            self._pools = {}
        key = (where, class_noun, prompts.digest, seed)
        if key not in self._pools:
            self._pools[key] = [self._prefix(where, class_noun, keyword, prompts, seed, k) for k in range(count)]
        return self._pools[key]

    @torch.no_grad()
    def _prefix(
        self, where: str, class_noun: str, keyword: Keyword, prompts: PromptSet, seed: int, number: int
    ) -> Prefix:
        """The trajectory that tuned and frozen model share, and the frozen model's end of it.

        The adapter is off in these steps, so both models' latents are the same: one computation serves both.
        """
        settings, backbone = self.settings, self.backbone
        unet = self._unet(where)
        chooser = torch.Generator().manual_seed(stable_seed("prefix", seed, number) % (1 << 62))
        text, named = f"a {class_noun}", f"a {keyword.words} {class_noun}" if keyword.words else f"a {class_noun}"
        if settings.spa:
            prompt = prompts.prompts[int(torch.randint(len(prompts.prompts), (1,), generator=chooser))]
            text, named = prompt.render(class_noun), keyword.render(prompt, class_noun)
        states = backbone.encode(named, keyword.tokens)
        noise = backbone.noise(stable_seed("tuning noise", seed, number) % (1 << 62))
        latent = noise if where == "t2v" else noise[:, :, 0]
        first, _ = backbone.active_steps(settings.active)
        latent = backbone.denoise(latent, states, 0, first, unet)
        frozen = backbone.decode(backbone.denoise(latent, states, first, None, unet))
        return Prefix(text, states, latent, frozen, self.rewards()[1].scores(frozen, text))

    def _end(self, unet: torch.nn.Module, prefix: Prefix) -> Tensor:
        """The tuned model's end of the trajectory, with gradient from the last `gradient_steps` on."""
        backbone = self.backbone
        first, last = backbone.active_steps(self.settings.active)
        wanted = self.settings.gradient_steps
        carried = last - first if wanted == 0 else min(wanted, last - first)
        with torch.no_grad():
            latent = backbone.denoise(prefix.latent, prefix.states, first, last - carried, unet)
        found: Tensor = backbone.denoise(latent, prefix.states, last - carried, last, unet)
        return found
