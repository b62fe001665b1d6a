"""The identity reward by an InsightFace pack: real faces, real networks, and a guard against scoring by itself."""

import dataclasses
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from pvbench.digest import file_digest
from pvbench.errors import FaceError, ProfileError, WeightsError
from pvbench.profile import load_profile
from pvbench.reward import Jitter, check_apart, load_identity_reward, reward_loader, reward_signature

pytest.importorskip("insightface", reason="needs insightface: pip install --no-deps insightface==2.1")


@pytest.fixture(scope="module")
def pack(reference):
    return reference / "weights" / "pack"


def profile_with(pack):
    return dataclasses.replace(load_profile("animatediff"), rewards={"identity": "insightface", "face": str(pack)})


@pytest.fixture(scope="module")
def reward(pack):
    return load_identity_reward(profile_with(pack), "cpu")


@pytest.fixture(scope="module")
def photo(reference):
    def read(name):
        with Image.open(reference / "inputs" / "faces" / name) as image:
            return np.asarray(image.convert("RGB"))

    return read


def as_images(*photos, side=224):
    """Photos as frames (n, 3, side, side) in [-1, 1]."""
    small = [np.asarray(Image.fromarray(one).resize((side, side), Image.Resampling.LANCZOS)) for one in photos]
    return torch.from_numpy(np.stack(small)).permute(0, 3, 1, 2).float() / 127.5 - 1


def generator():
    return torch.Generator().manual_seed(0)


def test_embeddings_are_those_of_the_scoring_code(reward, photo):
    """By the same pack: its crop rounds places to 32nds of a pixel, ours does not."""
    for name in ("obama.jpg", "biden.jpg", "lin_manuel_miranda.png"):
        frame = photo(name)
        scored = reward.faces(frame[None])
        known = reward.reference([frame], 0, 0)
        cosine = float(reward.embed(known.crops)[0] @ torch.from_numpy(scored.embedding[0]))
        assert cosine > 0.9999, name


def test_the_same_person_is_nearer_than_another(reward, photo):
    known = reward.reference([photo("obama.jpg"), photo("obama3.jpg")], 0, 0)
    images = as_images(photo("obama2.jpg"), photo("biden.jpg"), photo("lin_manuel_miranda.png"))
    own, *others = reward(images, known, Jitter(), generator()).tolist()
    assert own < min(others) - 0.2


def test_a_step_against_the_gradient_makes_a_face_more_alike(reward, photo):
    known = reward.reference([photo("obama.jpg")], 0, 0)
    image = as_images(photo("biden.jpg")).requires_grad_()
    before = reward(image, known, Jitter(), generator())
    before.sum().backward()
    gradient = image.grad
    assert torch.isfinite(gradient).all()
    # The face alone has one.
    points = reward.landmarks(image)[0]
    middle = points.mean(dim=0).round().int().tolist()
    assert gradient[0, :, middle[1] - 20 : middle[1] + 20, middle[0] - 20 : middle[0] + 20].abs().max() > 0
    assert float((gradient[0] == 0).all(dim=0).float().mean()) > 0.1
    with torch.no_grad():
        after = reward(image - 0.02 * gradient / gradient.abs().max(), known, Jitter(), generator())
    assert float(after) < float(before.detach())


def test_frames_without_a_face_are_left_out(reward, photo):
    known = reward.reference([photo("obama.jpg")], 0, 0)
    grey = torch.zeros(1, 3, 224, 224)
    assert reward(grey, known, Jitter(), generator()) is None
    assert reward.landmarks(grey).isnan().all()
    assert reward.face_mask(grey).abs().max() == 0
    both = torch.cat([grey, as_images(photo("obama2.jpg"))])
    assert reward(both, known, Jitter(), generator()).shape == (1,)
    assert float(reward.face_mask(both)[1].max()) > 0.9


def test_landmarks_are_in_the_pictures_pixels(reward, photo):
    large, small = (reward.landmarks(as_images(photo("obama.jpg"), side=side))[0] for side in (448, 224))
    torch.testing.assert_close(large / 2, small, rtol=0, atol=3.0)
    assert bool((small[0, 0] < small[1, 0]) & (small[0, 1] < small[3, 1]))


def test_a_photo_of_two_people_is_refused(reward, photo):
    with pytest.raises(FaceError, match=r"shows \d faces; expected exactly one"):
        reward.reference([photo("obama_and_biden.jpg")], 0, 0)


def test_jitter_moves_the_loss_and_is_drawn_by_the_generator(reward, photo):
    known, image = reward.reference([photo("obama.jpg")], 0, 0), as_images(photo("obama2.jpg"))
    jitter = Jitter(reference=0.2, image=0.1, crop=0.1)
    one, again = (float(reward(image, known, jitter, generator())) for _ in range(2))
    assert one == again
    assert one != float(reward(image, known, Jitter(), generator()))


def test_the_signature_names_both_files(pack):
    found = reward_signature(profile_with(pack), "identity")
    assert found["reward"] == "insightface"
    assert found["recogniser"] == file_digest(pack / "w_mobilefacenet.onnx")
    assert reward_loader(profile_with(pack), "identity").judges(profile_with(pack)) == {found["recogniser"]}


def test_the_pack_that_scores_is_refused_as_reward(pack, tmp_path):
    """Evaluators' signatures have the first sixteen digits of a digest."""
    profile = profile_with(pack)
    sha = file_digest(pack / "w_mobilefacenet.onnx")
    with pytest.raises(ProfileError, match="the identity reward and the evaluator 'face' are the same network"):
        check_apart(profile, "identity", {"face": {"weights": {"w.onnx": sha[:16]}}})
    # A detector that both share judges nobody.
    detector = file_digest(pack / "det_500m.onnx")
    check_apart(profile, "identity", {"face": {"weights": {"det.onnx": detector[:16], "w.onnx": "0" * 16}}})


def test_a_pack_is_named_below_the_weights_folder_or_by_its_path(pack, tmp_path, monkeypatch):
    monkeypatch.setenv("PVBENCH_WEIGHTS", str(tmp_path))
    shutil.copytree(pack, tmp_path / "insightface" / "mine")
    assert reward_signature(profile_with("mine"), "identity") == reward_signature(profile_with(pack), "identity")
    with pytest.raises(WeightsError, match=r"no face model pack at .*nothing"):
        reward_signature(profile_with("nothing"), "identity")
    wrong = dataclasses.replace(profile_with(pack), rewards={"identity": "insightface", "face": 3})
    with pytest.raises(ProfileError, match="face is 3; expected the name of a pack"):
        reward_signature(wrong, "identity")
