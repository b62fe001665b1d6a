"""Optical flow between consecutive frames, by OpenCV's DIS."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Flow:
    """Per pair of consecutive frames, in pixels: mean of the largest 5 % of magnitudes, and mean of all."""

    top5: NDArray[np.float32]
    mean: NDArray[np.float32]


def sampling_interval(fps: float) -> int:
    """Every how many frames one is kept for flow, so that about eight a second remain.

    Source: Vchitect/VBench@45e79ec dynamic_degree.py.
    """
    return max(1, round(fps / 8))


def optical_flow(frames: NDArray[np.uint8]) -> Flow:
    """Flow magnitudes of a video (T, H, W, 3); empty arrays for fewer than two frames.

    DIS is a dense, patch-based flow that holds at 64 pixels a side, where RAFT refuses frames below 128.
    """
    import cv2

    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    dis.setFinestScale(0)
    grey = [cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2GRAY) for frame in frames]
    top, mean = [], []
    for before, after in pairwise(grey):
        flow = dis.calc(before, after, None)
        size = np.linalg.norm(flow, axis=-1).ravel()
        count = max(int(size.size * 0.05), 1)
        top.append(np.partition(size, size.size - count)[-count:].mean())
        mean.append(size.mean())
    return Flow(np.array(top, np.float32), np.array(mean, np.float32))
