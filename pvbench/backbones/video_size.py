"""What a video transformer can sample, known before a network is loaded."""

from __future__ import annotations

from pvbench.errors import ProfileError
from pvbench.profile import Sampling

HUNYUAN_GUIDANCE = "the guidance of HunyuanVideo is an input of the model, the same in all steps"
COGVIDEOX_GUIDANCE = "the guidance of CogVideoX is one number for all steps, and the same for space and time"
WAN_GUIDANCE = "the guidance of Wan is one number for all steps, and the same for space and time"


def check_sampling(sampling: Sampling, model: str, patch: int, time: int, guided: str) -> None:
    """Refuses what the model cannot do.

    Args:
        model: its name, for the message.
        patch: pixels of a side that one token stands for.
        time: the number of frames less one is a multiple of it.
        guided: how the model is guided, in words: why guidance can neither stop nor be another for motion.

    Raises:
        ProfileError: the profile asks for guidance that this model does not have, or for frames or sides that do not
            divide into its latents.
    """
    if sampling.guidance_stop != 1 or sampling.motion_guidance != 1:
        raise ProfileError(
            f"guidance_stop is {sampling.guidance_stop} and motion_guidance {sampling.motion_guidance}; {guided}: "
            f"leave both at 1"
        )
    if (sampling.frames - 1) % time or sampling.height % patch or sampling.width % patch:
        raise ProfileError(
            f"frames is {sampling.frames} and the size {sampling.width}x{sampling.height}; {model} makes videos of "
            f"{time} n + 1 frames whose sides are multiples of {patch}"
        )


_PATCH, _TIME = 16, 4
"""Pixels of a side, and frames, that a token of a video transformer stands for, whose VAE shrinks by 8 and by 4."""


def transformer_work(sampling: Sampling, width: int) -> float:
    """Multiply-adds of one layer over a video, of attention and of all else, in units of `12 width²`.

    By this formula a video of HunyuanVideo at 720p x 129 takes 9.8 times one at 544p x 61; measured on an H200, with
    everything beside the transformer, it was 9.8 (26 minutes and 160 s).

    Args:
        width: of the hidden states.
    """
    frames = (sampling.frames - 1) // _TIME + 1
    tokens = frames * (sampling.height // _PATCH) * (sampling.width // _PATCH)
    return tokens * (1 + tokens / (6 * width))
