"""ConsisID's face networks: the published names, what is read of a photo, and what is refused."""

import dataclasses

import numpy as np
import pytest
import torch
from torch.nn import functional

from pvbench.errors import FaceError, ProfileError, WeightsError
from pvbench.features.face import Faces
from pvbench.features.published.insightface_faces import InsightFaces
from pvbench.profile import load_profile
from pvbench.reward import check_apart, load_face_control, reward_signature
from pvbench.rewards.face_parser import BACKGROUND, FaceParser, load_parser
from pvbench.rewards.published import ConsisIdLoader
from pvbench.rewards.published_consisid import ConsisIdFaces, aligned
from pvbench.rewards.published_files import face_encoder_of

CPU = torch.device("cpu")
POINTS = np.array([[40, 50], [70, 50], [55, 66], [43, 82], [67, 82]], np.float32)


@pytest.fixture(scope="module")
def photo():
    rng = np.random.default_rng(0)
    return rng.integers(0, 255, (120, 110, 3)).astype(np.uint8)


class OneFace(InsightFaces):
    """A pack that finds the same face in every photo."""

    def __init__(self):
        pass

    def reference(self, images):
        one = np.zeros((1, 4), np.float32)
        return Faces(POINTS[None], np.ones(1, np.float32), one, one)

    def feature(self, photo, points):
        assert np.array_equal(points, POINTS)
        return np.arange(4, dtype=np.float32)


class Halves(FaceParser):
    """A parser that takes the left half for background; or all, or nothing."""

    def __init__(self, share=0.5):
        torch.nn.Module.__init__(self)
        self.share = share

    def background(self, images):
        found = torch.zeros_like(images[:, :1], dtype=torch.bool)
        found[..., : int(self.share * images.shape[-1])] = True
        return found


@pytest.fixture(scope="module")
def eva():
    """timm's own class, tiny."""
    from timm.models.eva import Eva

    torch.manual_seed(0)
    return Eva(img_size=28, patch_size=14, embed_dim=16, depth=6, num_heads=2, num_classes=5, global_pool="token",
               qkv_fused=False, swiglu_mlp=True, scale_mlp=True, scale_attn_inner=True, use_rot_pos_emb=True,
               ref_feat_shape=(2, 2)).eval()  # fmt: skip


def faces(eva, share=0.5, depths=(1, 3)):
    return ConsisIdFaces(OneFace(), Halves(share), eva, CPU, depths)


def test_the_head_stands_on_white_in_colour_stretched_to_the_frame(eva, photo):
    seen = faces(eva).see(photo, 32, 48)
    assert seen.picture.shape == (1, 3, 32, 48)
    assert (seen.picture[..., :20] > 0.999).all()
    right = seen.picture[0, :, :, 30:]
    assert (right[0] - right[2]).abs().mean() > 0.01
    assert right.min() < 0.5


def test_the_vector_is_the_recognisers_own_and_evas_of_length_one(eva, photo):
    identity = faces(eva).see(photo, 32, 32).identity
    assert identity.shape == (1, 9)
    assert identity[0, :4].tolist() == [0, 1, 2, 3]
    assert float(identity[0, 4:].norm()) == pytest.approx(1, abs=1e-5)


@torch.no_grad()
def test_states_are_those_after_the_blocks_and_the_encoder_sees_grey(eva, photo):
    seen = faces(eva).see(photo, 32, 32)
    found = []
    handles = [eva.blocks[i].register_forward_hook(lambda *given: found.append(given[2])) for i in (1, 3)]
    given = []
    handles.append(eva.patch_embed.register_forward_pre_hook(lambda module, args: given.append(args[0])))
    again = faces(eva).see(photo, 32, 32)
    for handle in handles:
        handle.remove()
    assert [state.shape for state in seen.states] == [(1, 5, 16)] * 2
    for state, expected, twice in zip(seen.states, found, again.states, strict=True):
        torch.testing.assert_close(state, expected)
        assert torch.equal(state, twice)
    mean, deviation = (torch.tensor(v).view(3, 1, 1) for v in ((0.4815, 0.4578, 0.4082), (0.2686, 0.2613, 0.2758)))
    grey = given[0][0] * deviation + mean
    assert (grey[0] - grey[2]).abs().max() < 1e-3


def test_a_photo_in_which_nothing_is_a_face_is_told(eva, photo):
    with pytest.raises(FaceError, match="nothing that the face parser takes for face or hair"):
        faces(eva, share=1.0).see(photo, 32, 32)


def test_a_face_is_laid_onto_the_template(photo):
    """A cross at the tip of the nose comes to its place; outside of the photo is grey."""
    marked = np.zeros_like(photo)
    x, y = POINTS[2].astype(int)
    marked[y - 1 : y + 2, x - 1 : x + 2] = 255
    found = aligned(marked, POINTS)
    assert found.shape == (512, 512, 3)
    bright = np.argwhere(found[..., 0] > 200)
    assert bright.mean(axis=0)[::-1] == pytest.approx((256.6, 314.0), abs=25)
    cut = aligned(photo[:100, 30:90], POINTS - np.array([30, 0], np.float32))
    assert (cut == np.array([132, 133, 135])).all(axis=-1).any()


def test_large_photos_become_smaller_first(eva, monkeypatch):
    sizes = []
    control = faces(eva)
    found = OneFace().reference([])

    def reference(images):
        sizes.append(images[0].shape)
        return found

    monkeypatch.setattr(control.faces, "reference", reference)
    control.see(np.zeros((2048, 1024, 3), np.uint8), 32, 32)
    assert sizes == [(1024, 512, 3)]


# The parser


@pytest.fixture(scope="module")
def parser():
    torch.manual_seed(0)
    network = FaceParser().eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 1.5)
    return network


def reference_scores(state, images):
    """BiSeNet by hand, out of the published names."""

    def conv(x, name, stride=1, padding=0):
        return functional.conv2d(x, state[name + ".weight"], stride=stride, padding=padding)

    def norm(x, name):
        return functional.batch_norm(
            x, *(state[f"{name}.{k}"] for k in ("running_mean", "running_var", "weight", "bias"))
        )

    def block(x, name, padding=1):
        return norm(conv(x, name + ".conv", padding=padding), name + ".bn").relu()

    def residual(x, name, stride):
        y = norm(conv(x, name + ".conv1", stride, 1), name + ".bn1").relu()
        y = norm(conv(y, name + ".conv2", 1, 1), name + ".bn2")
        if name + ".downsample.0.weight" in state:
            x = norm(conv(x, name + ".downsample.0", stride), name + ".downsample.1")
        return (x + y).relu()

    def refined(x, name):
        y = block(x, name + ".conv")
        w = norm(conv(y.mean((2, 3), keepdim=True), name + ".conv_atten"), name + ".bn_atten").sigmoid()
        return y * w

    mean, deviation = (torch.tensor(v).view(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    x = norm(conv((images - mean) / deviation, "cp.resnet.conv1", 2, 3), "cp.resnet.bn1").relu()
    x = functional.max_pool2d(x, 3, 2, 1)
    levels = []
    for level, stride in ((1, 1), (2, 2), (3, 2), (4, 2)):
        x = residual(residual(x, f"cp.resnet.layer{level}.0", stride), f"cp.resnet.layer{level}.1", 1)
        levels.append(x)
    _, f8, f16, f32 = levels
    up = refined(f32, "cp.arm32") + block(f32.mean((2, 3), keepdim=True), "cp.conv_avg", 0)
    up = block(functional.interpolate(up, size=f16.shape[2:]), "cp.conv_head32")
    up = block(functional.interpolate(refined(f16, "cp.arm16") + up, size=f8.shape[2:]), "cp.conv_head16")
    y = block(torch.cat([f8, up], 1), "ffm.convblk", 0)
    w = conv(conv(y.mean((2, 3), keepdim=True), "ffm.conv1").relu(), "ffm.conv2").sigmoid()
    y = conv(block(y * w + y, "conv_out.conv"), "conv_out.conv_out")
    return functional.interpolate(y, size=images.shape[2:], mode="bilinear", align_corners=True)


@torch.no_grad()
def test_the_parser_computes_what_the_published_names_say(parser):
    images = torch.rand(2, 3, 64, 96)
    torch.testing.assert_close(parser(images), reference_scores(parser.state_dict(), images), atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_background_is_eight_of_nineteen_classes(parser):
    images = torch.rand(1, 3, 64, 64)
    label = parser(images).argmax(dim=1)
    assert torch.equal(parser.background(images)[:, 0], sum(label == one for one in BACKGROUND).bool())
    assert len(BACKGROUND) == 8


def test_the_published_file_has_two_outputs_more_which_are_left_out(parser, tmp_path):
    state = parser.state_dict() | {
        "conv_out16.conv_out.weight": torch.zeros(1),
        "conv_out32.conv_out.weight": torch.zeros(1),
    }
    torch.save(state, tmp_path / "parsing_bisenet.pth")
    found = load_parser(tmp_path / "parsing_bisenet.pth", CPU)
    assert all(torch.equal(value, state[key]) for key, value in found.state_dict().items())
    del state["ffm.conv1.weight"]
    torch.save(state, tmp_path / "parsing_bisenet.pth")
    with pytest.raises(WeightsError, match="is not the face parser that ConsisID takes"):
        load_parser(tmp_path / "parsing_bisenet.pth", CPU)
    with pytest.raises(WeightsError, match=r"put parsing_bisenet\.pth of facexlib"):
        load_parser(tmp_path / "none.pth", CPU)


# The profile


def test_a_folder_that_lacks_files_is_told_with_all_of_them_and_where_to_get_them(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    profile = load_profile("consisid")
    here = dataclasses.replace(profile, rewards={**profile.rewards, "face_encoder": str(tmp_path)})
    expected = (
        r"lacks EVA02_CLIP_L_336_psz14_s6B\.pt \(size not known\), parsing_bisenet\.pth \(size not known\), "
        r"models/antelopev2/scrfd_10g_bnkps\.onnx and models/antelopev2/glintr100\.onnx \(361 MB as InsightFace's zip\)"
        r"; fetch the whole of the folder face_encoder of https://huggingface\.co/BestWishYsh/ConsisID-preview"
    )
    with pytest.raises(WeightsError, match=expected):
        reward_signature(here, "face_control")
    with pytest.raises(WeightsError, match=expected):
        load_face_control(here, "cpu")
    (tmp_path / "parsing_bisenet.pth").touch()
    with pytest.raises(WeightsError, match=r"_s6B\.pt \(size not known\), models/antelopev2/scrfd"):
        reward_signature(here, "face_control")
    with pytest.raises(WeightsError, match="BestWishYsh/ConsisID-preview"):
        load_face_control(profile, "cpu")
    with pytest.raises(ProfileError, match="face_encoder is 3"):
        reward_signature(dataclasses.replace(profile, rewards={**profile.rewards, "face_encoder": 3}), "face_control")


def test_what_the_model_is_given_does_not_judge_it(monkeypatch):
    """antelopev2 is an input; the profile scores with another pack."""
    monkeypatch.setattr(ConsisIdLoader, "signature", lambda profile: {"recogniser": 64 * "a"})
    profile = load_profile("consisid")
    check_apart(profile, "face_control", {"face": {"pack": {"recogniser": 64 * "b"}}})
    with pytest.raises(ProfileError, match="the face_control reward and the evaluator 'face' are the same network"):
        check_apart(profile, "face_control", {"face": {"pack": {"recogniser": 64 * "a"}}})
    assert profile.evaluators["face"] == "buffalo_l"


def test_the_networks_lie_beside_the_model_unless_the_profile_says_otherwise(tmp_path, monkeypatch):
    monkeypatch.setenv("PVBENCH_WEIGHTS", str(tmp_path / "weights"))
    profile = load_profile("consisid")
    beside = dataclasses.replace(profile, backbone={**profile.backbone, "base": str(tmp_path)})
    assert face_encoder_of(beside) == tmp_path / "face_encoder"
    (tmp_path / "weights" / "faces").mkdir(parents=True)
    named = dataclasses.replace(profile, rewards={**profile.rewards, "face_encoder": "faces"})
    assert face_encoder_of(named) == tmp_path / "weights" / "faces"
    absent = dataclasses.replace(profile, rewards={**profile.rewards, "face_encoder": "~/nowhere"})
    with pytest.raises(
        WeightsError, match=r"BestWishYsh/ConsisID-preview goes there \(EVA02_CLIP_L_336_psz14_s6B\.pt \(size not"
    ):
        face_encoder_of(absent)


def test_the_picture_is_stretched_as_the_pipeline_stretches_it(eva, photo):
    """From the published code's whole numbers, by diffusers' own preparation of a picture."""
    from diffusers.image_processor import VaeImageProcessor
    from PIL import Image

    seen = faces(eva).see(photo, 24, 40)
    head = aligned(photo, POINTS).astype(np.float32) / 255
    head[:, :256] = 1
    theirs = VaeImageProcessor(vae_scale_factor=8).preprocess(Image.fromarray((head * 255).astype(np.uint8)), 24, 40)
    torch.testing.assert_close(seen.picture, theirs, atol=0.01, rtol=0)
