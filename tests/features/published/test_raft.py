"""RAFT gives VBench's numbers, whatever the batch; a file that is not a checkpoint of it is refused."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from pvbench.errors import VideoError, WeightsError
from pvbench.features.cpu.convolutions import Direct
from pvbench.features.flow import sampling_interval
from pvbench.features.published import raft
from pvbench.features.published.raft import UPDATES, load_raft, pairs_at_once, working_size
from pvbench.features.published.settings import flow_bytes
from pvbench.metrics.dynamic_degree import flow_threshold, is_dynamic
from pvbench.torchvision_shim import load_torchvision
from pvbench.video import read_video

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def small(reference):
    """RAFT-small of princeton-vl's real weights."""
    return load_raft(reference / "weights" / "raft-small.pth", CPU)


def random_network(size):
    """torchvision's network of random weights, its normalisations included."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = getattr(load_torchvision().models.optical_flow, f"raft_{size}")(weights=None)
        for name, value in network.state_dict().items():
            if name.endswith(("running_mean", "running_var")):
                value.copy_(torch.rand(value.shape) + 0.5)
    return network.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def random_small():
    return raft.Raft(random_network("small"), CPU)


TORCHVISION_TO_PRINCETON = (
    (r"^(f|c)\w+_encoder\.convnormrelu\.0", r"module.\1net.conv1"),
    (r"^(f|c)\w+_encoder\.convnormrelu\.1", r"module.\1net.norm1"),
    (r"^(f|c)\w+_encoder\.conv\.", r"module.\1net.conv2."),
    (r"^(f|c)\w+_encoder\.", r"module.\1net."),
    (r"convnormrelu(\d)\.0", r"conv\1"),
    (r"convnormrelu(\d)\.1", r"norm\1"),
    (r"^update_block\.motion_encoder\.conv(.)\w*(\d)\.0", r"module.update_block.encoder.conv\1\2"),
    (r"^update_block\.motion_encoder\.conv\.0", "module.update_block.encoder.conv"),
    (r"^update_block\.flow_head", "module.update_block.flow_head"),
    (r"^mask_predictor\.convrelu\.0", "module.update_block.mask.0"),
    (r"^mask_predictor\.conv\.", "module.update_block.mask.2."),
)


def princeton_state(network, size):
    """A network's tensors as princeton-vl's training wrote them."""
    gru = r"module.update_block.gru.conv\2\1" if size == "large" else r"module.update_block.gru.conv\2"
    state = {}
    for name, value in network.state_dict().items():
        for pattern, new in (*TORCHVISION_TO_PRINCETON, (r"^update.*convgru(\d)\.conv([zrq])", gru)):
            name = re.sub(pattern, new, name)
        state[name] = value
        if re.search(r"cnet\.layer\d\.0\.downsample\.1", name):
            state[name.replace("downsample.1", "norm3")] = value
    return state


def textures(count, height=128, width=128, seed=0):
    """Frames of soft noise, each its own."""
    import cv2

    noise = np.random.default_rng(seed).uniform(0, 255, (count, height, width, 3)).astype(np.float32)
    soft = np.stack([cv2.GaussianBlur(frame, (0, 0), 2.0) for frame in noise])
    return np.clip((soft - soft.mean()) * 5 + 128, 0, 255).astype(np.uint8)


# Conformance with VBench


def test_the_names_of_the_reference_checkpoint_are_what_these_tests_make_up(reference):
    stored = torch.load(reference / "weights" / "raft-small.pth", map_location="cpu", weights_only=True)
    made = princeton_state(random_network("small"), "small")
    assert {name: value.shape for name, value in stored.items()} == {name: v.shape for name, v in made.items()}


def test_the_flow_field_is_vbenchs(reference, small):
    frames = np.load(reference / "inputs" / "dd_clips.npz")["carphone_pristine_128"][[0, 4]]
    (field,) = small.fields(frames)
    expected = np.load(reference / "expected" / "raft_small_flow_carphone128_0_4.npz")["flow_up"]
    # Up to 4 pixels of flow; float32 sums in another order differ by 4e-5.
    np.testing.assert_allclose(field.numpy(), expected, atol=1e-3)


# A second or so for four pairs of frames of 128 by 160.
@pytest.mark.parametrize(
    ("clip", "variant", "dynamic"),
    [
        ("carphone_pristine_128", "", False),
        ("carphone_pristine_128", "/static", False),
        ("carphone_pristine_128", "/slow4_hold", False),
        ("flipping_a_pancake_128", "", True),
        ("flipping_a_pancake_128", "/static", False),
        ("flipping_a_pancake_128", "/slow4_hold", False),
        ("carphone_pristine_128", "/slow16_blend", False),
        ("flipping_a_pancake_128", "/slow16_blend", False),
    ],
)
def test_scores_and_decisions_are_vbenchs(reference, small, clip, variant, dynamic):
    frames = np.load(reference / "inputs" / "dd_clips.npz")[clip]
    share = np.linspace(0, 1, 16)[:, None, None, None]
    blend = np.rint((1 - share) * frames[0] + share * frames[1]).astype(np.uint8)
    frames = {
        "": frames,
        "/static": frames[[0] * 16],
        "/slow4_hold": frames.repeat(4, axis=0)[:16],
        "/slow16_blend": blend,
    }[variant]
    expected = json.loads((reference / "expected" / "dynamic_degree.json").read_text())["clips"][clip + variant]
    found = small(frames).top5
    # float32 sums in another order leave 2.4e-5 after twenty refinements, on the tested clips.
    np.testing.assert_allclose(found, expected["scores"], rtol=1e-3)
    threshold = flow_threshold(*frames.shape[1:3])
    assert threshold == expected["thres"]
    assert is_dynamic(found, threshold) is expected["moves"] is dynamic


def test_a_whole_video_has_vbenchs_scores(reference, small, monkeypatch):
    # VBench takes the pixels as they are coded, and this video's are not square.
    monkeypatch.setattr("pvbench.video.read.square_width", lambda stream, frame: frame.width)
    video = read_video(reference / "inputs" / "videos" / "carphone_pristine.mp4")
    frames = video.frames[:: sampling_interval(video.fps)]
    expected = json.loads((reference / "expected" / "dynamic_degree.json").read_text())["mp4"]["carphone_pristine.mp4"]
    found = small(frames).top5
    assert len(found) == len(expected["scores"]) == 29
    np.testing.assert_allclose(found, expected["scores"], rtol=1e-3)
    assert is_dynamic(found, flow_threshold(*frames.shape[1:3])) is expected["moves"]


def test_at_a_cut_the_score_is_as_near_as_the_public_network_is_to_itself(reference, small):
    """Pair 67 of this video is a cut: noise of a 1e-5th of a level moves the public network's own score by percents.

    VBench recorded 64.73; in double precision it is 65.57.
    """
    video = read_video(reference / "inputs" / "videos" / "nasa_13013.mp4")
    frames = video.frames[:: sampling_interval(video.fps)][66:70]
    recorded = json.loads((reference / "expected" / "dynamic_degree.json").read_text())["mp4"]["nasa_13013.mp4"]
    before, at_cut, after = small(frames).top5 / np.array(recorded["scores"][66:69]) - 1
    assert abs(before) < 1e-3
    assert abs(after) < 1e-3
    images = torch.from_numpy(frames[1:3].copy()).permute(0, 3, 1, 2) / 127.5 - 1
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    public = [public_score(small.network, images + noise * size) for size in (0, 1e-5 / 127.5, 1e-4 / 127.5)]
    spread = (max(public) - min(public)) / min(public)
    assert spread > 1e-3
    assert abs(at_cut) < spread


def public_score(network, images):
    """The mean of the fastest 5 %, by torchvision's own forward pass."""
    with torch.no_grad():
        images = torch.nn.functional.pad(images, (0, -images.shape[3] % 8, 0, -images.shape[2] % 8), mode="replicate")
        sizes = network(images[:1], images[1:], num_flow_updates=UPDATES)[-1].square().sum(1).sqrt().flatten()
    return float(sizes.topk(int(len(sizes) * 0.05)).values.mean())


def test_a_pan_of_small_frames_is_measured_in_their_own_pixels(small):
    wide = textures(1, 80, 120)[0]
    frames = np.stack([wide[5 : 5 + 64, 40 - 3 * i : 40 - 3 * i + 64] for i in range(3)])
    found = small(frames)
    np.testing.assert_allclose(found.mean, 3, rtol=0.1)
    np.testing.assert_allclose(found.top5, 3, rtol=0.5)


# The network


@pytest.mark.parametrize("size", ["small", "large"])
def test_princetons_names_and_torchvisions_load_to_the_same_network(size, tmp_path):
    network = random_network(size)
    wanted = network.state_dict()
    for file, state in (("princeton.pth", princeton_state(network, size)), ("torchvision.pth", wanted)):
        torch.save(state, tmp_path / file)
        found = load_raft(tmp_path / file, CPU).network.state_dict()
        assert list(found) == list(wanted)
        assert all(torch.equal(found[name], wanted[name]) for name in wanted)


@pytest.mark.parametrize("form", ["a CPU's", "a GPU's"])
@pytest.mark.parametrize("size", ["small", "large"])
def test_the_flow_is_that_of_torchvisions_forward(size, form, monkeypatch):
    if form == "a GPU's":
        monkeypatch.setattr(raft, "same_convolution", Direct)
        monkeypatch.setattr(raft, "replace_convolutions", lambda part: None)
    network = random_network(size)
    frames = textures(3 if size == "small" else 2)
    images = torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.no_grad():
        expected = network(images[:-1], images[1:], num_flow_updates=UPDATES)[-1]
    found = torch.cat(list(raft.Raft(network, CPU).fields(frames)))
    assert expected.abs().max() > 1
    # The same sums, rounded otherwise.
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-3)


def test_the_numbers_are_those_of_the_field():
    """Worked by hand: of 16,384 pixels the fastest 819 move (3, 4), the others (0, 1)."""

    class Known(raft.Raft):
        def __init__(self):
            self.device = CPU

        def fields(self, frames):
            field = torch.zeros(2, 2, 128, 128)
            field[:, 1] = 1
            field.flatten(2)[:, :, 100:919] = torch.tensor([3.0, 4.0])[:, None]
            yield field

    found = Known()(textures(3))
    np.testing.assert_allclose(found.top5, [5, 5])
    np.testing.assert_allclose(found.mean, [(819 * 5 + 16384 - 819) / 16384] * 2, rtol=1e-6)


@pytest.mark.parametrize("pairs", [1, 2, 3])
def test_neither_the_batch_nor_a_pairs_place_moves_a_number(random_small, monkeypatch, pairs):
    frames = textures(4)
    alone = [random_small(frames[i : i + 2]) for i in range(3)]
    monkeypatch.setattr(raft, "MAX_PAIRS", pairs)
    found = random_small(frames)
    # Convolutions may sum a larger batch in another order, and twenty refinements carry that on.
    np.testing.assert_allclose(found.top5, np.concatenate([flow.top5 for flow in alone]), rtol=1e-4)
    np.testing.assert_allclose(found.mean, np.concatenate([flow.mean for flow in alone]), rtol=1e-4)


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_frames_have_no_pair(random_small, count):
    found = random_small(textures(2)[:count])
    assert found.top5.shape == found.mean.shape == (0,)
    assert found.top5.dtype == found.mean.dtype == np.float32


def test_views_and_odd_sizes_are_measured_over_the_padded_frame(random_small):
    frames = textures(2, 140, 140)[:, 3:132, 2:, ::-1]
    (field,) = random_small.fields(frames)
    assert field.shape == (1, 2, 136, 144)
    assert random_small(frames).top5.dtype == np.float32


def test_frames_are_padded_on_both_sides_with_their_border(random_small):
    images = random_small._images(textures(1, 130, 141), (130, 141))
    assert images.shape == (1, 3, 136, 144)
    torch.testing.assert_close(images[..., :4, :], images[..., 3:4, :].expand(-1, -1, 4, -1))
    torch.testing.assert_close(images[..., 132:, :], images[..., 132:133, :].expand(-1, -1, 4, -1))
    assert not torch.equal(images[..., 0], images[..., 2])
    torch.testing.assert_close(images[..., 142:], images[..., 141:142].expand(-1, -1, -1, 2))


# Small frames and memory


@pytest.mark.parametrize(
    ("height", "width", "working"),
    [
        (480, 720, (480, 720)),
        (128, 128, (128, 128)),
        (121, 300, (121, 300)),
        (120, 300, (128, 320)),
        (64, 64, (128, 128)),
        (64, 96, (128, 192)),
        (90, 64, (180, 128)),
    ],
)
def test_only_frames_that_raft_cannot_see_are_enlarged(height, width, working):
    assert working_size(height, width) == working


@pytest.mark.parametrize("radius", [3, 4])
def test_correlations_are_torchvisions_wherever_one_looks(radius):
    from torchvision.models.optical_flow.raft import CorrBlock

    with torch.random.fork_rng():
        torch.manual_seed(0)
        before, after = torch.randn(2, 3, 24, 17, 21)
        places = torch.rand(3, 2, 17, 21) * 60 - 20  # a third of them outside of the map
        places[0, :, 0, 0] = torch.tensor([-1e4, 1e4])
        places[0, :, 0, 1] = torch.tensor([5.0, 16.0])
    theirs = CorrBlock(num_levels=4, radius=radius)
    theirs.build_pyramid(before, after)
    found = raft.Correlations(before, after, radius, 4).around(places)
    torch.testing.assert_close(found, theirs.index_pyramid(places), atol=2e-5, rtol=0)


def test_small_frames_have_a_finite_flow_over_the_enlarged_field(random_small):
    (field,) = random_small.fields(textures(2, 48, 64))
    assert field.shape == (1, 2, 128, 176)
    assert torch.isfinite(field).all()


def test_the_memory_of_a_pair_is_that_of_its_cells():
    cells = 1080 // raft.STRIDE * 1920 // raft.STRIDE
    assert flow_bytes(1080, 1920) == 6 * cells**2 + 40_000 * cells


def test_no_memory_is_told_in_words_of_the_video(random_small, monkeypatch):
    def full(*_):
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(raft, "Correlations", full)
    with pytest.raises(VideoError, match="frames of 128x128 pixels are too large for RAFT"):
        random_small(textures(2))


def test_larger_frames_go_fewer_at_a_time():
    assert pairs_at_once(128, 160) == raft.MAX_PAIRS
    assert pairs_at_once(480, 832) == 3
    assert pairs_at_once(1080, 1920) == 1


# Files


class Touch:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_with_code_is_refused_and_its_code_does_not_run(tmp_path, zipped):
    mark = tmp_path / "mark"
    torch.save({"fnet.conv1.weight": Touch(mark)}, tmp_path / "raft.pth", _use_new_zipfile_serialization=zipped)
    with pytest.raises(WeightsError, match=r"raft\.pth holds more than tensors.*nothing of it was run.*fetch"):
        load_raft(tmp_path / "raft.pth", CPU)
    assert not mark.exists()


def test_a_cut_file_is_refused(tmp_path):
    torch.save(princeton_state(random_network("small"), "small"), tmp_path / "whole.pth")
    (tmp_path / "cut.pth").write_bytes((tmp_path / "whole.pth").read_bytes()[:50_000])
    with pytest.raises(WeightsError, match=r"cut\.pth is damaged"):
        load_raft(tmp_path / "cut.pth", CPU)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(WeightsError, match=r"raft-things\.pth is not there; put"):
        load_raft(tmp_path / "raft-things.pth", CPU)


@pytest.mark.parametrize(
    ("state", "complaint"),
    [
        ({"conv.weight": torch.zeros(2)}, "does not fit RAFT"),
        ({"epoch": 3}, "holds a dict"),
        ([torch.zeros(2)], "holds a list"),
    ],
)
def test_a_file_of_something_else_is_refused(tmp_path, state, complaint):
    torch.save(state, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match=rf"other\.pth {complaint}"):
        load_raft(tmp_path / "other.pth", CPU)


def test_a_checkpoint_that_lacks_a_tensor_is_refused(tmp_path):
    state = princeton_state(random_network("small"), "small")
    del state["module.update_block.gru.convz.weight"]
    torch.save(state, tmp_path / "short.pth")
    with pytest.raises(WeightsError, match=r"does not fit RAFT \(small.*convgru1\.convz\.weight"):
        load_raft(tmp_path / "short.pth", CPU)
