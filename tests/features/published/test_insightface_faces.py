"""Faces by an InsightFace pack: the largest face of a frame, packs that cannot serve, the reference's own numbers.

The pack of most tests is two small graphs made here: a frame's cells of 32 pixels are faces where they are green.
"""

import json
import socket
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pvbench.errors import DeviceError, FaceError, WeightsError
from pvbench.features.face import TEMPLATE
from pvbench.features.published.insightface_faces import (
    CHOICE,
    InsightFaceMissingError,
    InsightFaces,
    check_pack,
    load_pack,
    warp_affine,
)
from pvbench.video import read_video

pytest.importorskip("insightface", reason="needs insightface: pip install --no-deps insightface==2.1")
onnx = pytest.importorskip("onnx", reason='needs onnx: pip install "pvbench[face]"')

GREEN, CYAN, YELLOW = (0, 255, 0), (0, 255, 255), (255, 255, 0)


def save_graph(path, nodes, weights, inputs, outputs):
    values = [
        [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name, shape in side.items()]
        for side in (inputs, outputs)
    ]
    constants = [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()]
    graph = onnx.helper.make_graph(nodes, "graph", *values, constants)
    opset = [onnx.helper.make_opsetid("", 13)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), path)


def save_detector(path):
    """SCRFD's nine outputs; stride 32's first anchor sees a face in green, a surer one in cyan, a larger in yellow."""
    node = onnx.helper.make_node
    nodes, weights, outputs = [], {}, {}
    landmarks = (np.array(TEMPLATE, np.float32) / 112 - 0.5).ravel()
    for what, width in (("score", 1), ("box", 4), ("points", 10)):
        weights[f"{what}_shape"] = np.array([-1, width])
        for stride in (8, 16, 32):
            name = f"{what}{stride}"
            # Two anchors, three colours; inputs are (x - 127.5) / 128.
            kernel, bias = np.zeros((2, width, 3), np.float32), np.zeros((2, width), np.float32)
            if what == "score":
                bias[:] = -1
                if stride == 32:
                    kernel[0, 0], bias[0] = (0, 0.9, 0.1), 0
            elif what == "box":
                kernel[..., 0], bias[:] = 0.25, 0.5
            else:
                bias[:] = landmarks
            spread = np.broadcast_to(kernel.reshape(-1, 3, 1, 1), (2 * width, 3, stride, stride)) / stride**2
            weights |= {f"{name}_kernel": np.ascontiguousarray(spread, np.float32), f"{name}_bias": bias.ravel()}
            nodes += [
                node("Conv", ["picture", f"{name}_kernel", f"{name}_bias"], [f"{name}_map"], strides=[stride, stride]),
                node("Transpose", [f"{name}_map"], [f"{name}_last"], perm=[0, 2, 3, 1]),
                node("Reshape", [f"{name}_last", f"{what}_shape"], [name]),
            ]
            outputs[name] = [None, width]
    save_graph(path, nodes, weights, {"picture": [1, 3, "height", "width"]}, outputs)


def save_recogniser(path, side=112):
    """A random linear reading of a crop's colours in quarters."""
    linear = np.random.default_rng(0).normal(size=(48, 512)).astype(np.float32)
    pool = side // 4
    nodes = [
        onnx.helper.make_node("AveragePool", ["crop"], ["small"], kernel_shape=[pool, pool], strides=[pool, pool]),
        onnx.helper.make_node("Flatten", ["small"], ["flat"]),
        onnx.helper.make_node("MatMul", ["flat", "linear"], ["embedding"]),
    ]
    save_graph(path, nodes, {"linear": linear}, {"crop": [1, 3, side, side]}, {"embedding": [1, 512]})


@pytest.fixture(scope="module")
def pack(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pack")
    save_detector(folder / "det.onnx")
    save_recogniser(folder / "w.onnx")
    return folder


@pytest.fixture(scope="module")
def faces(pack):
    return load_pack(pack)


def picture(**cells):
    """A grey frame with faces, given as colour and cell: row, column."""
    frame = np.full((640, 640, 3), 100, np.uint8)
    for colour, (row, column) in cells.items():
        frame[32 * row : 32 * row + 32, 32 * column : 32 * column + 32] = globals()[colour]
    return frame


# Frames


def test_a_face_is_boxed_and_marked_in_the_frames_own_pixels(faces):
    found = faces(picture(GREEN=(5, 8))[None])
    assert found.count.tolist() == [1]
    # SCRFD's anchors are the cells' upper left corners; red 0 shrinks the box to 0.251 cells on each side.
    half = (0.5 - 0.25 * 127.5 / 128) * 32
    np.testing.assert_allclose(found.box[0], [256 - half, 160 - half, 256 + half, 160 + half], atol=1e-3)
    marks = (np.array(TEMPLATE) / 112 - 0.5) * 32 + [256, 160]
    np.testing.assert_allclose(found.landmarks[0], marks, atol=1e-3)
    assert found.embedding.shape == (1, 512)
    assert np.linalg.norm(found.embedding[0]) == pytest.approx(1, abs=1e-6)


def test_of_several_faces_the_largest_is_taken_and_not_the_surest(faces):
    assert CHOICE == "largest box"
    found = faces(picture(CYAN=(5, 5), YELLOW=(12, 9))[None])
    assert found.count.tolist() == [2]
    np.testing.assert_allclose(found.box[0, :2] + found.box[0, 2:], [2 * 288, 2 * 384], atol=1e-3)


def test_a_small_frame_is_fitted_into_the_detectors_square(faces):
    half = np.asarray(Image.fromarray(picture(YELLOW=(6, 8))).resize((320, 320), Image.Resampling.NEAREST))
    whole, small = faces(picture(YELLOW=(6, 8))[None]), faces(half[None])
    # The detector's picture is made larger without knowledge of what was between the pixels: half a cell at the most.
    np.testing.assert_allclose(small.landmarks, whole.landmarks / 2, atol=0.5)


def test_a_frame_without_a_face_has_rows_of_nan(faces):
    found = faces(np.stack([picture(GREEN=(5, 8)), picture(), picture(YELLOW=(5, 8))]))
    assert found.count.tolist() == [1, 0, 1]
    for name in ("landmarks", "embedding", "box"):
        rows = getattr(found, name)
        assert rows.dtype == np.float32
        assert np.isnan(rows[1]).all()
        assert not np.isnan(rows[[0, 2]]).any()


def test_a_video_without_any_face_is_all_nan(faces):
    found = faces(np.stack([picture()] * 2))
    assert found.embedding.shape == (2, 512)
    assert np.isnan(found.embedding).all()


class NearSighted:
    """A detector that misses what fills more than two thirds of a picture, as SCRFD does: a face is what is bright."""

    def detect(self, picture):
        rows, columns = np.nonzero(picture.max(axis=-1) > 200)
        if not rows.size or np.ptp(rows) > 2 / 3 * len(picture):
            return np.zeros((0, 5), np.float32), np.zeros((0, 5, 2), np.float32)
        box = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1, 0.9], np.float32)
        marks = box[:2] + np.array(TEMPLATE, np.float32) / 112 * (box[2:4] - box[:2])
        return box[None], marks[None]


@pytest.mark.parametrize("size", [(90, 90), (90, 160), (160, 90)])
def test_a_face_that_fills_the_frame_is_found_in_the_frames_own_pixels(faces, size):
    frame = np.full((*size, 3), 30, np.uint8)
    frame[4:-2, 8:-5] = 250
    found = InsightFaces(NearSighted(), faces.recogniser, faces.files)(frame[None])
    assert found.count.tolist() == [1]
    assert found.box[0].tolist() == [8, 4, size[1] - 5, size[0] - 2]
    assert (found.landmarks[0] < found.box[0, 2:]).all()
    assert np.isfinite(found.embedding).all()


def test_a_frames_face_does_not_depend_on_the_other_frames(faces):
    frames = [picture(GREEN=(5, 8)), picture(YELLOW=(3, 3)), picture(), picture(CYAN=(9, 9))]
    together, backwards = faces(np.stack(frames)), faces(np.stack(frames[::-1]))
    # Exact: frames are seen one at a time.
    np.testing.assert_array_equal(together.embedding, backwards.embedding[::-1])


def test_red_is_not_taken_for_blue(faces):
    assert faces(picture(YELLOW=(5, 8))[None]).box[0, 2] > faces(picture(CYAN=(5, 8))[None]).box[0, 2]


def test_the_threshold_is_the_smallest_score_of_a_face(pack):
    frame = picture(YELLOW=(5, 8))[None]  # its score is (0.9 - 0.1) * 127.5 / 128 = 0.797
    assert load_pack(pack, threshold=0.79)(frame).count.tolist() == [1]
    assert load_pack(pack, threshold=0.8)(frame).count.tolist() == [0]


@pytest.mark.parametrize(("cells", "what"), [({}, "no face"), ({"CYAN": (5, 5), "YELLOW": (12, 9)}, "2 faces")])
def test_a_reference_that_cannot_serve_is_told(faces, cells, what):
    good = picture(GREEN=(5, 8))
    with pytest.raises(FaceError, match=f"reference photo 2 of 3 shows {what}; expected exactly one"):
        faces.reference([good, picture(**cells), good])


def test_references_of_different_sizes_are_joined(faces):
    found = faces.reference([picture(GREEN=(5, 8)), picture(GREEN=(5, 8))[:400]])
    assert found.embedding.shape == (2, 512)


# Packs


def test_a_pack_is_its_onnx_files_by_name(pack, faces):
    assert check_pack(pack) == (pack / "det.onnx", pack / "w.onnx")
    assert faces.files == (pack / "det.onnx", pack / "w.onnx")


def test_an_archive_unpacked_one_folder_too_deep_is_explained(tmp_path):
    inner = tmp_path / "antelopev2" / "antelopev2"
    inner.mkdir(parents=True)
    save_detector(inner / "scrfd_10g_bnkps.onnx")
    save_recogniser(inner / "glintr100.onnx")
    with pytest.raises(WeightsError) as caught:
        check_pack(inner.parent)
    assert str(caught.value) == (
        f"{inner.parent} holds no ONNX file itself, but {inner} does: the archive has a folder of its own inside "
        f"(antelopev2.zip does) and was unpacked one folder too deep; move glintr100.onnx, scrfd_10g_bnkps.onnx up "
        f"into {inner.parent}, or name {inner}"
    )
    assert len(check_pack(inner)) == 2


def test_an_absent_and_an_empty_folder_are_told(tmp_path):
    with pytest.raises(WeightsError, match=r"no face model pack at .*absent; expected a folder of ONNX files"):
        check_pack(tmp_path / "absent")
    with pytest.raises(WeightsError, match="holds no ONNX file; expected a face model pack"):
        check_pack(tmp_path)


@pytest.mark.parametrize(("save", "lacks"), [(save_detector, "recognition"), (save_recogniser, "detection")])
def test_a_folder_without_one_of_the_two_models_is_told(tmp_path, save, lacks):
    save(tmp_path / "only.onnx")
    with pytest.raises(WeightsError, match=rf"holds no {lacks} model .*, only only\.onnx; unpack the whole pack"):
        check_pack(tmp_path)


def test_models_of_landmarks_gender_and_age_are_no_recognisers(tmp_path):
    save_detector(tmp_path / "det.onnx")
    save_recogniser(tmp_path / "genderage.onnx", 96)
    save_recogniser(tmp_path / "1k3d68.onnx", 192)
    with pytest.raises(WeightsError, match="holds no recognition model"):
        check_pack(tmp_path)


def test_models_of_other_tasks_are_not_loaded(tmp_path):
    save_detector(tmp_path / "det.onnx")
    save_recogniser(tmp_path / "w.onnx")
    node = onnx.helper.make_node("NoSuchOperator", ["crop"], ["age"])
    save_graph(tmp_path / "genderage.onnx", [node], {}, {"crop": [1, 3, 96, 96]}, {"age": [1, 3]})
    assert load_pack(tmp_path)(picture(GREEN=(5, 8))[None]).count.tolist() == [1]


@pytest.mark.parametrize("content", [b"", b"version https://git-lfs.github.com/spec/v1", "half"])
def test_a_damaged_file_is_told_before_anything_is_loaded(tmp_path, content):
    save_detector(tmp_path / "det.onnx")
    save_recogniser(tmp_path / "w.onnx")
    whole = (tmp_path / "w.onnx").read_bytes()
    (tmp_path / "w.onnx").write_bytes(whole[: len(whole) // 2] if content == "half" else content)
    with pytest.raises(WeightsError, match=r"w\.onnx is damaged or no ONNX file .*; download the pack again"):
        check_pack(tmp_path)


def test_a_file_that_onnxruntime_refuses_is_told(tmp_path):
    save_detector(tmp_path / "det.onnx")
    node = onnx.helper.make_node("NoSuchOperator", ["crop"], ["embedding"])
    save_graph(tmp_path / "w.onnx", [node], {}, {"crop": [1, 3, 112, 112]}, {"embedding": [1, 512]})
    with pytest.raises(WeightsError, match=r"insightface cannot load .*w\.onnx.*NoSuchOperator"):
        load_pack(tmp_path)


def test_no_network_is_asked(pack, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    # A name that insightface knows, and would download.
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WeightsError):
        load_pack(Path("buffalo_l"))
    assert load_pack(pack)(picture(GREEN=(5, 8))[None]).count.tolist() == [1]


def test_without_insightface_a_pack_is_still_checked_and_the_commands_are_named(pack, monkeypatch):
    monkeypatch.setitem(sys.modules, "insightface", None)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert len(check_pack(pack)) == 2
    with pytest.raises(InsightFaceMissingError) as caught:
        load_pack(pack)
    assert 'pip install "pvbench[face]"' in str(caught.value)
    assert "pip install --no-deps insightface==2.1" in str(caught.value)


def test_a_gpu_that_onnxruntime_cannot_use_is_told(pack):
    onnxruntime = pytest.importorskip("onnxruntime")
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime has CUDA")
    with pytest.raises(DeviceError, match=r"onnxruntime has no CUDA; .*pip install onnxruntime-gpu"):
        load_pack(pack, torch.device("cuda"))


# Real models and photos. Expected values: insightface 0.7.3 FaceAnalysis, det_size (640, 640), onnxruntime on CPU, and
# OpenCV 4.14. Measured here: 1.1e-4 at most.
TOLERANCE = 5e-4


@pytest.fixture(scope="module")
def real(reference):
    return load_pack(reference / "weights/pack")


@pytest.fixture(scope="module")
def expected(reference):
    return json.loads((reference / "expected/face.json").read_text())


def photo(reference, name):
    file = next((reference / "inputs/faces").glob(f"{name}.*"))
    return np.asarray(Image.open(file).convert("RGB"))


def test_real_photos_compare_as_in_the_reference(reference, real, expected):
    found = real.reference([photo(reference, name) for name in expected["insightface"]["names"]])
    cosine = found.embedding @ found.embedding.T
    np.testing.assert_allclose(cosine, expected["insightface"]["cosine"], atol=TOLERANCE)


def test_real_photos_are_marked_as_in_the_reference(reference, real, expected):
    for face in expected["insightface"]["faces"]:
        found = real.reference([photo(reference, face["name"])])
        # Pixels of photos about a thousand wide, detected at 640: a third of a pixel there.
        np.testing.assert_allclose(found.landmarks[0], face["kps"], atol=0.5)
        np.testing.assert_allclose(found.box[0], face["bbox"], atol=1)


@pytest.mark.parametrize(("name", "count"), [("two_people", 2), ("obama_and_biden", 3)])
def test_a_real_photo_of_several_people_is_refused(reference, real, name, count):
    with pytest.raises(FaceError, match=f"shows {count} faces"):
        real.reference([photo(reference, name)])


def test_a_real_video_compares_with_its_first_frame_as_in_the_reference(reference, real, expected, monkeypatch):
    # The public script takes the pixels as they are coded, and this video's are not square.
    monkeypatch.setattr("pvbench.video.read.square_width", lambda stream, frame: frame.width)
    frames = read_video(reference / "inputs/videos/carphone_pristine.mp4").frames
    video = expected["video"]["carphone_pristine.mp4"]
    found = real(frames[:: video["step"]])
    assert len(found.count) == video["sampled"]
    assert (found.count == 0).sum() == video["no_face"]
    np.testing.assert_allclose(found.embedding @ found.embedding[0], video["cos_to_first"], atol=TOLERANCE)


@pytest.mark.parametrize("name", ["close", "closer"])
def test_a_rendered_face_that_fills_the_frame_scores_as_with_room_around_it(cases, real, name):
    walter = np.asarray(Image.open(cases / "closeup_face/who/walter/r.jpg").convert("RGB"))
    (person,) = real.reference([walter]).embedding
    scores = []
    for folder in (name, f"{name}_padded"):
        (file,) = (cases / "closeup_face/v" / folder / "walter").iterdir()
        scores.append(float((real(read_video(file).frames).embedding @ person).mean()))
    # The padded videos were encoded once more.
    assert scores[0] == pytest.approx(scores[1], abs=0.05)
    assert scores[0] > 0.85


def test_cutting_out_whole_pixels_gives_them():
    picture = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    shifted = np.array([[1.0, 0.0, -4.0], [0.0, 1.0, -3.0]])
    np.testing.assert_array_equal(warp_affine(picture, shifted, 8), picture[3:11, 4:12])


def test_half_a_pixel_is_the_mean_of_two_and_outside_is_black():
    picture = np.zeros((4, 4, 3), np.uint8)
    picture[:, 1], picture[:, 2] = 100, 50
    half = np.array([[1.0, 0.0, -0.5], [0.0, 1.0, 0.0]])
    found = warp_affine(picture, half, 4)
    np.testing.assert_array_equal(found[:, :, 0], [[50, 75, 25, 0]] * 4)
    far = np.array([[1.0, 0.0, 100.0], [0.0, 1.0, 0.0]])
    assert not warp_affine(picture, far, 4).any()
