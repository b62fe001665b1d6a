"""Faces of frames: rows of NaN where there is none, errors for photos that cannot serve, weights that must fit."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from pvbench.errors import FaceError, WeightsError
from pvbench.features.mini.face_extractor import load_state
from pvbench.features.mini.face_networks import FaceDetector
from pvbench.pixels import to_tensor
from workshop.train.networks import save_network

BLACK, GREY, WHITE = 0, 128, 255


def frames(*levels):
    return np.stack([np.full((64, 64, 3), level, np.uint8) for level in levels])


def test_frames_become_tensors_between_minus_one_and_one():
    tensor = to_tensor(frames(BLACK, WHITE), torch.device("cpu"))
    assert tensor.shape == (2, 3, 64, 64)
    assert tensor[0].unique().tolist() == [-1.0]
    assert tensor[1].unique().tolist() == [1.0]


def test_a_frame_without_a_face_has_rows_of_nan(face):
    found = face(frames(GREY, BLACK, WHITE))
    assert found.count.tolist() == [1.0, 0.0, 2.0]
    for name in ("landmarks", "embedding", "box"):
        rows = getattr(found, name)
        assert rows.dtype == np.float32
        assert np.isnan(rows[1]).all()
        assert not np.isnan(rows[[0, 2]]).any()
    assert np.linalg.norm(found.embedding[0]) == pytest.approx(1, abs=1e-5)


def test_a_video_without_any_face_is_all_nan(face):
    found = face(frames(BLACK, BLACK))
    assert found.embedding.shape == (2, 128)
    assert np.isnan(found.embedding).all()
    assert found.count.tolist() == [0.0, 0.0]


def test_of_two_faces_the_surer_is_taken(face):
    np.testing.assert_allclose(face(frames(WHITE)).landmarks, face(frames(GREY)).landmarks)


def test_a_box_holds_the_landmarks(face):
    found = face(frames(GREY))
    x0, y0, x1, y1 = found.box[0]
    assert (found.landmarks[0, :, 0] > x0).all() and (found.landmarks[0, :, 0] < x1).all()
    assert (found.landmarks[0, :, 1] > y0).all() and (found.landmarks[0, :, 1] < y1).all()


def test_a_frames_face_does_not_depend_on_the_other_frames(face):
    together = face(frames(*[GREY, BLACK, WHITE] * 30))
    np.testing.assert_allclose(together.embedding[87], face(frames(GREY)).embedding[0], atol=1e-5)


@pytest.mark.parametrize(("level", "what"), [(BLACK, "no face"), (WHITE, "2 faces")])
def test_a_reference_that_cannot_serve_is_told(face, level, what):
    with pytest.raises(FaceError, match=f"reference photo 2 of 3 shows {what}; expected exactly one"):
        face.reference(list(frames(GREY, level, GREY)))


def test_references_are_joined(face):
    assert face.reference(list(frames(GREY, GREY))).embedding.shape == (2, 128)


# Weights


@pytest.fixture
def folder(tmp_path):
    torch.manual_seed(0)
    save_network(tmp_path, FaceDetector(4), width=4)
    return tmp_path


def test_weights_come_back_frozen_in_full_precision(folder):
    model = load_state(FaceDetector(4), folder, torch.device("cpu"))
    stored = load_file(folder / "model.safetensors")
    assert all(value.dtype == torch.float16 for value in stored.values())
    for name, value in model.state_dict().items():
        assert name.endswith("num_batches_tracked") or torch.equal(value, stored[name].float())
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_weights_of_another_width_are_told(folder):
    with pytest.raises(WeightsError, match=r"model\.safetensors cannot be loaded into FaceDetector"):
        load_state(FaceDetector(8), folder, torch.device("cpu"))


def test_a_missing_tensor_is_told(folder):
    state = load_file(folder / "model.safetensors")
    del state["head.1.bias"]
    save_file(state, folder / "model.safetensors")
    with pytest.raises(WeightsError, match=r"does not fit FaceDetector: lacks \['head.1.bias'\]"):
        load_state(FaceDetector(4), folder, torch.device("cpu"))


@pytest.mark.parametrize("content", [b"", b"not safetensors", None])
def test_a_damaged_or_missing_file_is_told(folder, content):
    file = folder / "model.safetensors"
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    with pytest.raises(WeightsError, match=str(file)):
        load_state(FaceDetector(4), folder, torch.device("cpu"))
