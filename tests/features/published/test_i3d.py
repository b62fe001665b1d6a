"""I3D and its preprocessings give the public embeddings and FVD; both public files load, others are refused."""

import json
import pickle
import re
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from pvbench.errors import SettingError, VideoError, WeightsError
from pvbench.features.published.i3d import CHECKPOINT_EPS, I3D, PREPROCESSINGS, TENSORFLOW_EPS, embed, load_i3d
from pvbench.features.published.i3d_cpu import I3DOnCpu
from pvbench.metrics.fvd import frechet_distance

CPU = torch.device("cpu")
SETS = ("real", "blur", "noise")


@pytest.fixture
def folder(tmp_path):
    """A folder that does not outlive the test: the files are of 50 MB."""
    yield tmp_path
    for file in tmp_path.iterdir():
        file.unlink()


@pytest.fixture(scope="module")
def synthetic(reference_script, tmp_path_factory):
    """I3D of the synthetic weights that the recorded values were made with."""
    source = reference_script("synthetic_i3d")
    weights = source.state_dict()
    assert source.digest(weights) == source.SHA256
    path = tmp_path_factory.mktemp("i3d") / "synthetic.pt"
    torch.save(weights, path)
    model = load_i3d(path, CPU)
    path.unlink()
    return model


@pytest.fixture(scope="module")
def inputs(reference_script):
    return reference_script("derive_inputs")


@pytest.fixture(scope="module")
def random_i3d():
    """I3D of random weights, whose normalisations do something."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = I3D()
        for name, value in model.state_dict().items():
            if value.ndim == 5:
                nn.init.kaiming_normal_(value)
            elif name.endswith(("running_var", "bn.weight")):
                value.copy_(torch.rand(value.shape) + 0.5)
            elif value.ndim:
                value.copy_(torch.randn(value.shape) * 0.1)
    return model.eval().requires_grad_(False)


def video(frames=16, height=32, width=32, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (frames, height, width, 3), dtype=np.uint8)


# Conformance with the public implementations


@pytest.mark.parametrize("frames", [10, 13, 16])
def test_logits_on_a_cpu_are_those_of_the_network(random_i3d, frames):
    """Random logits spread over 2; float32 errs by 1e-5 of that in either form."""
    seen = torch.from_numpy(video(frames, 40, 50)[None]).float().permute(0, 4, 1, 2, 3)
    seen = functional.interpolate(seen, size=(frames, 224, 224)) / 127.5 - 1
    with torch.no_grad():
        expected, found = random_i3d(seen), I3DOnCpu(random_i3d)(seen)
    np.testing.assert_allclose(found, expected, atol=1e-4 * expected.std())


# Two seconds a video, so one of the sixteen of each set by each arithmetic.
@pytest.mark.parametrize(("name", "index"), [("real", 0), ("blur", 5), ("noise", 15)])
def test_embeddings_are_those_of_the_public_implementations(reference, synthetic, inputs, name, index):
    frames = inputs.fvd_sets()[name][index]
    expected = np.load(reference / "expected" / "fvd_features.npz")
    # Logits up to 8; 57 convolutions in float32 leave 6e-5. An eps of 1e-3 would make 0.3.
    for preprocessing in ("styleganv", "cdfvd"):
        for network in (synthetic, I3DOnCpu(synthetic)):
            found = embed(network, frames, preprocessing)
            np.testing.assert_allclose(found, expected[f"{preprocessing}__{name}"][index], atol=5e-4)


def test_videogpts_and_styleganvs_recorded_embeddings_are_the_same(reference):
    """So one arithmetic serves both here."""
    assert PREPROCESSINGS["videogpt"] is PREPROCESSINGS["styleganv"]
    expected = np.load(reference / "expected" / "fvd_features.npz")
    for name in SETS:
        np.testing.assert_array_equal(expected[f"videogpt__{name}"], expected[f"styleganv__{name}"])


def test_videogpts_cut_to_uint8_changes_no_frame():
    values = torch.arange(256, dtype=torch.uint8)
    assert torch.equal((values.float() / 255 * 255).to(torch.uint8), values)


def test_black_against_white_has_the_recorded_distance(reference, synthetic):
    """Sixteen frames each; all videos of a set are equal, so the mean term is the whole distance."""
    black, white = (embed(synthetic, np.full((16, 64, 64, 3), value, np.uint8), "styleganv") for value in (0, 255))
    expected = json.loads((reference / "expected" / "fvd.json").read_text())["end_to_end"]["zeros_vs_ones_styleganv"]
    found = frechet_distance(np.stack([black] * 8).astype(float), np.stack([white] * 8).astype(float))
    # Twice the embedding's relative error, 1e-5.
    assert found.value == pytest.approx(expected[0], rel=1e-4)


def test_black_against_white_has_the_published_distance_under_the_real_weights(reference):
    path = reference / "weights" / "i3d_torchscript.pt"
    if not path.is_file():
        pytest.skip(f"the real weights are not in {path}")
    published = json.loads((reference / "expected" / "published_anchors.json").read_text())["fvd_zeros_vs_ones"]
    model = load_i3d(path, CPU)
    black, white = (embed(model, np.full((30, 64, 64, 3), value, np.uint8), "styleganv") for value in (0, 255))
    assert float(((black - white) ** 2).sum()) == pytest.approx(published["only_final"], abs=1)


def test_fvd_of_the_recorded_videos_is_that_of_the_public_script(reference, synthetic, inputs):
    """From frames to the number: what calculate_fvd of common_metrics gave for these sixteen videos and their blur."""
    sets, network = inputs.fvd_sets(), I3DOnCpu(synthetic)
    real, blur = (
        np.stack([embed(network, frames, "styleganv") for frames in sets[name]]).astype(float)
        for name in ("real", "blur")
    )
    expected = json.loads((reference / "expected" / "fvd.json").read_text())["end_to_end"]
    # Logits differ by 1e-5 of themselves; the script's matrix root is off by 2.4e-6.
    assert frechet_distance(blur, real).value == pytest.approx(expected["calculate_fvd_styleganv_blur"][0], rel=1e-4)


@pytest.mark.parametrize("name", SETS)
def test_fvd_of_the_recorded_embeddings_is_that_of_each_implementation(reference, name):
    features = np.load(reference / "expected" / "fvd_features.npz")
    expected = json.loads((reference / "expected" / "fvd.json").read_text())["fvd"][f"{name}_vs_real"]

    def distance(implementation):
        return frechet_distance(*(features[f"{implementation}__{key}"].astype(float) for key in (name, "real")))

    if name == "real":
        assert distance("styleganv").value == pytest.approx(0, abs=1e-6)
        return
    found = distance("styleganv")
    assert found.value == pytest.approx(expected["exact_float64"], rel=1e-5)
    assert found.mean_term == pytest.approx(expected["mean_term_styleganv"], rel=1e-9)
    # Its matrix root of a singular product, 16 videos in 400 dimensions, is off by 2.4e-6.
    assert found.value == pytest.approx(expected["styleganv"], rel=1e-5)
    # Its Fréchet step is in float32, off by 3e-3.
    assert found.value == pytest.approx(expected["videogpt"], rel=5e-3)
    # It divides covariances by N, not by N-1; otherwise as styleganv.
    biased = distance("cdfvd")
    assert biased.mean_term + biased.covariance_term * 15 / 16 == pytest.approx(expected["cdfvd"], rel=1e-5)


@pytest.mark.parametrize("case", ["d16_n500", "d64_n1000", "d400_n512"])
def test_frechet_distance_of_fixed_gaussians_is_exact(reference, inputs, case):
    expected = json.loads((reference / "expected" / "frechet_gaussians.json").read_text())["cases"][case]
    first, second = inputs.gaussians(case)
    np.testing.assert_allclose([first[0, 0], second[0, 0]], expected["first_values"], rtol=1e-12)
    found = frechet_distance(first, second)
    assert found.value == pytest.approx(expected["exact_eigh"], rel=1e-9)
    assert found.value == pytest.approx(expected["pytorch_fid"], rel=1e-9)
    biased = found.mean_term + found.covariance_term * (len(first) - 1) / len(first)
    assert biased == pytest.approx(expected["cdfvd"], rel=1e-9)


def test_names_and_shapes_are_the_public_ones(reference, random_i3d):
    expected = json.loads((reference / "i3d_keys.json").read_text())
    assert {name: list(value.shape) for name, value in random_i3d.state_dict().items()} == expected


# Preprocessing and embedding


@pytest.mark.parametrize(("height", "width"), [(32, 32), (32, 57), (45, 32), (300, 260)])
@pytest.mark.parametrize("preprocessing", PREPROCESSINGS)
def test_every_preprocessing_fills_the_networks_square(preprocessing, height, width):
    found = PREPROCESSINGS[preprocessing](torch.from_numpy(video(3, height, width)))
    assert found.shape == (3, 3, 224, 224)
    # Rounding may leave the range by a hair.
    assert -1 - 1e-6 < found.min() < -0.8
    assert 0.8 < found.max() < 1 + 1e-6


def test_the_sides_are_cropped_by_styleganv_and_squeezed_by_cdfvd():
    frames = torch.zeros(1, 28, 56, 3, dtype=torch.uint8)
    frames[:, :, 16:40] = 255
    cropped, squeezed = (PREPROCESSINGS[name](frames)[0, 0, 100] for name in ("styleganv", "cdfvd"))
    # 24 of 56 columns are white: of the middle 28 all but two on either side.
    assert (cropped > 0).sum() == 24 * 8
    assert (squeezed > 0).sum() == 24 * 4


def test_one_odd_pixel_of_a_long_side_is_cut_behind():
    frames = torch.zeros(1, 224, 225, 3, dtype=torch.uint8)
    frames[:, :, 0] = 255
    assert (PREPROCESSINGS["styleganv"](frames)[0, 0, :, 0] == 1).all()


@pytest.mark.parametrize("preprocessing", PREPROCESSINGS)
def test_black_is_minus_one_and_white_one(preprocessing):
    for value, wanted in ((0, -1), (255, 1)):
        found = PREPROCESSINGS[preprocessing](torch.full((2, 20, 30, 3), value, dtype=torch.uint8))
        torch.testing.assert_close(found, torch.full_like(found, wanted), rtol=0, atol=1e-6)


def test_the_videos_around_do_not_move_an_embedding(random_i3d):
    videos = [video(10, seed=seed) for seed in range(2)]
    other, alone = (embed(random_i3d, frames, "styleganv") for frames in videos)
    batch = torch.stack([PREPROCESSINGS["styleganv"](torch.from_numpy(frames)) for frames in videos])
    with torch.no_grad():
        together = random_i3d(batch)[1].numpy()
    assert alone.shape == (400,)
    assert alone.dtype == np.float32
    assert np.abs(other - alone).max() > 1e-2 * np.abs(alone).max()
    # Convolutions may sum a larger batch in another order.
    np.testing.assert_allclose(together, alone, atol=1e-5 * np.abs(alone).max())
    np.testing.assert_array_equal(embed(random_i3d, videos[1], "styleganv"), alone)


def test_the_order_of_frames_counts(random_i3d):
    frames = video(10)
    forward, backward = (embed(random_i3d, part, "cdfvd") for part in (frames, frames[::-1]))
    assert np.abs(forward - backward).max() > 1e-3 * np.abs(forward).max()


def test_too_few_frames_are_refused_with_the_reason(random_i3d):
    with pytest.raises(VideoError, match=r"9 frames, and I3D needs at least 10: it halves time three times"):
        embed(random_i3d, video(9), "styleganv")


def test_an_unknown_preprocessing_is_refused(random_i3d):
    with pytest.raises(SettingError, match=r"'stylegan-v'.*videogpt.*did you mean 'styleganv'"):
        embed(random_i3d, video(), "stylegan-v")


# Files


class Container(nn.Module):
    """Holds others; what it computes does not matter."""

    def forward(self, x: Tensor) -> Tensor:
        return x


def archive_of(model, path, names=str, leaves=lambda leaf: leaf, prefix=""):
    """Writes a network's convolutions and normalisations as a TorchScript archive, modules renamed."""

    def scriptable(module):
        if isinstance(module, nn.Conv3d | nn.BatchNorm3d):
            return leaves(module)
        holder = Container()
        for name, child in module.named_children():
            if child is not None:
                holder.add_module(names(name), scriptable(child))
        return holder

    module = scriptable(model)
    for name in filter(None, reversed(prefix.split("."))):
        inner, module = module, Container()
        module.add_module(name, inner)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.script(module.eval()).save(str(path))


def assert_same(model, expected, eps=CHECKPOINT_EPS):
    found, wanted = model.state_dict(), expected.state_dict()
    assert list(found) == list(wanted)
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)
    assert {module.eps for module in model.modules() if isinstance(module, nn.BatchNorm3d)} == {eps}
    assert not any(module.training for module in model.modules())


@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_checkpoint_loads_with_and_without_a_prefix(random_i3d, folder, prefix):
    state = {prefix + name: value for name, value in random_i3d.state_dict().items()}
    torch.save({name: value for name, value in state.items() if "batches" not in name}, folder / "i3d.pt")
    assert_same(load_i3d(folder / "i3d.pt", CPU), random_i3d)


@pytest.mark.parametrize("prefix", ["", "detector.model"])
def test_an_archive_loads_to_the_same_network(random_i3d, folder, prefix):
    archive_of(random_i3d, folder / "i3d.pt", prefix=prefix)
    assert_same(load_i3d(folder / "i3d.pt", CPU), random_i3d)


def test_an_archive_under_other_names_is_matched_by_order_and_shape(random_i3d, folder):
    words = {"conv3d": "convolution", "bn": "normalisation", "b0": "branch_0", "logits": "conv3d_0c_1x1"}
    archive_of(random_i3d, folder / "i3d.pt", names=lambda name: words.get(name, name.lower()), prefix="net")
    assert_same(load_i3d(folder / "i3d.pt", CPU), random_i3d)


def test_an_archives_own_eps_is_taken_and_a_missing_scale_is_one(random_i3d, folder):
    def without_scale(leaf):
        if isinstance(leaf, nn.Conv3d):
            return leaf
        plain = nn.BatchNorm3d(leaf.num_features, eps=TENSORFLOW_EPS)
        plain.load_state_dict(leaf.state_dict())
        plain.register_parameter("weight", None)
        return plain

    archive_of(random_i3d, folder / "i3d.pt", names=lambda name: name.lower() + "_", leaves=without_scale)
    found = load_i3d(folder / "i3d.pt", CPU)
    expected = I3D()
    expected.load_state_dict(random_i3d.state_dict())
    for module in expected.modules():
        if isinstance(module, nn.BatchNorm3d):
            nn.init.ones_(module.weight)
    state = {name: value for name, value in expected.state_dict().items() if "batches" not in name}
    assert all(torch.equal(found.state_dict()[name], value) for name, value in state.items())
    assert found.Mixed_4c.b1a.bn.eps == TENSORFLOW_EPS


class Touch:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_checkpoint_with_code_is_refused_and_its_code_does_not_run(folder):
    torch.save({"logits.conv3d.bias": Touch(folder / "mark")}, folder / "i3d.pt")
    with pytest.raises(WeightsError, match=r"i3d\.pt holds more than tensors.*nothing of it was run"):
        load_i3d(folder / "i3d.pt", CPU)
    assert not (folder / "mark").exists()


def test_an_archive_with_code_to_unpickle_is_refused_and_its_code_does_not_run(folder):
    with zipfile.ZipFile(folder / "i3d.pt", "w") as file:
        file.writestr("i3d/constants.pkl", pickle.dumps(()))
        file.writestr("i3d/data.pkl", pickle.dumps(Touch(folder / "mark"), protocol=2))
    with pytest.raises(WeightsError, match=r"i3d\.pt holds more than tensors.*nothing of it was run") as caught:
        load_i3d(folder / "i3d.pt", CPU)
    assert re.search(r"asks for \S+, and no code in a file is run", str(caught.value.__cause__))
    assert not (folder / "mark").exists()


@pytest.mark.parametrize(
    ("state", "complaint"),
    [
        ({"conv1.weight": torch.zeros(2)}, r"does not fit I3D.*lacks 287 tensors.*has 1 besides \['conv1\.weight'\]"),
        ({"epoch": 1}, "holds a dict"),
        ([torch.zeros(2)], "holds a list"),
    ],
)
def test_a_file_of_something_else_is_refused(folder, state, complaint):
    torch.save(state, folder / "other.pt")
    with pytest.raises(WeightsError, match=rf"other\.pt {complaint}"):
        load_i3d(folder / "other.pt", CPU)


def test_another_number_of_classes_is_refused(random_i3d, folder):
    torch.save(random_i3d.state_dict() | {"logits.conv3d.bias": torch.zeros(600)}, folder / "i3d600.pt")
    with pytest.raises(WeightsError, match=r"1 of another shape \['logits\.conv3d\.bias \(600,\) instead of \(400,\)"):
        load_i3d(folder / "i3d600.pt", CPU)


def test_an_archive_of_another_network_is_refused(folder):
    archive_of(nn.Sequential(nn.Conv3d(3, 64, 7, bias=False), nn.BatchNorm3d(64)), folder / "other.pt")
    with pytest.raises(WeightsError, match=r"other\.pt does not fit I3D.*lacks 282 tensors.*has 0 besides"):
        load_i3d(folder / "other.pt", CPU)


def test_a_cut_and_a_missing_file_are_refused(folder):
    (folder / "cut.pt").write_bytes(b"PK\x03\x04 no more than that")
    with pytest.raises(WeightsError, match=r"cut\.pt is damaged"):
        load_i3d(folder / "cut.pt", CPU)
    with pytest.raises(WeightsError, match=r"i3d\.pt is not there; put"):
        load_i3d(folder / "i3d.pt", CPU)
