"""About how much memory of a GPU and of its host a model takes, said before anything is loaded."""

from __future__ import annotations

from pathlib import Path

from pvbench.backbones.settings import Checkpointing
from pvbench.errors import WeightsError
from pvbench.profile import Sampling
from pvbench.weights.layout import read_json

_GIB = 1024**3
_SLACK = 4.0
"""GiB of whatever is neither weights nor hidden states: pieces of video that are decoded, rewards, the allocator's."""
_IN_FLIGHT = 4
"""Block inputs that the GPU holds at a time where they lie in the host's memory, on their way there or back."""


def video_transformer_gib(
    folder: Path,
    sampling: Sampling,
    *,
    gradient: bool,
    checkpointing: Checkpointing,
    passes: int = 1,
    transformer: Path | None = None,
) -> float:
    """GiB of a video transformer in a folder of diffusers' layout, with patches of 16 x 16 pixels and four frames.

    With gradient and checkpoints, one hidden state is kept for each block, and one block at a time is computed again;
    with checkpoints in the host's memory, a few of these states; without checkpoints all that a block keeps, which is
    21 of them. For HunyuanVideo with random weights on an H200, checkpoints take 45 and 88 GiB where 44.9 and 88 were
    measured (61 x 544 x 960 and 129 x 720 x 1280), and in the host's memory 49 where 50 was extrapolated from a tenth
    of the blocks (129 x 720 x 1280); all in a script apart from this code. Wan was not measured.

    Args:
        passes: of the transformer in a step, each of which keeps its own block inputs.
        transformer: the file that its weights are in, where that is not in the folder.

    Raises:
        WeightsError: the folder has no configuration of a transformer.
    """
    blocks, hidden = _blocks(folder, sampling)
    own = [transformer] if transformer else list((folder / "transformer").glob("*.safetensors"))
    files = [*own, *(folder / "vae").glob("*.safetensors")]
    weights = sum(file.stat().st_size for file in files)
    states = 16
    if gradient:
        kept = _IN_FLIGHT if checkpointing == "host" else passes * blocks * (1 if checkpointing else 21)
        states = 27 + kept
    return (weights + states * hidden) / _GIB + _SLACK


def video_transformer_host_gib(
    folder: Path, sampling: Sampling, *, checkpointing: Checkpointing, passes: int = 1
) -> float:
    """GiB of the host's memory that a step with gradient keeps its block inputs in; 0 unless checkpoints lie there.

    One hidden state for each block and pass. torch gives a pinned tensor a power of two of bytes, so that up to half of
    it may stay unused, and keeps it for the next step. Not measured.

    Raises:
        WeightsError: the folder has no configuration of a transformer.
    """
    if checkpointing != "host":
        return 0.0
    # A tensor that two blocks are given is copied for each.
    blocks, hidden = _blocks(folder, sampling, of_vace=2)
    return passes * blocks * 2.0 ** (hidden - 1).bit_length() / _GIB


def _blocks(folder: Path, sampling: Sampling, of_vace: int = 1) -> tuple[int, int]:
    """How many hidden states the checkpoints of a pass are, and the bytes of one in half precision."""
    path = folder / "transformer" / "config.json"
    try:
        config = read_json(path)
        width = int(config["num_attention_heads"]) * int(config["attention_head_dim"])
        blocks = int(config["num_layers"]) + int(config.get("num_single_layers", 0))
        # Those of VACE's second stream are given the video's hidden state and one of their own.
        blocks += of_vace * len(config.get("vace_layers") or ())
    except (ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{path} is not a transformer's configuration ({error}); fetch the folder again") from error
    frames = (sampling.frames - 1) // 4 + 1
    return blocks, 2 * width * (frames * (sampling.height // 16) * (sampling.width // 16) + 100)


def wan_gib(folder: Path, sampling: Sampling, *, gradient: bool, checkpointing: Checkpointing) -> float:
    """GiB of Wan: of a step and, with gradient, of decoding the frames of one latent while the step's graph is kept.

    The autoencoder computes in float32 and has no checkpoints: 24 GiB for four frames of 480 x 832, counted as what
    torch keeps of its tensors. Not measured.

    Raises:
        WeightsError: the folder has no configuration of a transformer.
    """
    step = video_transformer_gib(
        folder, sampling, gradient=gradient, checkpointing=checkpointing, passes=passes_of(sampling)
    )
    return step + 24.4 * sampling.height * sampling.width / (480 * 832) if gradient else step


def cogvideox_gib(folder: Path, sampling: Sampling, *, gradient: bool, checkpointing: Checkpointing) -> float:
    """GiB of CogVideoX or ConsisID: the largest of a step, the decoding of a piece, and the encoding of texts.

    Decoding 49 frames of 480 x 720 took 15 GiB with random weights on an H200, most of it the autoencoder's cache and
    one piece; the rest was not measured.

    Raises:
        WeightsError: the folder has no configuration of a transformer.
    """
    step = video_transformer_gib(
        folder, sampling, gradient=gradient, checkpointing=checkpointing, passes=passes_of(sampling)
    )
    sizes = {part: sum(file.stat().st_size for file in (folder / part).glob("*.safetensors")) / _GIB
             for part in ("transformer", "vae", "text_encoder")}  # fmt: skip
    decoding = 15.0 * sampling.height * sampling.width / (480 * 720)
    kept = step - _SLACK if gradient else sizes["transformer"]
    return max(step, kept + sizes["vae"] + decoding, sum(sizes.values()) + 1.0)


def passes_of(sampling: Sampling) -> int:
    """Passes of the transformer in a step of Wan or CogVideoX: a second one where videos are guided."""
    return 2 if sampling.guidance > 1 else 1


def animatediff_gib(sampling: Sampling, *, gradient: bool, checkpointing: Checkpointing) -> float:
    """GiB of Stable Diffusion 1.5 with a motion adapter, its weights in float32.

    Measured with random weights on an H200 at 16 x 512 x 512: 7.4 sampling, 30.3 in a tuning step of PersonalVideo with
    checkpoints and 54.5 without; in proportion elsewhere. Of the checkpoints 0.9 GiB are block inputs, counted.
    """
    held = 2.3
    if gradient:
        held = 24.1 if checkpointing == "host" else 25.0 if checkpointing else 49.0
    return 5.3 + held * _share(sampling)


def animatediff_host_gib(sampling: Sampling) -> float:
    """GiB of the host's memory that a step with gradient keeps its block inputs in, with `checkpointing = "host"`."""
    return 1.4 * _share(sampling)


def _share(sampling: Sampling) -> float:
    """Pixels of a video, of those of 16 x 512 x 512."""
    return sampling.frames * sampling.height * sampling.width / (16 * 512 * 512)
