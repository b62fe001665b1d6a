"""Optical flow between consecutive frames, by OpenCV's DIS."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pvbench.video import Video

SAMPLED_FPS = 8
"""Flow is taken between about this many frames a second, whatever the video's own rate."""


@dataclass(frozen=True)
class Flow:
    """Per pair of consecutive frames, in pixels: mean of the largest 5 % of magnitudes, and mean of all."""

    top5: NDArray[np.float32]
    mean: NDArray[np.float32]


def sampling_interval(fps: float) -> int:
    """Every how many frames one is kept for flow, so that about eight a second remain.

    Source: Vchitect/VBench@45e79ec dynamic_degree.py.
    """
    return max(1, round(fps / SAMPLED_FPS))


def about_eight_a_second(video: Video) -> tuple[NDArray[np.uint8], float]:
    """The frames between which flow is taken, and how many of them are shown a second.

    Every so many, as VBench does; where frames are shown for unequal times, those that are seen every eighth of a
    second, so that one that is held is there several times.
    """
    if video.shown is None:
        interval = sampling_interval(video.fps)
        return video.frames[::interval], video.fps / interval
    # A stamp that is rounded to ticks may lie a little behind the time that it means.
    times = np.arange(0, video.shown[-1], 1 / SAMPLED_FPS) + 1e-6
    return video.frames[np.searchsorted(video.shown[:-1], times, side="right") - 1], float(SAMPLED_FPS)


def flow_fields(frames: NDArray[np.uint8]) -> Iterator[NDArray[np.float32]]:
    """Flow (H, W, 2), x and y in pixels, of each pair of consecutive frames (T, H, W, 3).

    DIS is a dense, patch-based flow that holds at 64 pixels a side, where RAFT refuses frames below 128.
    """
    import cv2

    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    dis.setFinestScale(0)
    grey = [cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2GRAY) for frame in frames]
    for before, after in pairwise(grey):
        yield np.asarray(dis.calc(before, after, None), np.float32)


def warping_errors(
    frames: NDArray[np.uint8], forward: Iterable[NDArray[np.float32]], backward: Iterable[NDArray[np.float32]]
) -> NDArray[np.float32]:
    """Mean squared difference of colours (0 to 1) of each frame and the next one pulled back along the flow.

    Over the pixels whose forward and backward flow agree, so that they are seen in both; over all where none do.

    Args:
        forward: flow (H, W, 2) from frame t to t + 1, for each t.
        backward: flow from frame t + 1 to t, for each t.

    Source: Lai et al. 2018, equation 10; visibility after Ruder et al. 2016, equation 3.
    """
    import cv2

    height, width = frames.shape[1:3]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    errors = []
    for (before, after), there, back in zip(pairwise(frames), forward, backward, strict=True):
        at_x, at_y = x + there[..., 0], y + there[..., 1]
        inside = (at_x >= 0) & (at_x <= width - 1) & (at_y >= 0) & (at_y <= height - 1)
        returned = cv2.remap(back, at_x, at_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        apart = np.square(there + returned).sum(axis=-1)
        seen = inside & (apart < 0.01 * (np.square(there) + np.square(returned)).sum(axis=-1) + 0.5)
        pulled = cv2.remap(after.astype(np.float32), at_x, at_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        difference = np.square((pulled - before) / 255).mean(axis=-1)
        errors.append(difference[seen].mean() if seen.any() else difference.mean())
    return np.array(errors, np.float32)


def optical_flow(frames: NDArray[np.uint8]) -> Flow:
    """Flow magnitudes of a video (T, H, W, 3); empty arrays for fewer than two frames."""
    top, mean = [], []
    for flow in flow_fields(frames):
        size = np.linalg.norm(flow, axis=-1).ravel()
        count = max(int(size.size * 0.05), 1)
        top.append(np.partition(size, size.size - count)[-count:].mean())
        mean.append(size.mean())
    return Flow(np.array(top, np.float32), np.array(mean, np.float32))
