"""CLIP embeddings by open_clip with published weights, as OpenAI's code prepares pictures; HPSv2's score by the same.

The weights are a file on disk: no model is fetched, and no code in a file runs.
"""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from pvbench.errors import WeightsError, did_you_mean
from pvbench.features.cpu.packed import PackedBlock, packable
from pvbench.features.face import crop_faces
from pvbench.machine.devices import torch_device
from pvbench.torchvision_shim import load_open_clip_package
from pvbench.weights.blank import Blank
from pvbench.weights.checkpoint import unwrapped
from pvbench.weights.torchscript import is_archive, read_archive

FACE_SPREAD = 1.9
MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
# Always the same, so that a frame's neighbours in a batch do not depend on the machine's memory.
_CHUNK = 32


Pictures = UInt8[np.ndarray, "frames height width 3"] | Sequence[UInt8[np.ndarray, "_ _ 3"]]
"""RGB frames of a video, or pictures of several sizes."""


def load_open_clip(model: str, path: Path, device: torch.device | str = "cpu") -> OpenClip:
    """An open_clip model with the weights of a file, frozen, in full precision.

    Args:
        model: open_clip's name. OpenAI's weights were trained with QuickGELU and need it in the name:
            `ViT-B-32-quickgelu`, `ViT-L-14-quickgelu`. HPSv2's need `ViT-H-14`.
        path: OpenAI's own .pt archive, safetensors, or a .pt or .bin state dict, also one below the key `state_dict`.
        device: `cpu`, `cuda`, `cuda:1` or `auto`.

    Raises:
        WeightsError: an unknown model, one whose tokenizer only a hub has, or a file that is missing, damaged, would
            run code, or does not fit the model.
        DeviceError: the device is not there.
    """
    place = torch_device(device) if isinstance(device, str) else device
    open_clip = load_open_clip_package()
    # The list first: open_clip would fetch the configuration of a name that begins with a hub's prefix.
    if model not in open_clip.list_models():
        raise WeightsError(
            f"open_clip knows no model {model!r}{did_you_mean(model, open_clip.list_models())}; "
            f"open_clip.list_models() names all"
        )
    config = open_clip.get_model_config(model)
    if "hf_tokenizer_name" in config["text_cfg"] or "hf_model_name" in config["text_cfg"]:
        raise WeightsError(
            f"the text side of {model} comes from a hub, and nothing is fetched here; take a model with "
            f"CLIP's own tokenizer, such as ViT-B-32-quickgelu"
        )
    if not path.is_file():
        raise WeightsError(f"no weights at {path}; download them for {model} and give the file's path")
    scripted = is_archive(path)
    if scripted and not config.get("quick_gelu", False):
        raise WeightsError(
            f"{path} is one of OpenAI's archives, trained with QuickGELU, which {model} has not; name "
            f"the model {model}-quickgelu"
        )
    try:
        state = read_archive(path) if scripted else _read_state(path)
    except Exception as error:
        raise WeightsError(
            f"{path} cannot be read as weights: {error}; expected safetensors, a state dict of tensors "
            f"alone, or OpenAI's archive"
        ) from error
    custom = config.pop("custom_text", False)
    kind = open_clip.CoCa if "multimodal_cfg" in config else open_clip.CustomTextCLIP if custom else open_clip.CLIP
    with Blank():
        network = kind(**config)
    # OpenAI's archives hold constants of the graph beside the weights.
    _fill(network, unwrapped(state, str(path)), f"{path} does not fit {model}", ignore_others=scripted)
    return OpenClip(network.to(place), open_clip.get_tokenizer(model), place)


class OpenClip:
    """An open_clip model with its tokenizer, frozen.

    Attributes:
        side: height and width of the pictures that it sees, in pixels.
        context: tokens that it reads of a text, start and end among them; 77 for CLIP.
    """

    def __init__(self, network: Any, tokenizer: Any, device: torch.device) -> None:
        self.network = network.requires_grad_(False).eval()
        _spare_work(self.network.visual)
        self.tokenizer, self.device = tokenizer, device
        size = self.network.visual.image_size
        self.side: int = size if isinstance(size, int) else size[0]
        self.context: int = tokenizer.context_length

    def pack(self) -> OpenClip:
        """Lays the weights that pictures go through out for a CPU; `images` has no gradients after that.

        The embeddings are the same to within rounding. Models on a GPU, or of another make, are left as they are.
        """
        tower = self.network.visual
        if not hasattr(tower, "transformer") or not all(map(packable, getattr(tower.transformer, "resblocks", [None]))):
            return self
        blocks = tower.transformer.resblocks
        for place, block in enumerate(blocks):
            last = place == len(blocks) - 1
            # One by one, so that the weights lie there twice for one block alone.
            blocks[place] = PackedBlock(block, first_alone=last and _reads_first_token(tower))
        return self

    def images(self, pixels: Float[Tensor, "n 3 side side"]) -> Float[Tensor, "n embedding"]:
        """Unit embeddings of pictures that are prepared already; differentiable."""
        return functional.normalize(self.network.encode_image(pixels.to(self.device)).float(), dim=-1)

    @torch.no_grad()
    def frames(self, frames: Pictures) -> Float32[np.ndarray, "frames embedding"]:
        """Unit embeddings of the middle squares of RGB frames, or of pictures of several sizes; see `clip_pixels`."""
        parts = [self.images(clip_pixels(part, self.side)) for part in _chunks(frames)]
        return torch.cat(parts).cpu().numpy()

    @torch.no_grad()
    def vbench_frames(
        self, frames: UInt8[np.ndarray, "frames height width 3"]
    ) -> Float32[np.ndarray, "frames embedding"]:
        """Unit embeddings of RGB frames as VBench sees them, see `vbench_pixels`."""
        return torch.cat([self.images(vbench_pixels(part, self.side)) for part in _chunks(frames)]).cpu().numpy()

    @torch.no_grad()
    def hps_frames(self, frames: UInt8[np.ndarray, "frames height width 3"]) -> Float32[np.ndarray, "frames embedding"]:
        """Unit embeddings of RGB frames as HPSv2 sees them, see `hps_pixels`.

        A frame's product with its prompt's embedding is HPSv2's score, in [-1, 1]: higher where people would like the
        picture better. Which version it is, 2.0 or 2.1, the checkpoint decides: `ViT-H-14` with HPS_v2_compressed.pt or
        HPS_v2.1_compressed.pt.

        Source: hpsv2 1.2.0 img_score.score, in half precision on a GPU; here in full.
        """
        return torch.cat([self.images(hps_pixels(part, self.side)) for part in _chunks(frames)]).cpu().numpy()

    @torch.no_grad()
    def texts(self, texts: list[str]) -> Float32[np.ndarray, "texts embedding"]:
        """Unit embeddings of texts; what is beyond the context is cut off, see `token_count`.

        Source: openai/CLIP@d05afc4, whose tokenizer raises an error instead of cutting.
        """
        tokens = self.tokenizer(texts).to(self.device)
        parts = [self.network.encode_text(part).float() for part in tokens.split(_CHUNK)]
        return functional.normalize(torch.cat(parts), dim=-1).cpu().numpy()

    def token_count(self, text: str) -> int:
        """Tokens of a text, start and end among them: where it is more than `context`, the text's end is not seen."""
        return len(self.tokenizer.encode(text)) + 2

    @torch.no_grad()
    def faces(
        self, frames: Pictures, landmarks: Float32[np.ndarray, "frames 5 2"]
    ) -> Float32[np.ndarray, "frames embedding"]:
        """Unit embeddings of crops around faces, hair and chin in them; NaN rows where the landmarks are NaN.

        Pixels of the crop are interpolated without a filter: a face much larger than the model's side is aliased.
        """
        places = torch.tensor(landmarks, device=self.device)
        have = np.flatnonzero(~np.isnan(landmarks).any(axis=(1, 2)))
        found = []
        for some in _chunks(have):
            crops = [
                crop_faces(
                    _levels(frames[place][None]).to(self.device), places[place : place + 1], self.side, FACE_SPREAD
                )
                for place in some
            ]
            found.append(self.images(_normalise(torch.cat(crops))).cpu().numpy())
        # An empty text has an embedding too, of the size that is needed where no frame shows a face.
        width = found[0].shape[1] if found else self.texts([""]).shape[1]
        rows = np.full((len(frames), width), np.nan, np.float32)
        if found:
            rows[have] = np.concatenate(found)
        return rows


def clip_pixels(frames: Pictures, side: int) -> Float32[Tensor, "frames 3 {side} {side}"]:
    """RGB frames as OpenAI's CLIP sees them: short side resized to `side`, middle square, its mean and deviation.

    Source: openai/CLIP@d05afc4 clip.py `_transform`, equal in every bit; Pillow's bicubic, which filters and rounds to
    whole levels. For all weights alike, also those of models that were trained with another mean.
    """
    small = np.stack([middle_square(Image.fromarray(frame), side) for frame in frames])
    return _normalise(_levels(small))


def middle_square(picture: Image.Image, side: int) -> UInt8[np.ndarray, "{side} {side} 3"]:
    """The middle of a picture whose short side was resized to `side`, in RGB.

    What is transparent is made opaque last: a picture with an alpha channel comes out otherwise than its RGB version.
    """
    short = min(picture.size)
    columns, rows = (int(side * length / short) for length in picture.size)
    left, top = round((columns - side) / 2), round((rows - side) / 2)
    small = picture.resize((columns, rows), Image.Resampling.BICUBIC)
    return np.asarray(small.crop((left, top, left + side, top + side)).convert("RGB"))


def vbench_pixels(
    frames: UInt8[np.ndarray, "frames height width 3"], side: int
) -> Float32[Tensor, "frames 3 {side} {side}"]:
    """RGB frames as VBench's CLIP dimensions see them: resized without a filter, so that fine detail is aliased.

    Source: Vchitect/VBench@11d473b utils.py clip_transform: torchvision's bicubic on tensors of whole levels, without
    antialiasing.
    """
    height, width = frames.shape[1:3]
    scale = side / min(height, width)
    rows, columns = (int(scale * length) if length != min(height, width) else side for length in (height, width))
    levels = torch.from_numpy(np.array(frames, order="C")).permute(0, 3, 1, 2).float()
    if (rows, columns) != (height, width):
        levels = functional.interpolate(levels, (rows, columns), mode="bicubic", antialias=False)
        levels = levels.clamp(0, 255).round()
    top, left = round((rows - side) / 2), round((columns - side) / 2)
    return _normalise(levels[:, :, top : top + side, left : left + side] / 255)


def hps_pixels(
    frames: UInt8[np.ndarray, "frames height width 3"], side: int
) -> Float32[Tensor, "frames 3 {side} {side}"]:
    """RGB frames as HPSv2 sees them: long side resized to `side`, black borders that centre the rest.

    Source: hpsv2 1.2.0, whose bicubic works on tensors: beyond 0 and 1 at edges, and filtered or not by the default of
    the torchvision of the day. Here it is filtered, as in torchvision 0.17 and later. A frame whose long side is `side`
    already is padded as well, where hpsv2 leaves it oblong and fails.
    """
    return hps_prepared(_levels(frames), side)


def hps_prepared(pictures: Float[Tensor, "n 3 height width"], side: int) -> Float[Tensor, "n 3 {side} {side}"]:
    """The same of pictures in [0, 1]; differentiable, so that HPSv2 can be a reward."""
    height, width = pictures.shape[2:]
    scale = side / max(height, width)
    rows, columns = round(height * scale), round(width * scale)
    if (rows, columns) != (height, width):
        pictures = functional.interpolate(pictures, (rows, columns), mode="bicubic", antialias=True)
    top, left = (side - rows) // 2, (side - columns) // 2
    # Before the mean is taken off: the border is black, not grey.
    return _normalise(functional.pad(pictures, (left, side - columns - left, top, side - rows - top)))


def _chunks(array: Any) -> Iterator[Any]:
    return (array[start : start + _CHUNK] for start in range(0, len(array), _CHUNK))


def _levels(frames: np.ndarray) -> Tensor:
    """Frames (n, H, W, 3) in [0, 255] to (n, 3, H, W) in [0, 1]."""
    # A copy: frames may be a view, or read-only as Pillow's are, and torch warns of those.
    return torch.from_numpy(np.array(frames, order="C")).permute(0, 3, 1, 2).contiguous().float() / 255


def _normalise(pictures: Tensor) -> Tensor:
    mean, std = (torch.tensor(values, device=pictures.device).view(3, 1, 1) for values in (MEAN, STD))
    return (pictures - mean) / std


def _spare_work(tower: Any) -> None:
    """Leaves out what the embedding of a picture does not need; values move by rounding.

    The embedding is read from the first token, so that the last block has to make no other: of ViT-B/32 that is a
    fifteenth of the work. QuickGELU goes through memory once instead of three times.
    """
    from open_clip.transformer import QuickGELU, ResidualAttentionBlock

    if _reads_first_token(tower):
        last = tower.transformer.resblocks[-1]
        if type(last) is ResidualAttentionBlock and tower.transformer.batch_first:
            last.forward = partial(_first_token, last)
    for module in tower.modules():
        if isinstance(module, QuickGELU):
            module.forward = _quick_gelu


def _reads_first_token(tower: Any) -> bool:
    from open_clip.transformer import VisionTransformer

    return isinstance(tower, VisionTransformer) and tower.pool_type == "tok" and tower.attn_pool is None


def _first_token(block: Any, tokens: Tensor, **nothing: None) -> Tensor:
    """What a block makes of the first token, (n, 1, width)."""
    normed = block.ln_1(tokens)
    first = tokens[:, :1] + block.ls_1(block.attention(normed[:, :1], normed, normed))
    found: Tensor = first + block.ls_2(block.mlp(block.ln_2(first)))
    return found


def _quick_gelu(x: Tensor) -> Tensor:
    """x * sigmoid(1.702 x); changes x where no gradient is asked for."""
    if x.requires_grad:
        return x * torch.sigmoid(1.702 * x)
    return functional.silu(x.mul_(1.702), inplace=True).div_(1.702)


# Weights


def _fill(network: nn.Module, state: dict[str, Tensor], complaint: str, ignore_others: bool) -> None:
    state = {name: value.float() if value.is_floating_point() else value for name, value in state.items()}
    # A number in some files, a row of one number in others.
    for name in ("logit_scale", "logit_bias"):
        if name in state and isinstance(own := getattr(network, name, None), Tensor):
            state[name] = state[name].reshape(own.shape)
    shapes = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    missing = [name for name in shapes if name not in state and not name.endswith("num_batches_tracked")]
    others = [] if ignore_others else [name for name in state if name not in shapes]
    if missing or others:
        raise WeightsError(
            f"{complaint}: it lacks {missing[:3]} and has {others[:3]} in addition; name the model that the "
            f"weights were trained for"
        )
    for name, shape in shapes.items():
        if name in state and tuple(state[name].shape) != shape:
            raise WeightsError(
                f"{complaint}: {name} has the shape {tuple(state[name].shape)}, expected {shape}; name "
                f"the model that the weights were trained for"
            )
    # The file's own tensors, not copies: of a gigabyte that takes seconds.
    network.load_state_dict({name: value for name, value in state.items() if name in shapes}, strict=False, assign=True)


def _read_state(path: Path) -> dict[str, Tensor]:
    if path.suffix == ".safetensors":
        result: dict[str, Tensor] = load_file(path)
        return result
    try:
        # Mapped where that can be: what is not needed is not read, and workers share the rest.
        found = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError as error:
        # torch's own words advise to run what is in the file.
        raise ValueError("it holds more than tensors, or is damaged; nothing of it was run") from error
    found = found.get("state_dict", found) if isinstance(found, dict) else found
    if not isinstance(found, dict) or not all(isinstance(value, Tensor) for value in found.values()):
        raise ValueError("it holds something else than named tensors")
    return dict(found)
