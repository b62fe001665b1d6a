"""Inception-v3 on faces: the script's picture, torchvision's network, and which files are refused."""

import pickle

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from pvbench.errors import WeightsError
from pvbench.features.face import TEMPLATE
from pvbench.features.published.inception import WIDTH, InceptionFaces, InceptionLoader, load_inception
from pvbench.profile import load_profile
from pvbench.torchvision_shim import load_torchvision
from pvbench.video import Video

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def network():
    """torchvision's network as its `inception_v3` makes it of published weights; here they are random."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = load_torchvision().models.Inception3(transform_input=True, init_weights=False)
        for module in made.modules():
            # As large behind the last layer as behind the first.
            if isinstance(module, torch.nn.Conv2d):
                torch.nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1)
    return made.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def file(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("inception") / "inception.pth"
    torch.save(network.state_dict(), path)
    return path


@pytest.fixture(scope="module")
def evaluator(file):
    return InceptionFaces(load_inception(file, CPU))


def frame(seed=0, size=(200, 240)):
    """Soft colours, of which red is the brightest: exchanged channels would show."""
    noise = np.random.default_rng(seed).integers(0, 255, (*size, 3), dtype=np.uint8)
    return (cv2.GaussianBlur(noise, (0, 0), 3) * np.array([1.0, 0.6, 0.3])).astype(np.uint8)


def landmarks(left=60, top=50, side=90):
    return (np.array(TEMPLATE) / 112 * side + [left, top]).astype(np.float32)


def pooled(network, face):
    """The features of one face (299, 299, 3), step by step: scaled, changed as torchvision does, up to the pooling."""
    x = torch.tensor(face).permute(2, 0, 1)[None].float() / 255
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    x = (x * deviation.view(1, 3, 1, 1) + mean.view(1, 3, 1, 1) - 0.5) / 0.5
    stages = ("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "maxpool1", "Conv2d_3b_1x1", "Conv2d_4a_3x3",
              "maxpool2", "Mixed_5b", "Mixed_5c", "Mixed_5d", "Mixed_6a", "Mixed_6b", "Mixed_6c", "Mixed_6d",
              "Mixed_6e", "Mixed_7a", "Mixed_7b", "Mixed_7c")  # fmt: skip
    for stage in stages:
        x = getattr(network, stage)(x)
    return x.mean(dim=(2, 3))[0].numpy()


@pytest.mark.filterwarnings("ignore:`estimate` is deprecated")
def test_a_photo_has_the_features_of_the_scripts_picture(network, evaluator):
    face_align = pytest.importorskip("insightface.utils.face_align", reason="needs insightface==2.1")
    photo, points = frame(), landmarks()
    # insightface's crop: OpenCV 5 cuts it more exactly than OpenCV 4, as which we cut.
    crop = face_align.norm_crop(np.ascontiguousarray(photo), landmark=points, image_size=224)
    face = np.asarray(Image.fromarray(crop).resize((299, 299), Image.Resampling.BILINEAR))
    expected = pooled(network, face)
    made = evaluator.make("reference_inception", [photo], {"reference/protocol_landmarks": points[None]})
    (found,) = made["reference/inception"]
    assert found.shape == (WIDTH,)
    assert np.linalg.norm(found - expected) < 0.01 * np.linalg.norm(expected)
    # Blue first would be far from that.
    exchanged = pooled(network, np.ascontiguousarray(face[..., ::-1]))
    assert np.linalg.norm(found - exchanged) > 0.1 * np.linalg.norm(expected)


def test_the_network_is_torchvisions_to_rounding(network, evaluator):
    faces = np.stack([frame(seed, (224, 224)) for seed in range(2)])
    resized = [np.asarray(Image.fromarray(face).resize((299, 299), Image.Resampling.BILINEAR)) for face in faces]
    expected = np.stack([pooled(network, face) for face in resized])
    np.testing.assert_allclose(evaluator.network(faces), expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def test_frames_without_a_face_are_nan_and_the_frames_are_consisids(evaluator):
    pytest.importorskip("insightface", reason="needs insightface==2.1")
    frames = np.stack([frame(i) for i in range(40)])
    points = np.full((16, 5, 2), np.nan, np.float32)
    points[3] = landmarks()
    have = {"consisid/landmarks": points}
    found = evaluator.make("consisid_inception", Video(frames, 8.0), have)["consisid/inception"]
    assert found.shape == (16, WIDTH)
    assert np.flatnonzero(np.isfinite(found).all(axis=1)).tolist() == [3]
    assert np.isnan(found[[0, 15]]).all()
    # The fourth of 16 places from 0 to 39 is frame 7.
    alone = evaluator.make("reference_inception", [frames[7]], {"reference/protocol_landmarks": points[3:4]})
    np.testing.assert_array_equal(found[3], alone["reference/inception"][0])


def test_files_of_other_networks_and_with_code_are_refused(network, file, tmp_path):
    state = torch.load(file, weights_only=True)
    path = tmp_path / "other.pth"
    torch.save(state | {"fc.weight": torch.zeros(1008, 2048)}, path)
    with pytest.raises(WeightsError, match=r"pytorch-fid's file.*expected torchvision's inception_v3_google"):
        load_inception(path, CPU)
    torch.save({name: value for name, value in state.items() if name != "Mixed_7c.branch1x1.conv.weight"}, path)
    with pytest.raises(WeightsError, match=r"lacks 1 tensors \(Mixed_7c.branch1x1.conv.weight\)"):
        load_inception(path, CPU)
    torch.save(state | {"Mixed_7c.branch1x1.conv.weight": torch.zeros(1)}, path)
    with pytest.raises(WeightsError, match="1 of another shape"):
        load_inception(path, CPU)
    path.write_bytes(pickle.dumps(print, protocol=2))
    with pytest.raises(WeightsError, match="nothing of it was run"):
        load_inception(path, CPU)


def test_a_file_without_counters_of_batches_loads(network, file, tmp_path):
    state = torch.load(file, weights_only=True)
    torch.save({name: value for name, value in state.items() if "num_batches" not in name}, tmp_path / "old.pth")
    load_inception(tmp_path / "old.pth", CPU)


def test_the_signature_says_crop_range_and_layer():
    signed = InceptionLoader.signature(load_profile("animatediff"))
    assert signed["extractor"] == "inception-v3-google"
    assert signed["range"] == "[0, 1], not normalised"
