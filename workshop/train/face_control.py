"""Trains the face control, ConsisID in miniature, on pictures first and then on videos."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from pvbench.backbones.attention import choose_attention
from pvbench.backbones.face_control import FaceControlNetwork, Seen, attach
from pvbench.features.mini.face_extractor import load_recogniser, load_state
from pvbench.features.mini.segmenter_network import Segmenter
from pvbench.rewards.face_adapter import image_encoder
from pvbench.rewards.face_control import CONFIG, CONTROL, LORA, FaceReader
from pvbench.rewards.segmenter import NetworkSegmenter
from workshop import dataset
from workshop.train.adapters import add_lora, denoising_loss, save_lora, take_lora
from workshop.train.autoencoder import to_images
from workshop.train.card import write_card
from workshop.train.face_adapter import own_looks, partners, video_unet
from workshop.train.loop import Place, Plan, Trainer, generator_on
from workshop.train.motion import load_sides
from workshop.train.samples import Samples, encode, encode_frames
from workshop.train.text_to_image import load_vae, make_scheduler

PICTURES_PLAN = Plan(steps=6000, batch=16, rate=2e-3, average=0.998, decay=0.5, precision="auto", optimiser="muon")
VIDEOS_PLAN = Plan(steps=1000, batch=4, rate=1e-3, average=0.995, decay=0.5, precision="auto", optimiser="muon")
# Minutes of a GPU; not run yet.
GPU_PICTURES_PLAN = replace(PICTURES_PLAN, steps=3000, batch=256, precision="mixed")
GPU_VIDEOS_PLAN = replace(VIDEOS_PLAN, batch=32, precision="mixed")
SPREAD = 1.9  # of the head's crop, which shows the hair
RANK = 32  # published: all weights train
_DROP = 0.05  # of the photo, as published; and besides of either branch, so that each learns to do without the other
_SILENT = 0.1  # of the text
_GLOBAL_FIRST = 1 / 3  # of the steps on pictures: coarse to fine
_MASKED = 0.5  # of the samples, whose loss counts in the head alone
_OTHER_PHOTO = 0.5  # of the samples, which see another photo of the person and not their own frame
_CHUNK = 256


@dataclass(frozen=True)
class Heads:
    """What the control reads of photos or frames, on one device.

    Attributes:
        pictures: (m, c, h, w), latents of heads on white.
        identity: (m, d).
        states: (m, length, width) for each depth.
    """

    pictures: Tensor
    identity: Tensor
    states: tuple[Tensor, ...]

    def of(self, rows: Tensor) -> Heads:
        """Those of some rows."""
        return Heads(self.pictures[rows], self.identity[rows], tuple(state[rows] for state in self.states))

    def exact(self) -> Heads:
        """The same in full precision."""
        return Heads(self.pictures.float(), self.identity.float(), tuple(state.float() for state in self.states))

    def where(self, choice: Tensor, other: Heads) -> Heads:
        """Rows of these where the choice (m,) is true, else of the others."""

        def one(mine: Tensor, theirs: Tensor) -> Tensor:
            return torch.where(choice.view(-1, *[1] * (mine.ndim - 1)), mine, theirs)

        states = tuple(one(*both) for both in zip(self.states, other.states, strict=True))
        return Heads(one(self.pictures, other.pictures), one(self.identity, other.identity), states)


@dataclass(frozen=True)
class Batch:
    """What one step learns from.

    Attributes:
        latents: (n, c, T, h, w).
        weights: of the loss (n, 1, T, h, w).
        words: tokens (n, length).
        heads: what stands beside; `picture` and `face`: (n,), 1 where that branch sees it, else 0.
    """

    latents: Tensor
    weights: Tensor
    words: Tensor
    heads: Heads
    picture: Tensor
    face: Tensor


@dataclass(frozen=True)
class Controlled:
    """Samples with a photo of the person beside each, and where heads are.

    Attributes:
        photos: what is read of photos; `own`: of the samples' own first frames.
        photo: (n,) which photo stands beside a sample.
        head: half precision (n, 1, T, h, w), how much of each latent's place shows the head.
    """

    samples: Samples
    photos: Heads
    own: Heads
    photo: Tensor
    head: Tensor

    def draw(self, count: int, generator: torch.Generator) -> Batch:
        """Random samples, with what each of them is spared."""
        device = self.samples.latents.device

        def chance(share: float) -> Tensor:
            return torch.rand(count, generator=generator, device=device) < share

        pick = torch.randint(len(self.samples), (count,), generator=generator, device=device)
        which = torch.randint(self.samples.words.shape[1], (count,), generator=generator, device=device)
        words = torch.where(chance(_SILENT)[:, None], self.samples.no_words, self.samples.words[pick, which])
        heads = self.photos.of(self.photo[pick]).where(chance(_OTHER_PHOTO), self.own.of(pick)).exact()
        noise = torch.randn(heads.pictures.shape, generator=generator, device=device)
        size = (0.5 * torch.randn(count, 1, 1, 1, generator=generator, device=device) - 3).exp()
        heads = replace(heads, pictures=heads.pictures + size * noise)
        blind, no_picture, no_face = (chance(_DROP) for _ in range(3))
        head = self.head[pick].float()
        inside = head / head.mean(dim=(2, 3, 4), keepdim=True).clamp(min=1e-2)
        weights = torch.where(chance(_MASKED).view(-1, 1, 1, 1, 1), inside, self.samples.faces[pick].float())
        seen = ((~(blind | gone)).float() for gone in (no_picture, no_face))
        return Batch(self.samples.latents[pick].float(), weights, words.long(), heads, *seen)


class ControlInTraining(nn.Module):
    """The control on a UNet, with hooks that see what `show` was given last."""

    def __init__(self, unet: Any) -> None:
        super().__init__()
        self.network = FaceControlNetwork(unet)
        self.seen = Seen()
        attach(unet, self.network, self.seen)

    def show(self, batch: Batch, local: bool = True) -> None:
        """From now on the UNet sees the heads of a batch, in every frame of their videos."""
        times = batch.latents.shape[2]
        self.seen.picture = (batch.heads.pictures * batch.picture.view(-1, 1, 1, 1)).repeat_interleave(times, 0)
        self.seen.face = None
        if local:
            face = self.network.face(batch.heads.identity, batch.heads.states)
            self.seen.face = face.repeat_interleave(times, 0)
            self.seen.scale = batch.face.view(-1, 1, 1).repeat_interleave(times, 0)

    def hide(self) -> None:
        """From now on it sees none."""
        self.seen.picture = self.seen.face = None


def load_reader(place: Place) -> FaceReader:
    """What reads photos, of networks that are trained already."""
    folder = place.finished("segmenter")
    network = Segmenter(**json.loads((folder / "config.json").read_text()))
    segmenter = NetworkSegmenter(load_state(network, folder, place.device), place.device)  # type: ignore[arg-type]
    recogniser = load_recogniser(place.finished("face_recogniser_reward").parent, "reward", place.device)
    return FaceReader(segmenter, recogniser, image_encoder(place.finished("face_image_encoder"), place.device), SPREAD)


def read_heads(reader: FaceReader, vae: Any, shard: dataset.Shard, device: torch.device) -> Heads:
    """What the control reads of the first frame of each sample, in half precision."""
    pictures, vectors, states = [], [], []
    for start in range(0, len(shard.frames), _CHUNK):
        part = slice(start, start + _CHUNK)
        images = to_images(shard.frames[part, 0]).to(device)
        landmarks = torch.from_numpy(shard.landmarks[part, 0]).to(device)
        heads = reader.heads(images, landmarks, *images.shape[-2:])
        frames = ((heads + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()
        pictures.append(encode_frames(vae, frames, device))
        identity, seen = reader.local(images, landmarks)
        vectors.append(identity.half())
        states.append([state.half() for state in seen])
    return Heads(torch.cat(pictures), torch.cat(vectors), tuple(torch.cat(each) for each in zip(*states, strict=True)))


@torch.no_grad()
def heads_seen(reader: FaceReader, shard: dataset.Shard, device: torch.device, cells: int = 16) -> Tensor:
    """How much of each latent's place shows the head, by the segmenter: half precision (n, 1, T, cells, cells)."""
    n, times = shard.frames.shape[:2]
    frames = shard.frames.reshape(-1, *shard.frames.shape[2:])
    parts = []
    for start in range(0, len(frames), _CHUNK):
        share = reader.segmenter.head(to_images(frames[start : start + _CHUNK]).to(device))
        parts.append(functional.adaptive_avg_pool2d(share, cells).half())
    return torch.cat(parts).view(n, times, 1, cells, cells).transpose(1, 2).contiguous()


def controlled(place: Place, kind: str, pool: str, seed: int, samples: int | None = None) -> Controlled:
    """Photos or videos of a pool with what is read of photos beside them."""
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast.from_pretrained(place.finished("tokenizer"))
    reader, vae = load_reader(place), load_vae(place)
    photos = dataset.load(place.data, pool, "photo")
    shard = photos if kind == "photo" else dataset.load(place.data, pool, kind, samples)
    kept = own_looks(shard.person)
    kept = kept[np.isin(shard.person[kept], photos.person)][:samples]
    beside = partners(shard.person[kept], photos.person, kept if kind == "photo" else None)
    chosen = dataset.Shard(*(getattr(shard, field)[kept] for field in dataset.Shard.__dataclass_fields__))
    return Controlled(
        encode(vae, tokenizer, chosen, place, seed),
        read_heads(reader, vae, photos, place.device),
        read_heads(reader, vae, chosen, place.device),
        torch.from_numpy(beside).to(place.device),
        heads_seen(reader, chosen, place.device),
    )


def train_pictures(place: Place, plan: Plan = PICTURES_PLAN) -> None:
    """The first stage, on the text-to-image side; saves `<out>/face_control_pictures`."""
    _, text, unet = load_sides(place)
    choose_attention(unet, place.device)
    data, held = (
        controlled(place, "photo", "train-a", plan.seed),
        controlled(place, "photo", "held-out", plan.seed, 128),
    )
    _train(place, plan, "face_control_pictures", text, unet, data, held, lambda latent: latent[:, :, 0])


def train_videos(place: Place, plan: Plan = VIDEOS_PLAN) -> None:
    """The second stage, on the text-to-video side with its motion modules; saves `<out>/face_control`."""
    _, text, unet2d = load_sides(place)
    unet = video_unet(unet2d, place)
    data = controlled(place, "video", "train-a", plan.seed)
    held = controlled(place, "video", "held-out", plan.seed, 64)
    _train(place, plan, "face_control", text, unet, data, held, lambda latent: latent, "face_control_pictures")


def _train(
    place: Place,
    plan: Plan,
    name: str,
    text: Any,
    unet: Any,
    data: Controlled,
    held: Controlled,
    shaped: Callable[[Tensor], Tensor],
    before: str = "",
) -> None:
    torch.manual_seed(71 + plan.seed)
    model = ControlInTraining(unet).to(place.device)
    add_lora(unet, RANK, "[12]")
    if before:
        take(model, unet, place, before)
    scheduler = make_scheduler()

    def loss_on(batch: Batch, generator: torch.Generator, local: bool = True) -> Tensor:
        model.show(batch, local)
        try:
            return denoising_loss(unet, text, scheduler, batch.latents, batch.weights, batch.words, generator, shaped)
        finally:
            model.hide()

    def step(_: int, rng: np.random.Generator) -> dict[str, Tensor]:
        generator = generator_on(place.device, rng)
        local = bool(before) or trainer.share >= _GLOBAL_FIRST
        return {"total": loss_on(data.draw(plan.batch, generator), generator, local)}

    def look(_: int) -> dict[str, float]:
        return measure_control(held, loss_on)

    trainer = Trainer(name, {"control": model, "unet": unet}, step, plan, place, look, look_every=500)
    quality = trainer.run()
    told = f"{len(data.samples)} samples of pool train-a"
    _save(place, name, model, unet, told, trainer, plan, quality, place.finished(before) if before else None)


@torch.no_grad()
def measure_control(held: Controlled, loss_on: Callable[..., Tensor], part: int = 16) -> dict[str, float]:
    """Loss on held-out people with a photo of their own, with somebody else's, and without any."""
    kinds = {"own_photo": held.photo, "another_photo": held.photo.roll(len(held.photo) // 2), "no_photo": held.photo}
    found = {}
    for kind, photo in kinds.items():
        # Drawn on the CPU, and anew for each kind: all see the same noise.
        generator, total, start = torch.Generator().manual_seed(3), 0.0, 0
        for latents, near, words in held.samples.split(part):
            heads = held.photos.of(photo[start : start + len(latents)]).exact()
            seen = torch.full((len(latents),), float(kind != "no_photo"), device=latents.device)
            total += float(loss_on(Batch(latents, near, words, heads, seen, seen), generator)) * len(latents)
            start += len(latents)
        found[kind] = total / len(held.samples)
    return found


def take(model: ControlInTraining, unet: Any, place: Place, before: str) -> None:
    """Begins from an earlier stage's control and LoRA."""
    folder = place.finished(before)
    model.network.load_state_dict({name: value.float() for name, value in load_file(folder / CONTROL).items()})
    take_lora(unet, folder / LORA)


def _save(
    place: Place,
    name: str,
    model: ControlInTraining,
    unet: Any,
    data: str,
    trainer: Trainer,
    plan: Plan,
    quality: Any,
    before: Path | None,
) -> None:
    folder = place.out / name
    folder.mkdir(parents=True, exist_ok=True)
    state = {key: value.half().contiguous().cpu() for key, value in model.network.state_dict().items()}
    save_file(state, folder / CONTROL)
    save_lora(unet, folder / LORA)
    (folder / CONFIG).write_text(json.dumps({"spread": SPREAD}, indent=2) + "\n")
    write_card(
        folder, "ConsisID's branches", "holds the model to a face", data, trainer, plan, quality, before, rank=RANK
    )
