"""Which files are videos, by their names and, for pictures that may move, by their heads."""

from __future__ import annotations

from pathlib import Path

from pvbench.video.animation import is_animation

VIDEO_SUFFIXES = (
    *(".mp4", ".m4v", ".mp4v", ".mov", ".qt", ".3gp", ".3g2", ".f4v", ".gifv"),
    *(".mkv", ".mk3d", ".webm", ".ogv", ".ogm", ".nut", ".ivf"),
    *(".avi", ".divx", ".wmv", ".asf", ".flv", ".rm", ".rmvb", ".dv", ".mxf", ".y4m"),
    *(".mpg", ".mpeg", ".mpe", ".m1v", ".m2v", ".ts", ".mts", ".m2ts", ".m2p", ".trp", ".vob"),
    ".gif",
)
"""Of files that FFmpeg reads, whatever is in them."""


def is_video_file(path: Path) -> bool:
    """Whether a file is named as a video is, or is a picture that moves."""
    return path.suffix.lower() in VIDEO_SUFFIXES or is_animation(path)
