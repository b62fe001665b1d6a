"""Videos in memory, and in files that lose nothing."""

from pvbench.video.kinds import VIDEO_SUFFIXES, is_video_file
from pvbench.video.lossless import write_video, written_digest
from pvbench.video.pictures import FOLDER_FPS, PICTURE_SUFFIXES, frame_files, read_picture
from pvbench.video.probe import VideoFacts, probe_video
from pvbench.video.read import content_digest, read_video
from pvbench.video.video import LARGEST_BYTES, Video

__all__ = [
    "FOLDER_FPS",
    "LARGEST_BYTES",
    "PICTURE_SUFFIXES",
    "VIDEO_SUFFIXES",
    "Video",
    "VideoFacts",
    "content_digest",
    "frame_files",
    "is_video_file",
    "probe_video",
    "read_picture",
    "read_video",
    "write_video",
    "written_digest",
]
