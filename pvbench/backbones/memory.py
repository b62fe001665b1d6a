"""About how much memory of a GPU a model takes, said before anything is loaded."""

from __future__ import annotations

from pathlib import Path

from pvbench.errors import WeightsError
from pvbench.profile import Sampling
from pvbench.weights.layout import read_json

_GIB = 1024**3
_SLACK = 4.0
"""GiB of whatever is neither weights nor hidden states: pieces of video that are decoded, rewards, the allocator's."""


def video_transformer_gib(folder: Path, sampling: Sampling, *, gradient: bool, checkpointing: bool) -> float:
    """GiB of a video transformer in a folder of diffusers' layout, with patches of 16 x 16 pixels and four frames.

    With gradient and checkpoints, one hidden state is kept for each block, and one block at a time is computed again;
    without checkpoints all that a block keeps, which is 21 of them. For HunyuanVideo with random weights on an H200,
    the former says 45 and 88 GiB where 44.9 and 88 were measured (61 x 544 x 960 and 129 x 720 x 1280). Wan was not
    measured.

    Raises:
        WeightsError: the folder has no configuration of a transformer.
    """
    path = folder / "transformer" / "config.json"
    try:
        config = read_json(path)
        width = int(config["num_attention_heads"]) * int(config["attention_head_dim"])
        blocks = int(config["num_layers"]) + int(config.get("num_single_layers", 0))
    except (ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{path} is not a transformer's configuration ({error}); fetch the folder again") from error
    files = (file for part in ("transformer", "vae") for file in (folder / part).glob("*.safetensors"))
    weights = sum(file.stat().st_size for file in files)
    frames = (sampling.frames - 1) // 4 + 1
    hidden = 2 * width * (frames * (sampling.height // 16) * (sampling.width // 16) + 100)
    states = 16
    if gradient:
        states = 27 + blocks * (1 if checkpointing else 21)
    return (weights + states * hidden) / _GIB + _SLACK


def cogvideox_gib(folder: Path, sampling: Sampling, *, gradient: bool, checkpointing: bool) -> float:
    """GiB of CogVideoX or ConsisID: the largest of a step, the decoding of a piece, and the encoding of texts.

    Decoding 49 frames of 480 x 720 took 15 GiB with random weights on an H200, most of it the autoencoder's cache and
    one piece; the rest was not measured.

    Raises:
        WeightsError: the folder has no configuration of a transformer.
    """
    step = video_transformer_gib(folder, sampling, gradient=gradient, checkpointing=checkpointing)
    sizes = {part: sum(file.stat().st_size for file in (folder / part).glob("*.safetensors")) / _GIB
             for part in ("transformer", "vae", "text_encoder")}  # fmt: skip
    decoding = 15.0 * sampling.height * sampling.width / (480 * 720)
    kept = step - _SLACK if gradient else sizes["transformer"]
    return max(step, kept + sizes["vae"] + decoding, sum(sizes.values()) + 1.0)


def animatediff_gib(sampling: Sampling, *, gradient: bool, checkpointing: bool) -> float:
    """GiB of Stable Diffusion 1.5 with a motion adapter, its weights in float32.

    Measured with random weights on an H200 at 16 x 512 x 512: 7.4 sampling, 30.3 in a tuning step of PersonalVideo with
    checkpoints and 54.5 without; in proportion elsewhere.
    """
    share = sampling.frames * sampling.height * sampling.width / (16 * 512 * 512)
    held = (25.0 if checkpointing else 49.0) if gradient else 2.3
    return 5.3 + held * share
