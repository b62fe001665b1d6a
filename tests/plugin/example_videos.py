"""Small clips by any codec."""

import struct

import av
import numpy as np


def encode(path, frames=12, width=48, height=32, rate=8, codec="libx264", pixels="yuv420p", times=None, tick=None):
    """A clip of a square that moves, by any codec; `times` are counted in ticks, by default in frames."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, pixels
        if tick is not None:
            stream.codec_context.time_base = tick
        for index in range(frames):
            image = np.full((height, width, 3), 30, np.uint8)
            image[2:10, 2 + index : 10 + index] = (220, 40, 40)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=pixels)
            if times is not None:
                frame.pts = times[index]
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)
    return path


def turned(path):
    """The same mp4 with a head that says: show it turned by 90 degrees."""
    data = bytearray(path.read_bytes())
    at = data.find(b"tkhd") + 44
    for index, value in enumerate((0, 1 << 16, 0, -(1 << 16), 0, 0, 32 << 16, 0, 1 << 30)):
        data[at + 4 * index : at + 4 * index + 4] = struct.pack(">i", value)
    path.write_bytes(data)
    return path
