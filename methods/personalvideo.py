"""PersonalVideo as printed: rewards on the generated video, from pure noise, through the sampler."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pvbench.backbone import IMAGES
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
from pvbench.method import Adapter, Progress, Told, added
from pvbench.prompt import PromptSet
from pvbench.reward import (
    IDENTITY_REWARD,
    SEMANTIC_REWARD,
    IdentityReward,
    Jitter,
    SemanticReward,
    divergence,
    load_identity_reward,
    load_semantic_reward,
)

if TYPE_CHECKING:
    import torch
    from jaxtyping import Float
    from torch import Tensor

    from pvbench.latent_backbone import Side
    from pvbench.words import Words


@dataclass(frozen=True)
class PersonalVideoSettings(KeywordSettings):
    """Settings of PersonalVideo, beside those of the keyword; docs/personalvideo.md says which are printed.

    Attributes:
        where: printed: the text-to-video model is tuned; `t2i` is the paper's ablation.
        spa: printed: simulated prompt augmentation, prompts drawn from the simulated set; off is its ablation, the bare
            class noun.
        scr: printed: the semantic consistency reward, weighted as the identity reward; off is its ablation.
        span: printed: share of the denoising steps, at the end, in which the adapter is active, in tuning and sampling.
        span_noise: instead of `span`, where it is above 0: the adapter is active from the first step on whose noise is
            no more than this share of the latent's power; .845 is where HunyuanVideo's last quarter begins.
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
    scr_frames: int = 8
    temperature: float = 50.0
    gradient_steps: int = 0
    rank: int = 16
    steps: int = 120
    rate: float = 2e-3
    prefixes: int = 6
    jitter: float = 0.2
    span_noise: float = added(0.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.span <= 1:
            raise SettingError(f"span is {self.span}; expected a share of the steps, above 0 and at most 1")
        if not 0 <= self.span_noise < 1:
            raise SettingError(f"span_noise is {self.span_noise}; expected a share of the power, 0 (off) to below 1")
        at_least("must be positive", self, ("rank", "steps", "scr_frames"), 1)
        if self.scr and self.scr_frames < 2:
            raise SettingError("scr_frames is 1; a softmax over one frame is constant: set 2 or more, or scr=off")
        at_least("must be positive", self, ("rate", "temperature"), math.ulp(0.0))
        at_least("cannot be negative", self, ("prefixes", "gradient_steps", "jitter"), 0)

    @property
    def end(self) -> float:
        """Where in the trajectory the adapter's span ends, as a share of it."""
        return 1.0


@dataclass(frozen=True)
class Stage:
    """So many steps at a rate on one side of the backbone, that of images or of videos."""

    side: Side
    steps: int
    rate: float


@dataclass(frozen=True, eq=False)
class Prefix:
    """A trajectory up to the adapter's first step, and how the teacher ends it: the frozen model, as printed.

    Attributes:
        text: of the prompt, without the keyword, as the semantic reward reads it.
        words: of the prompt, with the keyword.
        latent: before the adapter's first step.
        ending: the teacher's noiseless latent.
        seen: what was decoded of it so far, by the frames.
    """

    side: Side
    text: str
    words: Words
    latent: Tensor
    ending: Tensor
    seen: dict[tuple[int, ...], Frozen] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Frozen:
    """Frames of the teacher's video, as printed the frozen model's, that are decoded together.

    Attributes:
        frames: their numbers.
        images: (frames, 3, H, W), in about [-1, 1].
        scores: (frames,) match with the prompt.
    """

    frames: tuple[int, ...]
    images: Tensor
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

    @classmethod
    def asks(cls, settings: Any) -> frozenset[str]:
        """What a keyword asks for, both rewards, and a side of images where that is tuned."""
        images = {IMAGES} if settings.where == "t2i" else set()
        return super().asks(settings) | {IDENTITY_REWARD, SEMANTIC_REWARD} | images

    def tune(self, identity: Identity, prompts: PromptSet, *, seed: int, progress: Progress) -> Adapter:
        """A LoRA under which sampled videos show the identity's face."""
        import torch

        settings, backbone = self.settings, self.backbone
        stages = [stage for stage in self.stages() if stage.steps]
        before = settings.inversion_steps
        total = before + self.photo_steps + sum(stage.steps for stage in stages)
        keyword = make_keyword(
            settings, backbone, identity, prompts, seed, lambda step, losses: progress(step, total, losses)
        )
        photos, _ = photos_and_captions(identity, settings.references)
        reference = self.rewards()[0].reference(photos, backbone.sampling.height, backbone.sampling.width)
        generator = torch.Generator().manual_seed(seed)
        counts = _Counts()

        def told(step: int, losses: Mapping[str, float]) -> None:
            progress(before + step, total, losses)

        values = values_at_first = self.first_values(identity, keyword, generator, told)
        for stage in stages:
            side = stage.side
            backbone.reset()
            with self.teacher(values_at_first, side):
                pool = self._pool(side, identity.class_noun, keyword, prompts, seed)
            parameters = backbone.add_lora(
                settings.rank, float(settings.rank), settings.targets, generator, values, side
            )
            # So few steps are too few for Adam's usual memory of a thousand.
            optimiser = torch.optim.AdamW(parameters, lr=stage.rate, betas=(0.8, 0.95), weight_decay=1e-3)
            for step in range(stage.steps):
                optimiser.param_groups[0]["lr"] = stage.rate * min(1.0, (step + 1) / 5) * (1 - 0.9 * step / stage.steps)
                if pool:
                    prefix = pool[int(torch.randint(len(pool), (1,), generator=generator))]
                else:
                    prefix = self._prefix(side, identity.class_noun, keyword, prompts, seed, counts.done)
                loss, losses = self.loss(prefix, reference, generator)
                loss.backward()
                torch.nn.utils.clip_grad_norm_(parameters, 1.0)
                optimiser.step()
                optimiser.zero_grad(set_to_none=True)
                counts.add(losses)
                told(self.photo_steps + counts.done, losses)
            tensors = backbone.lora_tensors(float(settings.rank), settings.rank, side)
            values = backbone.lora_values(side)
            backbone.remove_lora(side)
        return Adapter(tensors, self.active, counts.info(), dict(keyword.tokens), backbone.text_signature)

    @property
    def active(self) -> tuple[float, float]:
        """Where in the trajectory the adapter is active, in tuning and in sampling: begin and end, shares of it."""
        settings = self.settings
        if settings.span_noise:
            return self.backbone.first_step_below(settings.span_noise) / self.backbone.steps, settings.end
        return 1 - settings.span, settings.end

    @property
    def photo_steps(self) -> int:
        """How many steps `first_values` takes: none here, as printed."""
        return 0

    def first_values(
        self, identity: Identity, keyword: Keyword, generator: torch.Generator, told: Told
    ) -> dict[str, Tensor]:
        """What the adapter begins with, as `lora_values` gives it: nothing, as printed.

        Args:
            told: is called after each step with its number and losses.
        """
        return {}

    @property
    def taught(self) -> bool:
        """Whether the teacher is the frozen model with an adapter: never, as printed."""
        return False

    def teacher(self, first_values: Mapping[str, Tensor], side: Side) -> AbstractContextManager[None]:
        """Inside of the block the backbone is what rewards compare with: the frozen model, as printed."""
        return nullcontext()

    def stages(self) -> Sequence[Stage]:
        """What is tuned on rewards, in turn."""
        side: Side = "video" if self.settings.where == "t2v" else "image"
        return (Stage(side, self.settings.steps, self.settings.rate),)

    def loss(
        self, prefix: Prefix, reference: Any, generator: torch.Generator
    ) -> tuple[Float[Tensor, ""], dict[str, float]]:
        """The loss of one video or picture, with gradient, and its parts: eq. 5, both rewards weighted alike."""
        import torch

        settings = self.settings
        identity_reward, semantic_reward = self.rewards()
        frozen = self.frozen(prefix, generator)
        face = int(torch.randint(len(frozen.frames), (1,), generator=generator))
        some = places(frozen, settings.scr_frames, generator) if settings.scr else []
        chosen = sorted({face, *some})
        losses: dict[str, float] = {}

        def score(images: Float[Tensor, "n 3 H W"]) -> Float[Tensor, ""]:
            loss = images.sum() * 0.0
            jitter = Jitter(reference=settings.jitter)
            lost = identity_reward(images[[chosen.index(face)]], reference, jitter, generator)
            if lost is not None:
                loss = loss + lost.mean()
                losses["identity"] = float(lost.mean().detach())
            if settings.scr:
                tuned = semantic_reward.scores(images[[chosen.index(i) for i in some]], prefix.text)
                apart = divergence(tuned, frozen.scores[some], settings.temperature)
                loss = loss + apart
                losses["semantic"] = float(apart.detach())
            return loss

        numbers = [frozen.frames[i] for i in chosen]
        loss = self.backbone.through_pixels(self._end(prefix), numbers, score, prefix.side)
        return loss, losses

    def rewards(self) -> tuple[IdentityReward, SemanticReward]:
        """The reward networks, loaded once."""
        if self._rewards is None:
            device = str(self.backbone.device)
            self._rewards = load_identity_reward(self.profile, device), load_semantic_reward(self.profile, device)
        return self._rewards

    def frozen(self, prefix: Prefix, generator: torch.Generator) -> Frozen:
        """Frames of the teacher's video that are decoded together, a group of them at random."""
        import torch

        with torch.no_grad():
            groups = self.backbone.frame_groups if prefix.side == "video" else ((0,),)
            number = int(torch.randint(len(groups), (1,), generator=generator)) if len(groups) > 1 else 0
            frames = groups[number]
            if frames not in prefix.seen:
                images = self.backbone.decode(prefix.ending, frames, prefix.side)
                prefix.seen[frames] = Frozen(frames, images, self.rewards()[1].scores(images, prefix.text))
            return prefix.seen[frames]

    def _pool(self, side: Side, class_noun: str, keyword: Keyword, prompts: PromptSet, seed: int) -> Sequence[Prefix]:
        """The prefixes of a tuning. Without learned words or photos they show nobody, and serve the next person too."""
        count = self.settings.prefixes * (4 if side == "image" else 1)
        if keyword.tokens or self.photo_steps:
            return [self._prefix(side, class_noun, keyword, prompts, seed, k) for k in range(count)]
        if self._pools is None:
            self._pools = {}
        key = (side, class_noun, prompts.digest, seed)
        if key not in self._pools:
            self._pools[key] = [self._prefix(side, class_noun, keyword, prompts, seed, k) for k in range(count)]
        return self._pools[key]

    def _prefix(
        self, side: Side, class_noun: str, keyword: Keyword, prompts: PromptSet, seed: int, number: int
    ) -> Prefix:
        """The trajectory that tuned model and teacher share, and the teacher's end of it.

        The adapter is off in the shared steps, so both models' latents are the same: one computation serves both.
        """
        import torch

        with torch.no_grad():
            settings, backbone = self.settings, self.backbone
            chooser = torch.Generator().manual_seed(stable_seed("prefix", seed, number) % (1 << 62))
            text, named = f"a {class_noun}", f"a {keyword.words} {class_noun}" if keyword.words else f"a {class_noun}"
            if settings.spa:
                prompt = prompts.prompts[int(torch.randint(len(prompts.prompts), (1,), generator=chooser))]
                text, named = prompt.render(class_noun), keyword.render(prompt, class_noun)
            words = backbone.encode(named, keyword.tokens)
            noise = backbone.noise(stable_seed("tuning noise", seed, number) % (1 << 62))
            # A picture begins from the noise of the video's first frame.
            latent = noise if side == "video" else noise[:, :, :1]
            first, _ = backbone.active_steps(self.active)
            with backbone.without_lora(side):
                latent = backbone.denoise(latent, words, 0, first, side)
            with nullcontext() if self.taught else backbone.without_lora(side):
                ending = backbone.denoise(latent, words, first, None, side)
            return Prefix(side, text, words, latent, ending)

    def _end(self, prefix: Prefix) -> Float[Tensor, "1 c T h w"]:
        """The tuned model's end of the trajectory, with gradient from the last `gradient_steps` on."""
        import torch

        backbone, side = self.backbone, prefix.side
        first, last = backbone.active_steps(self.active)
        wanted = self.settings.gradient_steps
        carried = last - first if wanted == 0 else min(wanted, last - first)
        with torch.no_grad():
            latent = backbone.denoise(prefix.latent, prefix.words, first, last - carried, side)
        return backbone.denoise(latent, prefix.words, last - carried, last, side)


def places(frozen: Frozen, count: int, generator: torch.Generator) -> list[int]:
    """Places of so many different frames in a group, or of all of them if there are fewer."""
    import torch

    found: list[int] = torch.randperm(len(frozen.frames), generator=generator)[:count].tolist()
    return found
