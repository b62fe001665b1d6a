"""Faces as OpenS2V-Eval and ConsisID look at them: which frames, which second look, which crop."""

import json

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from pvbench.features.face import TEMPLATE
from pvbench.features.published.curricularface import CurricularFace
from pvbench.features.published.protocol_faces import (
    CurricularLoader,
    ProtocolCurricular,
    ProtocolFaceLoader,
    ProtocolFaces,
    frames_of,
    load_protocol_pack,
)
from pvbench.profile import load_profile
from pvbench.video import Video

pytest.importorskip("insightface", reason="needs insightface: pip install --no-deps insightface==2.1")

from pvbench.features.published.insightface_faces import InsightFaces, padded_by

GREEN = (0, 255, 0)
CPU = torch.device("cpu")


class Detector:
    """Finds green, if a border of at least ten pixels is left around it; pictures are BGR."""

    def __init__(self):
        self.seen = []

    def detect(self, picture):
        self.seen.append(picture.shape[:2])
        rows, columns = np.nonzero((picture == GREEN).all(axis=-1))
        if not len(rows) or min(rows.min(), columns.min()) < 10:
            return np.zeros((0, 5), np.float32), np.zeros((0, 5, 2), np.float32)
        left, top, right, bottom = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
        points = np.array(TEMPLATE) / 112 * [right - left, bottom - top] + [left, top]
        return np.array([[left, top, right, bottom, 0.9]], np.float32), points[None].astype(np.float32)


class Recogniser:
    """A crop's mean colours."""

    output_shape, input_size = (1, 3), (112, 112)

    def get_feat(self, crop):
        return crop.reshape(-1, 3).mean(axis=0) + 1.0


@pytest.fixture
def faces(tmp_path):
    network = InsightFaces(Detector(), Recogniser(), (tmp_path, tmp_path))
    network.second_look = padded_by(0.25, 0.25, 128)
    return ProtocolFaces(network)


def frame(top=60, left=50, side=80, size=(200, 240)):
    made = np.full((*size, 3), 90, np.uint8)
    made[top : top + side, left : left + side] = GREEN
    return made


@pytest.mark.parametrize(("protocol", "count"), [("opens2v", 32), ("consisid", 16)])
@pytest.mark.parametrize("total", [1, 8, 16, 49, 97, 300])
def test_frames_are_those_of_the_scripts(protocol, count, total):
    # Their line: np.linspace(0, total_frames - 1, num_frames, dtype=int).
    assert frames_of(protocol, total).tolist() == [int(i) for i in np.linspace(0, total - 1, count)]


@pytest.mark.parametrize(("protocol", "count"), [("opens2v", 32), ("consisid", 16)])
def test_a_face_of_each_frame_or_nan(faces, protocol, count):
    frames = np.stack([frame() if i % 2 else np.full((200, 240, 3), 90, np.uint8) for i in range(count)])
    made = faces.make(f"{protocol}_face", Video(frames, 8.0), {})
    assert made[f"{protocol}/arc"].shape == (count, 3)
    missing = np.isnan(made[f"{protocol}/arc"]).all(axis=1)
    assert missing.tolist() == [i % 2 == 0 for i in range(count)]
    assert np.isnan(made[f"{protocol}/landmarks"][missing]).all()


def test_a_face_at_the_edge_is_found_within_a_quarter_of_grey(faces):
    shown = frame(top=0, left=0)
    made = faces.make("reference_protocol_face", [shown, frame()], {})
    # 200 x 240: a quarter of either on each side.
    assert faces.network.detector.seen == [(200, 240), (300, 360), (200, 240)]
    at_edge, inside = made["reference/protocol_landmarks"]
    np.testing.assert_allclose(at_edge + np.array([50, 60]), inside, atol=1e-3)


def test_photos_of_different_sizes_and_without_a_face_keep_their_place(faces):
    made = faces.make("reference_protocol_face", [frame(), np.full((50, 60, 3), 90, np.uint8)], {})
    assert np.isfinite(made["reference/protocol_arc"][0]).all()
    assert np.isnan(made["reference/protocol_arc"][1]).all()


@pytest.fixture
def curricular():
    torch.manual_seed(0)
    return ProtocolCurricular(CurricularFace((1, 1, 1, 1), width=4, size=16).eval(), CPU)


def crop_by_insightface(shown, points):
    from insightface.utils.face_align import norm_crop

    return cv2.resize(norm_crop(shown, landmark=points, image_size=224), (112, 112))


@pytest.mark.filterwarnings("ignore:`estimate` is deprecated")
def test_the_crop_is_that_of_the_scripts(faces, curricular):
    shown = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 255, (200, 240, 3), dtype=np.uint8), (0, 0), 3)
    points = faces.make("reference_protocol_face", [frame()], {})["reference/protocol_landmarks"]
    made = curricular.make("reference_curricular", [shown], {"reference/protocol_landmarks": points})
    expected = curricular.network.embed(torch.from_numpy(crop_by_insightface(shown, points[0]))[None])
    assert float(expected.numpy()[0] @ made["reference/protocol_cur"][0]) > 0.9995


def test_curricular_embeds_the_frames_that_were_marked(faces, curricular):
    frames = np.stack([frame(left=20 + i) if i % 3 else np.full((200, 240, 3), 90, np.uint8) for i in range(40)])
    video = Video(frames, 8.0)
    have = faces.make("consisid_face", video, {})
    made = curricular.make("consisid_curricular", video, have)["consisid/cur"]
    assert made.shape == (16, 16)
    np.testing.assert_array_equal(np.isnan(made).all(axis=1), np.isnan(have["consisid/arc"]).all(axis=1))
    np.testing.assert_allclose(np.linalg.norm(made[np.isfinite(made).all(axis=1)], axis=1), 1, atol=1e-5)


def test_signatures_name_frames_and_detection(tmp_path):
    profile = load_profile("animatediff")
    face = ProtocolFaceLoader.signature(profile)
    assert face["extractor"] == "buffalo_l"
    assert face["frames_seen"] == {"opens2v": 32, "consisid": 16}
    assert face["detection"].startswith("320x320")
    assert CurricularLoader.signature(profile)["extractor"] == "curricularface"


# With the pack of the references


def photo(reference, name):
    file = next((reference / "inputs/faces").glob(f"{name}.*"))
    return np.asarray(Image.open(file).convert("RGB"))


@pytest.mark.filterwarnings("ignore:`estimate` is deprecated")
def test_real_photos_have_the_embedding_of_the_scripts_own_calls(reference):
    from insightface import model_zoo
    from insightface.utils.face_align import norm_crop

    folder = reference / "weights/pack"
    network = load_protocol_pack(folder, "cpu")
    models = [model_zoo.get_model(str(file), providers=["CPUExecutionProvider"]) for file in folder.glob("*.onnx")]
    detector = next(model for model in models if model.taskname == "detection")
    recogniser = next(model for model in models if model.taskname == "recognition")
    detector.prepare(-1, input_size=(320, 320), det_thresh=0.5)
    found, expected = [], []
    for name in ("obama", "biden"):
        shown = photo(reference, name)
        made = ProtocolFaces(network).make("reference_protocol_face", [shown], {})
        picture = np.ascontiguousarray(shown[..., ::-1])
        boxes, points = detector.detect(picture)
        largest = int(((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).argmax())
        np.testing.assert_allclose(made["reference/protocol_landmarks"][0], points[largest], atol=1e-3)
        arc = recogniser.get_feat(norm_crop(picture, landmark=points[largest])).ravel()
        found.append(made["reference/protocol_arc"][0])
        expected.append(arc / np.linalg.norm(arc))
    # OpenCV 5 cuts the crop out more exactly than OpenCV 4, with which the published scores were made.
    ours, theirs = np.array(found), np.array(expected)
    np.testing.assert_allclose(ours @ ours.T, theirs @ theirs.T, atol=3e-3)


def test_the_public_demonstration_has_its_published_scores(pvbench, reference, tmp_path):
    """OpenS2V-Eval's own clip, by buffalo_l and CurricularFace; skipped where the clip or a weight is missing.

    Its README prints .94202 (CurricularFace) and .93670 (ArcFace); a port in another repository is off by 4e-4.
    """
    clip = reference / "inputs" / "opens2v" / "singleface_3.mp4"
    if not clip.is_file():
        pytest.skip(f"the clip and its person's photo in the folder singleface_3 are not in {clip.parent}")
    shows = ("--identity", str(clip.with_suffix("")), "--prompt", "a person")
    how = ("--profile", "animatediff", "--metrics", "opens2v_face", "--device", "cpu", "--workers", "1")
    status, _, told = pvbench("measure", str(clip), *shows, *how, "--out", "out")
    if status == 2 and "weights" in told:
        pytest.skip(told)
    (row,) = json.loads((tmp_path / "out" / "report" / "aggregates.json").read_text())["methods"].values()
    assert row["scores"]["opens2v_cur"]["value"] == pytest.approx(0.94202, abs=1e-3)
    assert row["scores"]["opens2v_arc"]["value"] == pytest.approx(0.93670, abs=1e-3)
