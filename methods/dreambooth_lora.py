"""DreamBooth with LoRA: reconstructs the reference photos on the text-to-image side, then samples videos."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pvbench.backbone import IMAGES
from pvbench.digest import stable_seed
from pvbench.errors import MethodError
from pvbench.identity import Identity
from pvbench.keyword import (
    Keyword,
    KeywordMethod,
    KeywordSettings,
    TokenKind,
    at_least,
    make_keyword,
    mirrored_latents,
    photos_and_captions,
)
from pvbench.method import Adapter, Progress, Told
from pvbench.prompt import PromptSet
from pvbench.reward import SEMANTIC_REWARD, SemanticReward, load_semantic_reward

if TYPE_CHECKING:
    import torch
    from jaxtyping import Float
    from torch import Tensor

    from pvbench.latent_backbone import LatentBackbone
    from pvbench.words import Words

_ATTEMPTS = 3
_WORSE, _LOST = 1.05, 0.8
"""A tuning diverged where the photos' error is above so many times the untuned model's, or where pictures match their
prompts less than so many times as well as the untuned model's."""


@dataclass(frozen=True)
class DreamBoothSettings(KeywordSettings):
    """Settings of DreamBooth-LoRA, beside those of the keyword.

    Attributes:
        rank, targets: of the adapter; diffusers' script has rank 4, on q, k, v and the output projection.
        steps, rate, batch: of AdamW; `batch` reference photos a step, each mirrored by chance.
        prior_weight: weight of prior preservation; 0 leaves it out, as diffusers' script does unless it is asked for.
            `prior_images` class pictures are drawn with the untuned model, as many as in that script.
    """

    token: TokenKind = "inverted"
    rank: int = 16
    targets: Literal["qkv", "qkvo"] = "qkvo"
    steps: int = 120
    rate: float = 1e-3
    batch: int = 4
    prior_weight: float = 0.0
    prior_images: int = 100

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least("must be positive", self, ("rank", "steps", "batch", "prior_images"), 1)
        at_least("must be positive", self, ("rate",), math.ulp(0.0))
        at_least("cannot be negative", self, ("prior_weight",), 0)


@dataclass(frozen=True, eq=False)
class Photos:
    """Latents (n, c, 1, h, w) of photos and of their mirror images, and the words of what each of them shows."""

    latents: Tensor
    words: Sequence[Words]

    @classmethod
    def of(cls, identity: Identity, references: int, keyword: Keyword, backbone: LatentBackbone) -> Photos:
        """An identity's first so many photos (0: all), the person called by the keyword."""
        import torch

        photos, captions = photos_and_captions(identity, references)
        latents = mirrored_latents(photos, backbone)
        with torch.no_grad():
            texts = [keyword.render(caption, identity.class_noun) for caption in captions]
            return cls(latents, [backbone.encode(text, keyword.tokens) for text in texts] * 2)

    def some(self, count: int, generator: torch.Generator) -> tuple[Float[Tensor, "n c 1 h w"], list[Words]]:
        """So many of them at random, some perhaps twice."""
        import torch

        pick = torch.randint(len(self.latents), (count,), generator=generator)
        return self.latents[pick], [self.words[i] for i in pick.tolist()]


def descend(
    parameters: Sequence[torch.nn.Parameter],
    steps: int,
    rate: float,
    loss: Callable[[], tuple[Float[Tensor, ""], Float[Tensor, ""]]],
    told: Told,
) -> None:
    """So many steps of AdamW at a constant rate, gradients clipped at a norm of 1, as diffusers' script has it.

    Args:
        loss: draws a step's loss: the whole, which is made smaller, and the photos' part of it, which is told.
        told: is called after each step with its number and losses.
    """
    import torch

    optimiser = torch.optim.AdamW(parameters, lr=rate, weight_decay=1e-2)
    for step in range(steps):
        whole, photos = loss()
        whole.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        told(step + 1, {"reconstruction": float(photos.detach())})


@dataclass(frozen=True)
class _Material:
    """What a tuning reconstructs."""

    photos: Photos
    prior: Tensor | None
    class_text: Words


@dataclass(frozen=True)
class _Trial:
    """A tuned adapter, beside the untuned model: error of the photos, and match of pictures with prompts, as ratios."""

    tensors: Mapping[str, Tensor]
    photos: float
    prompts: float

    @property
    def diverged(self) -> bool:
        """Whether it reconstructs the photos worse than no adapter does, or has lost the prompts."""
        return not (self.photos < _WORSE and self.prompts > _LOST)


class DreamBoothLoRA(KeywordMethod):
    """The reconstructive baseline.

    Source: diffusers' train_dreambooth_lora.py with its defaults for prior preservation. Step count and rate suit the
    backbone. What differs: the keyword can be learned before; photos are described in their own words, so that clothes
    and place need not be learned into it; photos are mirrored by chance; a tuning that diverged is done again at half
    the rate, and the adapter says so.
    """

    name: ClassVar[str] = "dreambooth_lora"
    version: ClassVar[int] = 2
    summary: ClassVar[str] = "a keyword and a LoRA, tuned to reconstruct the photos on the text-to-image model"
    tunes: ClassVar[bool] = True
    Settings: ClassVar[type] = DreamBoothSettings
    settings: DreamBoothSettings

    _priors: dict[tuple[str, int], Tensor] | None = None
    _reward: SemanticReward | None = None

    @classmethod
    def asks(cls, settings: Any) -> frozenset[str]:
        """What a keyword asks for, a side of images, and a reward by which a divergence shows."""
        return super().asks(settings) | {IMAGES, SEMANTIC_REWARD}

    def tune(self, identity: Identity, prompts: PromptSet, *, seed: int, progress: Progress) -> Adapter:
        """A LoRA that reconstructs the identity's photos under the keyword.

        Raises:
            MethodError: the tuning diverged at every rate that was tried.
        """
        settings, backbone = self.settings, self.backbone
        # Words are encoded before the first trial: without what another row may have left in the text encoder.
        backbone.reset()
        before = settings.inversion_steps
        total = before + settings.steps

        def told(step: int, losses: Mapping[str, float]) -> None:
            progress(step, total, losses)

        keyword = make_keyword(settings, backbone, identity, prompts, seed, told)
        material = self._material(identity, keyword, seed)
        texts = [(p.render(identity.class_noun), keyword.render(p, identity.class_noun)) for p in prompts.prompts[:2]]
        untuned = self._judged(material, keyword, texts, seed)
        rate = settings.rate
        for attempt in range(_ATTEMPTS):
            # The steps of a second attempt are not counted again.
            report = _silent if attempt else lambda step, losses: told(before + step, losses)
            trial = self._trial(material, keyword, texts, untuned, seed, rate, report)
            if not trial.diverged:
                info = {
                    "rate": rate,
                    "attempts": attempt + 1,
                    "photo_error": round(trial.photos, 6),
                    "prompts_kept": round(trial.prompts, 6),
                }
                return Adapter(trial.tensors, (0.0, 1.0), info, dict(keyword.tokens), backbone.text_signature)
            rate /= 2
        raise MethodError(
            f"identity {identity.name!r}: the tuning diverged at rate {settings.rate:g} and at each half of it down to "
            f"{2 * rate:g}; set a lower rate or fewer steps"
        )

    def _material(self, identity: Identity, keyword: Keyword, seed: int) -> _Material:
        settings, backbone = self.settings, self.backbone
        photos = Photos.of(identity, settings.references, keyword, backbone)
        prior = self._prior(identity.class_noun, seed) if settings.prior_weight > 0 else None
        return _Material(photos, prior, backbone.encode(f"a {identity.class_noun}"))

    def _trial(
        self,
        material: _Material,
        keyword: Keyword,
        texts: Sequence[tuple[str, str]],
        untuned: tuple[float, float],
        seed: int,
        rate: float,
        report: Told,
    ) -> _Trial:
        """One tuning from the first step to the last, beside how the untuned model was judged."""
        import torch

        settings, backbone = self.settings, self.backbone
        generator = torch.Generator().manual_seed(seed)
        alpha = float(settings.rank)

        parameters = backbone.add_lora(settings.rank, alpha, settings.targets, generator, side="image")

        def loss() -> tuple[Tensor, Tensor]:
            z, words = material.photos.some(settings.batch, generator)
            if material.prior is not None:
                other = torch.randint(len(material.prior), (settings.batch,), generator=generator)
                z = torch.cat([z, material.prior[other]])
                words += [material.class_text] * settings.batch
            error = backbone.errors(z, words, generator).flatten(1).mean(dim=1)
            photos = error[: settings.batch].mean()
            if material.prior is None:
                return photos, photos
            return photos + settings.prior_weight * error[settings.batch :].mean(), photos

        descend(parameters, settings.steps, rate, loss, report)
        tuned = self._judged(material, keyword, texts, seed)
        tensors = backbone.lora_tensors(alpha, settings.rank, side="image")
        backbone.remove_lora("image")
        return _Trial(tensors, tuned[0] / untuned[0], tuned[1] / untuned[1])

    def _judged(
        self, material: _Material, keyword: Keyword, texts: Sequence[tuple[str, str]], seed: int
    ) -> tuple[float, float]:
        """Error of the photos, and match of pictures with prompts, from the same noise each time.

        Args:
            texts: prompts, each without and with the keyword.
        """
        import torch

        with torch.no_grad():
            backbone = self.backbone
            fixed = torch.Generator().manual_seed(stable_seed("divergence", seed) % (1 << 62))
            error = backbone.errors(material.photos.latents, material.photos.words, fixed).flatten(1).mean(dim=1).mean()
            match = []
            for i, (plain, named) in enumerate(texts):
                picture = backbone.decode(self._drawn(backbone.encode(named, keyword.tokens), seed + i), side="image")
                match.append(self._semantic().scores(picture, plain))
            return float(error), float(torch.cat(match).mean())

    def _prior(self, class_noun: str, seed: int) -> Float[Tensor, "n c 1 h w"]:
        """Latents of class pictures by the untuned text-to-image model, kept for the next identity of the class."""
        import torch

        with torch.no_grad():
            if self._priors is None:
                self._priors = {}
            if (class_noun, seed) not in self._priors:
                self.backbone.reset()
                seeds = [seed + 1 + i for i in range(self.settings.prior_images)]
                words = self.backbone.encode(f"a {class_noun}")
                self._priors[class_noun, seed] = torch.cat([self._drawn(words, number) for number in seeds])
            return self._priors[class_noun, seed]

    def _drawn(self, words: Words, seed: int) -> Float[Tensor, "1 c 1 h w"]:
        """A picture's latent (1, c, 1, h, w) by the text-to-image model as it is now."""
        return self.backbone.denoise(self.backbone.noise(seed, "image"), words, side="image")

    def _semantic(self) -> SemanticReward:
        if self._reward is None:
            self._reward = load_semantic_reward(self.profile, str(self.backbone.device))
        return self._reward


def _silent(step: int, losses: Mapping[str, float]) -> None:
    """Progress that is not counted."""
