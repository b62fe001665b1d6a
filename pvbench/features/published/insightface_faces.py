"""Faces of frames by an InsightFace model pack: SCRFD finds and marks them, ArcFace embeds them.

A pack is a folder of ONNX files such as antelopev2 or buffalo_l. It has to be on disk: nothing here asks a network.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8

from pvbench.errors import DeviceError, PvbenchError, WeightsError
from pvbench.features.face import Faces, one_face_each
from pvbench.machine.devices import torch_device

# Part of a signature: the mini extractor takes the surest face instead, and in a crowd the two differ.
CHOICE = "largest box"

BORDER = 0.5
"""Of the longer side, around a frame in which no face was found: it then is half as large for the detector."""

SecondLook = Callable[[np.ndarray], tuple[np.ndarray, tuple[int, int]]]
"""From a picture in which no face was found to one that is searched once more, and how far right and down it lies."""


class InsightFaceMissingError(PvbenchError):
    """insightface, or something that it imports, is not installed."""


def check_pack(folder: Path) -> tuple[Path, ...]:
    """The ONNX files directly in a pack's folder, by name.

    Only the heads of the graphs are read: no model is loaded, and neither onnx nor onnxruntime is needed.

    Raises:
        WeightsError: no folder, no ONNX file directly in it, a damaged one, no detection or no recognition model.
    """
    if not folder.is_dir():
        raise WeightsError(
            f"no face model pack at {folder}; expected a folder of ONNX files, such as an unpacked "
            f"antelopev2.zip or buffalo_l.zip of InsightFace: download and unpack it there"
        )
    files = tuple(sorted(folder.glob("*.onnx")))
    if not files:
        raise WeightsError(_why_empty(folder))
    tasks = _tasks(files)
    for task, what in (("detection", "5 outputs or more"), ("recognition", "a square input of 112 pixels or more")):
        if task not in tasks:
            raise WeightsError(
                f"{folder} holds no {task} model (a graph with {what}), only "
                f"{', '.join(file.name for file in files)}; unpack the whole pack there"
            )
    return files


def pack_files(folder: Path) -> tuple[Path, Path]:
    """The detector's and the recogniser's file of a pack, of several the first by name.

    Raises:
        WeightsError: as `check_pack`.
    """
    tasks = _tasks(check_pack(folder))
    return tasks["detection"], tasks["recognition"]


def load_pack(
    folder: Path, device: torch.device | str = "cpu", threshold: float = 0.5, size: int = 640
) -> InsightFaces:
    """The pack's detector and recogniser, ready for frames.

    Of several detectors or recognisers in the folder the first by name is taken, as InsightFace does; the files of
    other tasks (3D landmarks, gender and age) are not loaded.

    Args:
        folder: the pack; see `check_pack`.
        device: `cpu`, `cuda` or `cuda:1`; CUDA needs onnxruntime-gpu in place of onnxruntime.
        threshold: the smallest score of a face, in [0, 1].
        size: side of the square that a frame is fitted into for detection, larger or smaller, its shape kept. 640 is
            InsightFace's old default; 2.1 would detect at 128 and at 640, and find other faces.

    Raises:
        WeightsError: the folder is not a pack, or a file in it is damaged.
        DeviceError: onnxruntime cannot use the device.
        InsightFaceMissingError: insightface is not installed.
    """
    tasks = _tasks(check_pack(folder))
    place = torch_device(device) if isinstance(device, str) else device
    model_zoo, onnxruntime = _load_insightface()
    options = onnxruntime.SessionOptions()
    # One thread: neither the numbers nor the time depend on how many cores a machine has.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors only
    models = {}
    for task in ("detection", "recognition"):
        file = tasks[task].resolve()
        try:
            model = model_zoo.get_model(str(file), providers=_providers(onnxruntime, place), sess_options=options)
        except PvbenchError:
            raise
        except Exception as error:
            raise WeightsError(f"insightface cannot load {file}: {error}; download the pack again") from error
        if getattr(model, "taskname", None) != task:
            raise WeightsError(
                f"insightface does not take {file} for a {task} model, but for "
                f"{getattr(model, 'taskname', 'none that it knows')}; remove it from the pack"
            )
        if place.type == "cuda" and model.session.get_providers()[0] != "CUDAExecutionProvider":
            raise DeviceError(
                f"onnxruntime put {file.name} on the CPU although {place} was asked for: its CUDA and "
                f"cuDNN libraries do not load; use --device cpu or fix them"
            )
        models[task] = model
    detector, recogniser = models["detection"], models["recognition"]
    index = (place.index or 0) if place.type == "cuda" else -1
    detector.prepare(index, input_size=(size, size), det_thresh=threshold)
    recogniser.prepare(index)
    if not detector.use_kps:
        raise WeightsError(
            f"{tasks['detection']} marks no landmarks, which the recogniser needs; take a pack whose "
            f"detector is named ..._bnkps or det_..."
        )
    return InsightFaces(detector, recogniser, (tasks["detection"], tasks["recognition"]))


class InsightFaces:
    """Detector and recogniser of a pack over frames; `files` are the two that they came from.

    A frame without a face is looked at once more, within a border: the detector, which a frame is fitted to, misses a
    face that fills all of it.
    """

    def __init__(self, detector: Any, recogniser: Any, files: tuple[Path, Path]) -> None:
        self.detector, self.recogniser, self.files = detector, recogniser, files
        self.second_look: SecondLook = _in_black

    def __call__(self, frames: UInt8[np.ndarray, "frames height width 3"]) -> Faces:
        """The largest face of each RGB frame: the detector's own box and landmarks, NaN where there is none.

        Of equally large faces the surest is taken. Landmarks: eyes, nose tip, corners of the mouth, the viewer's left
        first. The embedding is of the one crop, without its mirror image; 512 numbers for the usual packs.

        Source: insightface 2.1 FaceAnalysis.get, which embeds every face; here only the largest is embedded, and cut
        out as OpenCV 4 does (`warp_affine`).
        """
        total, width = len(frames), int(self.recogniser.output_shape[-1])
        landmarks = np.full((total, 5, 2), np.nan, np.float32)
        count = np.zeros(total, np.float32)
        embedding = np.full((total, width), np.nan, np.float32)
        box = np.full((total, 4), np.nan, np.float32)
        for i, frame in enumerate(frames):
            picture = np.ascontiguousarray(frame[..., ::-1])  # insightface reads OpenCV's BGR
            boxes, points = self._detect(picture)
            count[i] = len(boxes)
            if len(boxes):
                best = _largest(boxes)
                box[i], landmarks[i] = boxes[best, :4], points[best]
                embedding[i] = self._embed(picture, points[best])
        return Faces(landmarks, count, embedding, box)

    def find(self, frame: UInt8[np.ndarray, "height width 3"]) -> Float[np.ndarray, "5 2"]:
        """The landmarks of an RGB frame's largest face, without embedding it; NaN where there is none."""
        boxes, points = self._detect(np.ascontiguousarray(frame[..., ::-1]))
        found = points[_largest(boxes)] if len(boxes) else np.full((5, 2), np.nan)
        result: Float[np.ndarray, "5 2"] = found.astype(np.float32)
        return result

    def reference(self, images: list[UInt8[np.ndarray, "_ _ 3"]]) -> Faces:
        """Faces of reference photos, each at its own size.

        Raises:
            FaceError: a photo shows no face, or more than one.
        """
        advice = (
            "with some room around it (the detector may miss a face that fills the picture): replace or crop the photo"
        )
        return one_face_each(self, images, advice)

    def _detect(self, picture: UInt8[np.ndarray, "_ _ 3"]) -> tuple[np.ndarray, np.ndarray]:
        """Boxes with scores (n, 5) and landmarks (n, 5, 2), in the picture's own pixels."""
        boxes, points = self.detector.detect(picture)
        if len(boxes):
            return boxes, points
        wider, (left, top) = self.second_look(picture)
        boxes, points = self.detector.detect(wider)
        if not len(boxes):
            return boxes, points
        return boxes - np.array([left, top, left, top, 0]), points - np.array([left, top])

    def _embed(self, picture: UInt8[np.ndarray, "_ _ 3"], points: np.ndarray) -> np.ndarray:
        found = self._feature(picture, points)
        result: np.ndarray = found / np.linalg.norm(found)
        return result

    def _feature(self, picture: UInt8[np.ndarray, "_ _ 3"], points: np.ndarray) -> np.ndarray:
        side = int(self.recogniser.input_size[0])
        found: np.ndarray = self.recogniser.get_feat(warp_affine(picture, alignment(points, side), side)).ravel()
        return found

    def feature(
        self, frame: UInt8[np.ndarray, "height width 3"], points: Float[np.ndarray, "5 2"]
    ) -> Float[np.ndarray, " dim"]:
        """What the recogniser makes of the face at some landmarks of an RGB frame, of its own length."""
        return self._feature(np.ascontiguousarray(frame[..., ::-1]), points)


def padded_by(high: float, wide: float, grey: int) -> SecondLook:
    """A second look within a border: shares of the height above and below, of the width on both sides, rounded down."""

    def look(picture: np.ndarray) -> tuple[np.ndarray, tuple[int, int]]:
        top, left = int(picture.shape[0] * high), int(picture.shape[1] * wide)
        return np.pad(picture, ((top, top), (left, left), (0, 0)), constant_values=grey), (left, top)

    return look


def _in_black(picture: np.ndarray) -> tuple[np.ndarray, tuple[int, int]]:
    border = round(BORDER * max(picture.shape[:2]))
    return np.pad(picture, ((border, border), (border, border), (0, 0))), (border, border)


def alignment(points: Float[np.ndarray, "5 2"], side: int) -> Float[np.ndarray, "2 3"]:
    """The affine matrix that lays five landmarks onto ArcFace's, in a square of so many pixels."""
    from insightface.utils.face_align import estimate_norm

    with warnings.catch_warnings():
        # insightface 2.1 aligns by a method of scikit-image that goes in 2.2.
        warnings.filterwarnings("ignore", "`estimate` is deprecated", FutureWarning)
        matrix: np.ndarray = estimate_norm(points, side)
    return matrix


def _largest(boxes: np.ndarray) -> int:
    return int(((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).argmax())


def warp_affine(
    picture: UInt8[np.ndarray, "height width 3"], matrix: np.ndarray, side: int
) -> UInt8[np.ndarray, "{side} {side} 3"]:
    """The square that an affine matrix (2, 3) cuts out of a picture, bilinear, black outside of it.

    The arithmetic of OpenCV 4, with which published scores were made: places rounded to a 32nd of a pixel, weights of
    15 bits. OpenCV 5 computes more exactly, which moves cosines of faces by up to 0.0024; this moves with no release.

    Source: opencv@4.x imgproc warpAffine with INTER_LINEAR, by its description and its results.
    """
    linear = np.linalg.inv(matrix[:, :2])
    shift = -linear @ matrix[:, 2]
    axis = np.arange(side)
    # Each place in 1024ths, its column's and its row's part rounded by themselves, then in 32nds.
    across = np.rint(linear[:, :1] * axis * 1024).astype(np.int64)
    down = np.rint((linear[:, 1:] * axis + shift[:, None]) * 1024).astype(np.int64) + 16
    x, y = (down[:, :, None] + across[:, None, :]) >> 5
    column, row = x >> 5, y >> 5
    right, below = (x & 31) / 32, (y & 31) / 32
    height, width = picture.shape[:2]
    total = np.full((side, side, 3), 1 << 14, np.int64)
    for dy, dx, weight in (
        (0, 0, (1 - below) * (1 - right)),
        (0, 1, (1 - below) * right),
        (1, 0, below * (1 - right)),
        (1, 1, below * right),
    ):
        at_row, at_column = row + dy, column + dx
        inside = (at_row >= 0) & (at_row < height) & (at_column >= 0) & (at_column < width)
        pixels = picture[at_row.clip(0, height - 1), at_column.clip(0, width - 1)].astype(np.int64)
        total += np.where(inside, np.rint(weight * 32768).astype(np.int64), 0)[..., None] * pixels
    return (total >> 15).clip(0, 255).astype(np.uint8)


def _load_insightface() -> tuple[Any, Any]:
    try:
        import onnxruntime
        from insightface import model_zoo
    except ImportError as error:
        raise InsightFaceMissingError(
            f"faces of a model pack need insightface, which does not import ({error}); install both, the second alone "
            f'because its metadata asks for a second OpenCV: pip install "pvbench[face]" and '
            f"pip install --no-deps insightface==2.1"
        ) from error
    return model_zoo, onnxruntime


def _providers(onnxruntime: Any, device: torch.device) -> list[Any]:
    if device.type == "cpu":
        return ["CPUExecutionProvider"]
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        raise DeviceError(
            f"device {device} was asked for, but this onnxruntime has no CUDA; use --device cpu, or "
            f"replace it: pip uninstall onnxruntime, then pip install onnxruntime-gpu"
        )
    return [("CUDAExecutionProvider", {"device_id": device.index or 0}), "CPUExecutionProvider"]


def _why_empty(folder: Path) -> str:
    nested = sorted({file.parent for file in folder.glob("*/*.onnx")})
    if nested:
        names = ", ".join(sorted(file.name for file in nested[0].glob("*.onnx")))
        return (
            f"{folder} holds no ONNX file itself, but {nested[0]} does: the archive has a folder of its own inside "
            f"(antelopev2.zip does) and was unpacked one folder too deep; move {names} up into {folder}, or name "
            f"{nested[0]}"
        )
    return f"{folder} holds no ONNX file; expected a face model pack such as antelopev2 or buffalo_l: unpack it there"


# A file's task shows in the shapes of its graph, not in its name: InsightFace's own rule, of which this knows the two
# tasks that matter. The graph's head is read by hand, since onnx would read a quarter of a gigabyte of weights with it.


def _tasks(files: tuple[Path, ...]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for file in files:
        try:
            inputs, outputs = _graph(file)
        except (ValueError, IndexError, OSError) as error:
            raise WeightsError(f"{file} is damaged or no ONNX file ({error}); download the pack again") from error
        if outputs >= 5:
            found.setdefault("detection", file)
        # 192 is InsightFace's sign of a landmark model.
        elif any(len(s) == 4 and s[2] == s[3] >= 112 and s[2] % 16 == 0 and s[2] != 192 for s in inputs):
            found.setdefault("recognition", file)
    return found


def _graph(file: Path) -> tuple[list[list[int]], int]:
    """The graph's input shapes, 0 for an open size, and its number of outputs."""
    # Fields by their numbers in onnx.proto: 7 a model's graph, 11 a graph's inputs, 12 its outputs.
    inputs: list[list[int]] = []
    outputs = 0
    for graph in _messages(np.memmap(file, np.uint8, "r").data, 7):
        outputs += sum(1 for _ in _messages(graph, 12))
        inputs += [list(_sizes(value)) for value in _messages(graph, 11)]
    if not inputs or not outputs:
        raise ValueError("it has no graph with inputs and outputs")
    return inputs, outputs


def _sizes(value: memoryview) -> Iterator[int]:
    # 2 a value's type, 1 that of a tensor, 2 its shape, 1 the shape's dimensions, 1 a dimension's size.
    for kind in _messages(value, 2):
        for tensor in _messages(kind, 1):
            for shape in _messages(tensor, 2):
                for dimension in _messages(shape, 1):
                    sizes = (size for number, size in _fields(dimension) if number == 1 and isinstance(size, int))
                    yield next(sizes, 0)


def _messages(data: memoryview, wanted: int) -> Iterator[memoryview]:
    return (value for number, value in _fields(data) if number == wanted and isinstance(value, memoryview))


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Numbers and values of a protobuf message's fields; fixed-width ones are passed over."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        if key & 7 == 0:
            value, at = _varint(data, at)
            yield key >> 3, value
        elif key & 7 == 2:
            length, at = _varint(data, at)
            if at + length > len(data):
                raise ValueError("it ends early")
            yield key >> 3, data[at : at + length]
            at += length
        elif key & 7 in (1, 5):
            at += 8 if key & 7 == 1 else 4
        else:
            raise ValueError("it is not a protobuf message")


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
        if shift > 63:
            raise ValueError("it is not a protobuf message")
