"""PersonalVideo with additions of our own: photos first, and guards against what rewards breed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pvbench.backbone import IMAGES
from pvbench.errors import SettingError
from pvbench.identity import Identity
from pvbench.keyword import Keyword, at_least
from pvbench.method import Adapter, Request, Told
from pvbench.profile import Profile
from pvbench.prompt import PromptSet
from pvbench.reward import Jitter, divergence, shortfall
from pvbench.video import Video

from .dreambooth_lora import Photos, descend
from .personalvideo import PersonalVideo, PersonalVideoSettings, Prefix, Stage, places

if TYPE_CHECKING:
    import torch
    from jaxtyping import Float
    from torch import Tensor

    from pvbench.latent_backbone import Side


_PHOTOS = 4
"""Photos in a step that reconstructs them, as in `dreambooth_lora`."""


@dataclass(frozen=True)
class PersonalVideoPlusSettings(PersonalVideoSettings):
    """Settings of PersonalVideo with additions, beside those of PersonalVideo; none of these is printed.

    From `warm_steps` on they are off by default: docs/lab/README.md has what came of them.

    Attributes:
        photo_steps, photo_rate: so many steps before all others reconstruct the photos on the text-to-image model by
            the loss of `dreambooth_lora`: a recogniser sees neither skin nor hair. 0 is none. Unlike there, `targets`
            are this method's, and a divergence is not looked for.
        photo_teacher: what rewards, anchor and centre compare with in tuning is the model as these steps left it, in
            place of the frozen one, so that the anchor keeps the person's skin and hair. Not with a finish.
        pixel_anchor: weight of the squared distance to the teacher's frame: outside of the face, which keeps all that
            is not the person; in the face, of what is not grey in the change, which keeps coloured patches out; and
            everywhere in the finest detail, which keeps grain out.
        centre: the shift of whole latent channels that all of a video has in common is taken out of what the adapter
            changes, in tuning and sampling: the eye sees it as a grid, and the face does not need it. In sampling the
            change is that from the frozen model.
        crop_jitter: size of random changes of the generated faces: colour as for references, shift, scale and blur.
        scr_floor: weight of the loss for a match lower than the teacher's in all frames, which eq. 4 cannot see.
        warm_steps, warm_rate: so many steps before those on videos tune on single pictures of the text-to-image model,
            by the same rewards at an eighth of the cost.
        icr_frames: so many random frames carry the identity reward in a step; the paper takes one.
        scr_weight: weight of the semantic reward beside the identity reward's 1; the paper's is 1.
        ceiling: the cosine above which a frame's likeness earns no more: what lies beyond is texture that pleases the
            recogniser rather than the person. 1 is none.
        finish: share of the steps, at the end, that the frozen model takes without the adapter, from fresh noise on the
            latent that the adapter's last step predicts: grid and grain, which rewards breed, are noise to it and go.
            0 is none; a share below a whole step is refused.
    """

    photo_steps: int = 120
    photo_rate: float = 1e-3
    photo_teacher: bool = True
    pixel_anchor: float = 24.0
    centre: bool = True
    crop_jitter: float = 0.15
    scr_floor: float = 0.1
    warm_steps: int = 0
    warm_rate: float = 8e-3
    icr_frames: int = 1
    scr_weight: float = 1.0
    ceiling: float = 1.0
    finish: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.finish < self.span:
            raise SettingError(f"finish is {self.finish}; expected a share of the steps, 0 to below span, {self.span}")
        if self.photo_teacher and not (self.photo_steps and self.prefixes):
            raise SettingError("photo_teacher needs photo_steps and prefixes above 0; set these, or photo_teacher=off")
        if self.photo_teacher and self.finish:
            raise SettingError("photo_teacher and finish end a video differently; set finish=0, or photo_teacher=off")
        if not 0 < self.ceiling <= 1:
            raise SettingError(f"ceiling is {self.ceiling}; expected a cosine, above 0 and at most 1")
        at_least("must be positive", self, ("icr_frames",), 1)
        at_least("must be positive", self, ("warm_rate", "photo_rate"), math.ulp(0.0))
        weights = ("scr_weight", "scr_floor", "pixel_anchor", "crop_jitter")
        at_least("cannot be negative", self, ("warm_steps", "photo_steps", *weights), 0)

    @property
    def end(self) -> float:
        """Where in the trajectory the adapter's span ends, as a share of it."""
        return 1 - self.finish


class PersonalVideoPlus(PersonalVideo):
    """PersonalVideo's rewards and isolated adapter, with additions that are not the paper's.

    docs/personalvideo.md has a table of the additions and their reasons.
    """

    name: ClassVar[str] = "personalvideo_plus"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "not the paper: PersonalVideo's rewards, held to what an adapter of the photos shows"
    Settings: ClassVar[type] = PersonalVideoPlusSettings
    settings: PersonalVideoPlusSettings

    @classmethod
    def asks(cls, settings: Any) -> frozenset[str]:
        """What PersonalVideo asks for, and a side of images for the pictures or photos that come first."""
        return super().asks(settings) | ({IMAGES} if settings.warm_steps or settings.photo_steps else set())

    @classmethod
    def check(cls, settings: Any, profile: Profile, identities: Sequence[Identity], prompts: PromptSet) -> None:
        """Refuses what PersonalVideo refuses, and a finish that is shorter than a step of the profile's sampling.

        Raises:
            SettingError: for any of these.
        """
        super().check(settings, profile, identities, prompts)
        steps = profile.sampling.steps
        if settings.finish > 0 and settings.finish * steps < 1 - 1e-9:
            raise SettingError(
                f"finish is {settings.finish}, less than one of the profile's {steps} steps; set it to {1 / steps:g} "
                f"or more, or to 0 for none"
            )

    def sampled(self, text: str, request: Request, adapter: Adapter, keyword: Keyword) -> Video:
        """The video of a prompt's text, centred; the frozen model takes the steps of a finish from fresh noise."""
        centre = self.settings.centre
        return self.backbone.sample(
            text, request.noise_seed, adapter.span, renew=True, centre=centre, tokens=keyword.tokens
        )

    @property
    def photo_steps(self) -> int:
        """How many steps reconstruct the photos."""
        return self.settings.photo_steps

    def first_values(
        self, identity: Identity, keyword: Keyword, generator: torch.Generator, told: Told
    ) -> dict[str, Tensor]:
        """An adapter that reconstructs the photos, and their mirror images, on the text-to-image model."""
        settings, backbone = self.settings, self.backbone
        if not settings.photo_steps:
            return {}
        backbone.reset()
        photos = Photos.of(identity, settings.references, keyword, backbone)
        parameters = backbone.add_lora(settings.rank, float(settings.rank), settings.targets, generator, side="image")

        def loss() -> tuple[Tensor, Tensor]:
            error = backbone.errors(*photos.some(_PHOTOS, generator), generator).mean()
            return error, error

        descend(parameters, settings.photo_steps, settings.photo_rate, loss, told)
        values = backbone.lora_values("image")
        backbone.remove_lora("image")
        return values

    @property
    def taught(self) -> bool:
        """Whether the teacher is what the photos made of the frozen model."""
        return self.settings.photo_teacher

    @contextmanager
    def teacher(self, first_values: Mapping[str, Tensor], side: Side) -> Iterator[None]:
        """Inside of the block the backbone is the frozen model, or what the photos made of it."""
        import torch

        settings, backbone = self.settings, self.backbone
        if not settings.photo_teacher:
            yield
            return
        backbone.add_lora(
            settings.rank,
            float(settings.rank),
            settings.targets,
            torch.Generator().manual_seed(0),
            dict(first_values),
            side,
        )
        try:
            yield
        finally:
            backbone.remove_lora(side)

    def stages(self) -> Sequence[Stage]:
        """Pictures, if they are asked for, then what PersonalVideo tunes."""
        return (Stage("image", self.settings.warm_steps, self.settings.warm_rate), *super().stages())

    def loss(
        self, prefix: Prefix, reference: Any, generator: torch.Generator
    ) -> tuple[Float[Tensor, ""], dict[str, float]]:
        """The loss of one video or picture, with gradient, and its parts."""
        from pvbench.latent_backbone import centred

        settings = self.settings
        identity_reward, semantic_reward = self.rewards()
        latent = self._finished(prefix, generator)
        if settings.centre:
            latent = centred(latent, prefix.ending)
        frozen = self.frozen(prefix, generator)
        faces = places(frozen, settings.icr_frames, generator)
        some = places(frozen, settings.scr_frames, generator) if settings.scr else []
        chosen = sorted({*faces, *some})
        losses: dict[str, float] = {}

        def score(images: Float[Tensor, "n 3 H W"]) -> Float[Tensor, ""]:
            jitter = Jitter(settings.jitter, settings.crop_jitter, settings.crop_jitter)
            lost = identity_reward(images[[chosen.index(i) for i in faces]], reference, jitter, generator)
            loss = images.sum() * 0.0
            if lost is not None:
                loss = loss + (lost - (1 - settings.ceiling)).clamp(min=0).mean()
                losses["identity"] = float(lost.mean().detach())
            if settings.scr:
                tuned = semantic_reward.scores(images[[chosen.index(i) for i in some]], prefix.text)
                apart = divergence(tuned, frozen.scores[some], settings.temperature)
                floor = shortfall(tuned, frozen.scores[some], settings.temperature)
                loss = loss + settings.scr_weight * (apart + settings.scr_floor * floor)
                losses["semantic"] = float(apart.detach())
            if settings.pixel_anchor > 0:
                outside = 1 - identity_reward.face_mask(frozen.images[chosen])
                anchor = pixel_anchor(images - frozen.images[chosen], outside)
                loss = loss + settings.pixel_anchor * anchor
                losses["anchor"] = float(anchor.detach())
            return loss

        numbers = [frozen.frames[i] for i in chosen]
        return self.backbone.through_pixels(latent, numbers, score, prefix.side), losses

    def _finished(self, prefix: Prefix, generator: torch.Generator) -> Float[Tensor, "1 c T h w"]:
        """The tuned model's end of the trajectory and, without the adapter, the frozen model's last steps after it."""
        import torch

        settings, backbone, side = self.settings, self.backbone, prefix.side
        first, last = backbone.active_steps(self.active)
        if last == backbone.steps:
            return self._end(prefix)
        carried = last - first if settings.gradient_steps == 0 else min(settings.gradient_steps, last - first)
        with torch.no_grad():
            latent = backbone.denoise(prefix.latent, prefix.words, first, last - carried, side)
        latent = backbone.clean(latent, prefix.words, last - carried, last, side)
        noise = backbone.noise(int(torch.randint(1 << 62, (1,), generator=generator)))
        latent = backbone.noised(latent, last, noise if side == "video" else noise[:, :, :1])
        with backbone.without_lora(side):
            return backbone.denoise(latent, prefix.words, last, None, side)


def pixel_anchor(drift: Float[Tensor, "n 3 H W"], outside: Float[Tensor, "n 1 H W"]) -> Float[Tensor, ""]:
    """What the change of images (n, 3, H, W) costs: all of it outside of the face, its colour within, grain everywhere.

    Args:
        drift: tuned less taught.
        outside: (n, 1, H, W), 1 far from the face and 0 on it.
    """
    tint = drift - drift.mean(dim=1, keepdim=True)
    return (outside * drift.square() + (1 - outside) * tint.square() + _fine(drift).square()).mean()


def _fine(images: Float[Tensor, "n 3 H W"]) -> Float[Tensor, "n 3 H W"]:
    """What 3 x 3 averages take away: grain and the autoencoder's grid, hardly anything of a face."""
    import torch

    padded = torch.nn.functional.pad(images, (1, 1, 1, 1), mode="replicate")
    return images - torch.nn.functional.avg_pool2d(padded, 3, 1)
