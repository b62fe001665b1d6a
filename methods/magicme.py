"""MagicMe: words for a person, learned on the person's pixels alone, and frames that begin from correlated noise."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from pvbench.backbone import IMAGES, LATENTS, TOKENS
from pvbench.digest import stable_seed
from pvbench.errors import MethodError, SettingError
from pvbench.identity import Identity
from pvbench.keyword import MOST_WORDS, at_least, check_tokens, first_vectors, photos_and_captions, photos_asked_for
from pvbench.method import Adapter, Method, Progress, Request, added, sampling_only
from pvbench.pixels import photo_tensor, to_tensor
from pvbench.profile import Profile
from pvbench.prompt import Prompt, PromptSet, spelled
from pvbench.reward import SEGMENTER, PersonSegmenter, load_segmenter
from pvbench.video import Video

if TYPE_CHECKING:
    from types import EllipsisType

    import torch
    from jaxtyping import Bool, Float
    from torch import Tensor

    from pvbench.latent_backbone import LatentBackbone, Tokens

CAPTION = Prompt("caption", "photo of a <V>")
"""What every photo is called; what else it shows is masked."""


@dataclass(frozen=True)
class MagicMeSettings:
    """Settings of MagicMe; defaults are those of the published code where it has them.

    Attributes:
        references: how many of the identity's photos are tuned on, the first ones; 0 is all of them.
        token_words: how many vectors stand for the person.
        steps, rate, decay, batch: of AdamW, at a constant rate; the decay is that of the learned vectors only.
        mask: whether the loss counts the person's pixels only.
        whole: with which probability a picture counts as a whole all the same.
        mirror: with which probability a picture is mirrored.
        turn: standard deviation of a turn, in degrees.
        smallest, largest: least and greatest size at which a photo is shown, 1 being its own; a smaller one stands on
            grey, which does not count.
        correlation: of the initial noise: frames i and j have the covariance `correlation` ** |i - j|.
        face_vcd: whether the second stage follows, which makes the head again from nearer by.
        face_denoise: how much of the steps the second stage takes again, from 0 to 1.
        face_crop: how large a part of the frame the second stage sees, in sides of the part that just holds the head in
            all frames.

    Raises:
        SettingError: a value is out of its range.
    """

    references: int = 0
    token_words: int = 4
    steps: int = 400
    rate: float = 1e-3
    decay: float = 1e-2
    batch: int = 4
    mask: bool = True
    whole: float = 0.05
    mirror: float = 0.5
    turn: float = 5.0
    smallest: float = 0.6
    largest: float = 1.4
    correlation: float = sampling_only(0.05)
    face_vcd: bool = sampling_only(added(False))
    face_denoise: float = sampling_only(added(0.8))
    face_crop: float = sampling_only(added(2.0))

    def __post_init__(self) -> None:
        at_least("cannot be negative", self, ("references", "decay", "whole", "mirror", "turn", "correlation"), 0)
        at_least("must be positive", self, ("token_words", "steps", "batch"), 1)
        at_least("must be positive", self, ("rate", "smallest"), math.ulp(0.0))
        if self.token_words > MOST_WORDS:
            raise SettingError(f"token_words is {self.token_words}; at most {MOST_WORDS}, or prompts would be cut off")
        for name in ("whole", "mirror"):
            if getattr(self, name) > 1:
                raise SettingError(f"{name} is {getattr(self, name)}; expected a probability, from 0 to 1")
        if not self.smallest <= 1 <= self.largest:
            raise SettingError(f"smallest is {self.smallest} and largest {self.largest}; expected 1 between them")
        if self.correlation >= 1:
            raise SettingError(f"correlation is {self.correlation}; expected a number from 0 to below 1")
        if not 0 < self.face_denoise <= 1:
            raise SettingError(
                f"face_denoise is {self.face_denoise}; expected a share of the steps, above 0 and up to 1"
            )
        if self.face_crop < 1:
            raise SettingError(f"face_crop is {self.face_crop}; expected at least 1, the head itself")


class MagicMe(Method):
    """Textual inversion under a mask of the person, on the text-to-image side; nothing of the network is changed.

    Source: Ma et al., "Magic-Me: Identity-Specific Video Customized Diffusion", 2024, its first stage (ID module and 3D
    Gaussian noise prior) and, with `face_vcd`, its second; Zhen-Dong/Magic-Me@16bf220. `docs/magicme.md` lists what is
    kept and what is not.
    """

    name: ClassVar[str] = "magicme"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "words learned on the person's masked pixels, frames from correlated noise"
    tunes: ClassVar[bool] = True
    Settings: ClassVar[type] = MagicMeSettings

    settings: MagicMeSettings
    backbone: LatentBackbone
    _segmenter: PersonSegmenter | None = None

    @classmethod
    def asks(cls, settings: Any) -> frozenset[str]:
        """A side of images on which words can be learned, and a segmenter for the masked loss and the second stage."""
        return frozenset({LATENTS, IMAGES, TOKENS, *((SEGMENTER,) if settings.mask or settings.face_vcd else ())})

    @classmethod
    def check(cls, settings: Any, profile: Profile, identities: Sequence[Identity], prompts: PromptSet) -> None:
        """Refuses more photos than an identity has.

        Raises:
            SettingError: naming the identity.
        """
        for identity in identities:
            photos_asked_for(identity, settings.references)

    def tune(self, identity: Identity, prompts: PromptSet, *, seed: int, progress: Progress) -> Adapter:
        """Words for the person.

        Raises:
            MethodError: no person is found in a photo.
        """
        import torch

        settings, backbone = self.settings, self.backbone
        backbone.reset()
        generator = torch.Generator().manual_seed(seed)
        photos, _ = photos_and_captions(identity, settings.references)
        images = photo_tensor(photos, backbone.sampling.height, backbone.sampling.width, backbone.device)
        masks = self._masks(images, identity)
        name = f"<{identity.name.lower()}>"
        text = CAPTION.render(identity.class_noun, spelled(name, settings.token_words))
        vectors = torch.nn.Parameter(first_vectors(backbone, identity.class_noun, settings.token_words, generator))
        optimiser = torch.optim.AdamW([vectors], lr=settings.rate, weight_decay=settings.decay)
        for step in range(settings.steps):
            pick = torch.randint(len(images), (settings.batch,), generator=generator)
            seen, counts = self._augmented(images[pick], masks[pick], generator)
            latents = backbone.encode_images(seen)
            words = backbone.encode(text, {name: vectors})
            errors = backbone.errors(latents, [words] * settings.batch, generator)
            loss = masked_mean(errors, counts).mean()
            loss.backward()
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            progress(step + 1, settings.steps, {"reconstruction": float(loss.detach())})
        found = vectors.detach().cpu()
        info = {"person_share": round(float(masks.mean()), 4)}
        return Adapter({}, info=info, tokens={name: found}, text_encoder=backbone.text_signature)

    def generate(self, identity: Identity, adapter: Adapter | None, requests: Sequence[Request]) -> Iterator[Video]:
        """One video for each request, its words in the place of the person.

        Raises:
            MethodError: the adapter's words are missing, or do not fit the backbone.
        """
        assert adapter is not None, "a method that tunes is given its adapter"
        if not adapter.tokens:
            raise MethodError("the adapter holds no learned words; tune it again")
        check_tokens(adapter.tokens, adapter.text_encoder, self.backbone, "the adapter")
        self.backbone.reset()
        words = " ".join(spelled(name, len(vectors)) for name, vectors in adapter.tokens.items())
        for request in requests:
            text = request.prompt.render(identity.class_noun, words)
            video = self.backbone.sample(
                text, request.noise_seed, tokens=adapter.tokens, correlation=self.settings.correlation
            )
            yield self._nearer(video, text, adapter.tokens, request.noise_seed) if self.settings.face_vcd else video

    def _nearer(self, video: Video, text: str, tokens: Tokens, noise_seed: int) -> Video:
        """Face VCD: the part around the head, enlarged to a whole video, goes through the last steps once more.

        Of what comes out, the head alone is put back, with a soft edge. A video without a head stays as it is.
        """
        import torch

        settings, backbone = self.settings, self.backbone
        frames = to_tensor(video.frames, backbone.device)
        if backbone.latent_shape()[1] != len(frames):
            raise MethodError("face_vcd takes a backbone with a latent for each frame; tune with face_vcd=off")
        with torch.no_grad():
            heads = self._seen_by_segmenter.head(frames).clone()
            part = part_around(heads > 0.5, settings.face_crop)
            if part is None:
                return video
            near = resized(frames[part], frames.shape[-2:])
            latent = backbone.encode_images(near)[:, :, 0].transpose(0, 1)[None]
            first = backbone.first_step(1 - settings.face_denoise)
            noise = backbone.noise(stable_seed("face vcd", noise_seed), correlation=settings.correlation)
            words = backbone.encode(text, tokens)
            made = backbone.decode(backbone.denoise(backbone.noised(latent, first, noise), words, first))
            made = resized(made.clamp(-1, 1), frames[part].shape[-2:])
            # Hair that is new counts, and hair that is no longer there: what was the head, or is.
            heads[part] = torch.maximum(heads[part], self._seen_by_segmenter.head(made))
            whole = frames.clone()
            whole[part] = made
            share = soft(heads)
            found = ((frames * (1 - share) + whole * share + 1) * 127.5).round().byte().permute(0, 2, 3, 1)
        return Video(np.ascontiguousarray(found.cpu().numpy()), video.fps)

    @property
    def _seen_by_segmenter(self) -> PersonSegmenter:
        if self._segmenter is None:
            self._segmenter = load_segmenter(self.profile, str(self.backbone.device))
        return self._segmenter

    def _masks(self, images: Tensor, identity: Identity) -> Float[Tensor, "n 1 H W"]:
        """Where each photo shows the person: 1 there, 0 elsewhere; 1 everywhere without a mask."""
        import torch

        if not self.settings.mask:
            return torch.ones_like(images[:, :1])
        masks = (self._seen_by_segmenter.person(images) > 0.5).to(images)
        for photo, mask in zip(identity.images, masks, strict=False):
            if not mask.any():
                raise MethodError(f"no person is found in {photo}; replace the photo, or tune with mask=off")
        return masks

    def _augmented(
        self, images: Float[Tensor, "n 3 H W"], masks: Float[Tensor, "n 1 H W"], generator: torch.Generator
    ) -> tuple[Float[Tensor, "n 3 H W"], Float[Tensor, "n 1 H W"]]:
        """Photos mirrored, turned and scaled at random, and what counts of each of their pixels."""
        import torch
        from torch.nn import functional

        settings, n = self.settings, len(images)

        def draw(low: float, high: float) -> Float[Tensor, " n"]:
            return low + (high - low) * torch.rand(n, generator=generator)

        side = torch.where(draw(0, 1) < settings.mirror, -1.0, 1.0)
        angle = torch.randn(n, generator=generator) * math.radians(settings.turn)
        # Two of three photos are shown smaller, one larger, as published.
        smaller = draw(0, 1) < 2 / 3
        size = torch.where(smaller, draw(settings.smallest, 1), draw(1, settings.largest))
        cos, sin = torch.cos(angle) / size, torch.sin(angle) / size
        zero = torch.zeros(n)
        rows = torch.stack([torch.stack([cos * side, -sin, zero], -1), torch.stack([sin * side, cos, zero], -1)], 1)
        grid = functional.affine_grid(rows, [n, 3, *images.shape[-2:]], align_corners=False).to(images.device)
        # What lies outside of the photo is grey, which is 0, and does not count.
        seen = functional.grid_sample(images, grid, padding_mode="zeros", align_corners=False)
        inside = functional.grid_sample(torch.ones_like(masks), grid, padding_mode="zeros", align_corners=False)
        shown = functional.grid_sample(masks, grid, padding_mode="zeros", align_corners=False)
        whole = (draw(0, 1) < settings.whole).to(images.device)[:, None, None, None]
        return seen, torch.where(whole, inside, shown)


def masked_mean(errors: Float[Tensor, "n c 1 h w"], counts: Float[Tensor, "n 1 H W"]) -> Float[Tensor, " n"]:
    """The mean error of each picture over the latent's places that count, each place by how much of it does.

    Args:
        counts: from 0 to 1, at the size of the picture; a picture of which nothing counts has an error of 0.
    """
    from torch.nn import functional

    weights = functional.interpolate(counts, size=errors.shape[-2:], mode="area")
    total = weights.flatten(1).sum(dim=1).clamp(min=1e-6)
    found: Tensor = (errors[:, :, 0] * weights).mean(dim=1).flatten(1).sum(dim=1) / total
    return found


def part_around(heads: Bool[Tensor, "t 1 H W"], crop: float) -> tuple[EllipsisType, slice, slice] | None:
    """Rows and columns of a part of the frame, of its shape, that holds all places of a head; None without a head.

    Args:
        crop: the part's sides, in those of the smallest one that holds all places.
    """
    _, _, rows, columns = heads.nonzero(as_tuple=True)
    if not len(rows):
        return None
    spans = [(int(places.min()), int(places.max()) + 1) for places in (rows, columns)]
    sides = heads.shape[-2:]
    share = min(1.0, crop * max((end - begin) / side for (begin, end), side in zip(spans, sides, strict=True)))
    found = []
    for (begin, end), side in zip(spans, sides, strict=True):
        length = math.ceil(share * side)
        first = min(max(0, (begin + end - length) // 2), side - length)
        found.append(slice(first, first + length))
    return ..., found[0], found[1]


def resized(images: Float[Tensor, "n 3 H W"], size: Sequence[int]) -> Float[Tensor, "n 3 H2 W2"]:
    """Images at another size, in [-1, 1]."""
    from torch.nn import functional

    return functional.interpolate(images, size=tuple(size), mode="bicubic", align_corners=False).clamp(-1, 1)


def soft(heads: Float[Tensor, "t 1 H W"]) -> Float[Tensor, "t 1 H W"]:
    """How much of each pixel is put back: the head, its edge softened over a hundredth of the frame, as published."""
    from torch.nn import functional

    edge = max(1, round(heads.shape[-1] / 100))
    return functional.avg_pool2d((heads > 0.5).to(heads), 2 * edge + 1, 1, edge, count_include_pad=False)
