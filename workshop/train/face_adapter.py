"""Trains the photo prompt, ID-Animator in miniature, on pictures first and then on videos."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from pvbench.backbones.attention import choose_attention, see_all_frames
from pvbench.backbones.image_prompt import ImagePromptAttention, Shown, cross_attention
from pvbench.rewards.face_adapter import ADAPTER, CONFIG, LORA, encoded
from workshop import dataset
from workshop.train.adapters import add_lora, denoising_loss, save_lora, take_lora
from workshop.train.autoencoder import to_images
from workshop.train.card import write_card
from workshop.train.image_encoder import SIDE, SPREAD, WIDTH, faces_of
from workshop.train.loop import Place, Plan, Trainer, generator_on
from workshop.train.motion import JOINT_ATTENTION, load_sides
from workshop.train.samples import Samples, encode
from workshop.train.text_to_image import load_vae, make_scheduler

PICTURES_PLAN = Plan(steps=6000, batch=16, rate=2e-3, average=0.998, decay=0.5, precision="auto", optimiser="muon")
VIDEOS_PLAN = Plan(steps=1000, batch=4, rate=1e-3, average=0.995, decay=0.5, precision="auto", optimiser="muon")
# Minutes of a GPU; not run yet.
GPU_PICTURES_PLAN = replace(PICTURES_PLAN, steps=3000, batch=256, precision="mixed")
GPU_VIDEOS_PLAN = replace(VIDEOS_PLAN, batch=32, precision="mixed")
RANK = 16  # published: 128, of networks that are 320 to 1280 wide
QUERIES = 8  # published: 16
_DROP = 0.05  # of the photo, of the text, and of both


class Resampler(nn.Module):
    """IP-Adapter Plus' projection of an image encoder's states, under the published names.

    Source: Ye et al., "IP-Adapter", 2023; the Perceiver of Flamingo. diffusers reads these names.
    """

    def __init__(self, width: int = WIDTH, depth: int = 4, heads: int = 2, queries: int = QUERIES) -> None:
        super().__init__()
        self.latents = nn.Parameter(torch.randn(1, queries, width) / width**0.5)
        self.proj_in, self.proj_out = nn.Linear(width, width), nn.Linear(width, width)
        self.norm_out = nn.LayerNorm(width)
        self.layers = nn.ModuleList(nn.ModuleList([_Looking(width, heads), _forward(width)]) for _ in range(depth))

    def forward(self, states: Tensor) -> Tensor:
        """Tokens (n, queries, width) of states (n, length, width)."""
        x = self.proj_in(states)
        latents = self.latents.expand(len(x), -1, -1)
        for layer in self.layers:
            looking, forward = layer.children()
            latents = latents + looking(x, latents)
            latents = latents + forward(latents)
        found: Tensor = self.norm_out(self.proj_out(latents))
        return found


class _Looking(nn.Module):
    """Queries look at the states and at each other; heads are 64 wide, which diffusers' loader takes for granted."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.to_q = nn.Linear(width, 64 * heads, bias=False)
        self.to_kv = nn.Linear(width, 128 * heads, bias=False)
        self.to_out = nn.Linear(64 * heads, width, bias=False)

    def forward(self, states: Tensor, latents: Tensor) -> Tensor:
        def split(x: Tensor) -> Tensor:
            found: Tensor = x.unflatten(-1, (self.heads, 64)).transpose(1, 2)
            return found

        latents = self.norm2(latents)
        seen = torch.cat([self.norm1(states), latents], dim=1)
        key, value = self.to_kv(seen).chunk(2, dim=-1)
        found = functional.scaled_dot_product_attention(split(self.to_q(latents)), split(key), split(value))
        out: Tensor = self.to_out(found.transpose(1, 2).flatten(2))
        return out


def _forward(width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.LayerNorm(width), nn.Linear(width, 4 * width, bias=False), nn.GELU(), nn.Linear(4 * width, width, bias=False)
    )


class AdapterInTraining(nn.Module):
    """The resampler, and keys and values of its tokens for each cross-attention layer of a UNet, in their places.

    Keys and values begin as those of the text, as published.
    """

    def __init__(self, unet: Any) -> None:
        super().__init__()
        self.resampler = Resampler()
        self.shown = Shown()
        layers = [unet.get_submodule(name.removesuffix(".processor")) for name in cross_attention(unet)]
        self.keys, self.values = (
            nn.ParameterList(nn.Parameter(getattr(layer, name).weight.detach().clone()) for layer in layers)
            for name in ("to_k", "to_v")
        )
        processors = dict(unet.attn_processors)
        for name, key, value in zip(cross_attention(unet), self.keys, self.values, strict=True):
            processors[name] = ImagePromptAttention(processors[name], key, value, 1.0, self.shown)
        unet.set_attn_processor(processors)

    def tensors(self) -> dict[str, Tensor]:
        """Everything under the keys that `load_ip_adapter` reads."""
        found = {f"image_proj.{name}": value for name, value in self.resampler.state_dict().items()}
        for i, (key, value) in enumerate(zip(self.keys, self.values, strict=True)):
            found |= {f"ip_adapter.{2 * i + 1}.to_k_ip.weight": key, f"ip_adapter.{2 * i + 1}.to_v_ip.weight": value}
        return {name: value.detach().half().contiguous().cpu() for name, value in found.items()}

    def take(self, tensors: Mapping[str, Tensor]) -> None:
        """Begins from the tensors of an earlier stage."""
        state = {name.removeprefix("image_proj."): value.float() for name, value in tensors.items()}
        self.resampler.load_state_dict({name: state[name] for name in self.resampler.state_dict()})
        with torch.no_grad():
            for i, (key, value) in enumerate(zip(self.keys, self.values, strict=True)):
                key.copy_(state[f"ip_adapter.{2 * i + 1}.to_k_ip.weight"])
                value.copy_(state[f"ip_adapter.{2 * i + 1}.to_v_ip.weight"])


@dataclass(frozen=True)
class Prompted:
    """Samples, and for each the states of a photo of the same person with the same look.

    Attributes:
        states: float16 (photos, length, width) of all photos.
        photo: (n,) which of them stands beside a sample.
        empty: (1, length, width), of a black picture.
    """

    samples: Samples
    states: Tensor
    photo: Tensor
    empty: Tensor

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Latents, face weights, tokens and states; some without photo, some without text, some without either."""
        device = self.samples.latents.device
        pick = torch.randint(len(self.samples), (count,), generator=generator, device=device)
        which = torch.randint(self.samples.words.shape[1], (count,), generator=generator, device=device)
        kind = torch.rand(count, generator=generator, device=device)
        blind, silent = kind < 2 * _DROP, (kind >= _DROP) & (kind < 3 * _DROP)
        words = torch.where(silent[:, None], self.samples.no_words, self.samples.words[pick, which])
        states = torch.where(blind[:, None, None], self.empty, self.states[self.photo[pick]].float())
        return self.samples.latents[pick].float(), self.samples.faces[pick].float(), words.long(), states


def partners(
    people: NDArray[np.int32], photos: NDArray[np.int32], places: NDArray[np.int64] | None = None
) -> NDArray[np.int64]:
    """For each sample the photo that stands beside it: of the same person with the person's own look.

    Args:
        people: (n,) whom each sample shows.
        photos: (m,) whom each photo shows, in the order of the data set.
        places: (n,) which photo each sample is, where the samples are photos: another one is taken if there is one.

    Raises:
        ValueError: a person has no photo.
    """
    own: dict[int, list[int]] = {}
    for i in own_looks(photos).tolist():
        own.setdefault(int(photos[i]), []).append(i)
    found = []
    for k, who in enumerate(people.tolist()):
        theirs = own.get(who, [])
        if not theirs:
            raise ValueError(f"person {who} has no photo")
        others = theirs if places is None else [i for i in theirs if i != places[k]] or theirs
        found.append(others[k % len(others)])
    return np.array(found, np.int64)


def own_looks(people: NDArray[np.int32]) -> NDArray[np.int64]:
    """Places of the samples (n,) that show a person with the person's own look: every second one."""
    seen: dict[int, int] = {}
    kept = []
    for i, who in enumerate(people.tolist()):
        number = seen[who] = seen.get(who, -1) + 1
        if number % 2 == 0:
            kept.append(i)
    return np.array(kept, np.int64)


def prompted(place: Place, kind: str, pool: str, seed: int, samples: int | None = None) -> Prompted:
    """Photos or videos of a pool with the states of photos beside them."""
    from transformers import CLIPVisionModelWithProjection, PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast.from_pretrained(place.finished("tokenizer"))
    encoder = CLIPVisionModelWithProjection.from_pretrained(place.finished("face_image_encoder"))
    encoder = encoder.float().to(place.device).eval()
    photos = dataset.load(place.data, pool, "photo")
    shard = photos if kind == "photo" else dataset.load(place.data, pool, kind, samples)
    kept = own_looks(shard.person)
    kept = kept[np.isin(shard.person[kept], photos.person)][:samples]
    beside = partners(shard.person[kept], photos.person, kept if kind == "photo" else None)
    chosen = dataset.Shard(*(getattr(shard, field)[kept] for field in dataset.Shard.__dataclass_fields__))
    faces = faces_of(photos)
    states = torch.cat(
        [encoded(encoder, to_images(faces[i : i + 256]).to(place.device)).half() for i in range(0, len(faces), 256)]
    )
    black = encoded(encoder, torch.zeros(1, 3, SIDE, SIDE, device=place.device))
    made = encode(load_vae(place), tokenizer, chosen, place, seed)
    return Prompted(made, states, torch.from_numpy(beside).to(place.device), black)


def train_pictures(place: Place, plan: Plan = PICTURES_PLAN) -> None:
    """The first stage, on the text-to-image side; saves `<out>/face_adapter_pictures`."""
    _, text, unet = load_sides(place)
    choose_attention(unet, place.device)
    data, held = prompted(place, "photo", "train-a", plan.seed), prompted(place, "photo", "held-out", plan.seed, 128)
    _train(place, plan, "face_adapter_pictures", text, unet, data, held, lambda latent: latent[:, :, 0])


def train_videos(place: Place, plan: Plan = VIDEOS_PLAN) -> None:
    """The second stage, on the text-to-video side with its motion modules; saves `<out>/face_adapter`."""
    _, text, unet2d = load_sides(place)
    unet = video_unet(unet2d, place)
    data = prompted(place, "video", "train-a", plan.seed)
    held = prompted(place, "video", "held-out", plan.seed, 64)
    _train(place, plan, "face_adapter", text, unet, data, held, lambda latent: latent, "face_adapter_pictures")


def video_unet(unet2d: Any, place: Place) -> Any:
    """The text-to-video UNet as it samples: motion modules in, domain adapter fused, frozen."""
    from diffusers import MotionAdapter, UNetMotionModel
    from peft import set_peft_model_state_dict

    from workshop.train.motion import add_domain_adapter

    motion = MotionAdapter.from_pretrained(place.finished("motion_adapter")).float()
    unet = UNetMotionModel.from_unet2d(unet2d, motion).to(place.device)
    add_domain_adapter(unet)
    state = load_file(place.finished("domain_adapter") / LORA)
    plain = {name.removeprefix("unet."): value.float() for name, value in state.items()}
    set_peft_model_state_dict(unet, plain, adapter_name="domain")
    unet.fuse_lora()
    unet.unload_lora()
    unet.requires_grad_(False).eval()
    choose_attention(unet, place.device)
    see_all_frames(unet, JOINT_ATTENTION)
    return unet


def _train(
    place: Place,
    plan: Plan,
    name: str,
    text: Any,
    unet: Any,
    data: Prompted,
    held: Prompted,
    shaped: Callable[[Tensor], Tensor],
    before: str = "",
) -> None:
    torch.manual_seed(67 + plan.seed)
    model = AdapterInTraining(unet).to(place.device)
    add_lora(unet, RANK)
    if before:
        take(model, unet, place, before)
    scheduler = make_scheduler()

    def loss_on(batch: tuple[Tensor, Tensor, Tensor, Tensor], generator: torch.Generator) -> Tensor:
        latents, near, words, states = batch
        model.shown.tokens = model.resampler(states).repeat_interleave(latents.shape[2], 0)
        try:
            return denoising_loss(unet, text, scheduler, latents, near, words, generator, shaped)
        finally:
            model.shown.tokens = None

    def step(_: int, rng: np.random.Generator) -> dict[str, Tensor]:
        generator = generator_on(place.device, rng)
        return {"total": loss_on(data.draw(plan.batch, generator), generator)}

    def look(_: int) -> dict[str, float]:
        return measure_adapter(held, loss_on)

    trainer = Trainer(name, {"adapter": model, "unet": unet}, step, plan, place, look, look_every=500)
    quality = trainer.run()
    told = f"{len(data.samples)} samples of pool train-a"
    _save(place, name, model, unet, told, trainer, plan, quality, place.finished(before) if before else None)


@torch.no_grad()
def measure_adapter(held: Prompted, loss_on: Callable[..., Tensor], part: int = 16) -> dict[str, float]:
    """Loss on held-out people with a photo of their own, with somebody else's, and without any."""
    kinds = {
        "own_photo": held.states[held.photo].float(),
        "another_photo": held.states[held.photo.roll(len(held.photo) // 2)].float(),
        "no_photo": held.empty.expand(len(held.photo), -1, -1),
    }
    found = {}
    for kind, states in kinds.items():
        # Drawn on the CPU, and anew for each kind: all see the same noise.
        generator, total, start = torch.Generator().manual_seed(3), 0.0, 0
        for latents, near, words in held.samples.split(part):
            beside = states[start : start + len(latents)]
            total += float(loss_on((latents, near, words, beside), generator)) * len(latents)
            start += len(latents)
        found[kind] = total / len(held.samples)
    return found


def take(model: AdapterInTraining, unet: Any, place: Place, before: str) -> None:
    """Begins from an earlier stage's adapter and LoRA."""
    folder = place.finished(before)
    model.take(load_file(folder / ADAPTER))
    take_lora(unet, folder / LORA)


def _save(
    place: Place,
    name: str,
    model: AdapterInTraining,
    unet: Any,
    data: str,
    trainer: Trainer,
    plan: Plan,
    quality: Any,
    before: Path | None,
) -> None:
    folder = place.out / name
    folder.mkdir(parents=True, exist_ok=True)
    save_file(model.tensors(), folder / ADAPTER)
    save_lora(unet, folder / LORA)
    (folder / CONFIG).write_text(json.dumps({"spread": SPREAD}, indent=2) + "\n")
    write_card(
        folder, "IP-Adapter Plus", "photo of a face as a prompt", data, trainer, plan, quality, before, rank=RANK
    )
