"""ConsisID: contract, what each branch changes, nothing that stays behind; with a control that is not trained."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from short_contract import ShortContract

from pvbench.errors import FaceError, SettingError
from pvbench.features.face import crop_faces
from pvbench.identity import load_identities
from pvbench.method import request_for
from pvbench.methods import consisid
from pvbench.methods.consisid import ConsisId, ConsisIdSettings
from pvbench.pixels import photo_tensor
from pvbench.prompt import load_prompts
from pvbench.reward import FaceControl, FaceSeen, PersonSegmenter
from pvbench.rewards.face_control import FaceReader, NetworkFaceControl
from pvbench.variant import missing, parse_variant

PROMPT = load_prompts("mini_evaluation").prompts[0]


class Means(FaceControl):
    """Random tensors; a photo is known by its mean colour."""

    def __init__(self, tensors, lora):
        self.tensors, self.lora = tensors, lora

    def see(self, photo, height, width):
        mean = torch.tensor(photo.mean(axis=(0, 1)), dtype=torch.float32) / 127.5 - 1
        identity = mean.repeat(86)[None, :256]
        states = tuple((mean * depth).repeat(43)[None, None, :128].expand(-1, 5, -1) for depth in (1, 2, 3))
        return FaceSeen(mean.view(1, 3, 1, 1).expand(-1, -1, height, width), identity, states)


@pytest.fixture(scope="module")
def control():
    from pathlib import Path

    from pvbench.backbones.face_control import FaceControlNetwork
    from pvbench.weights import weights_folder
    from workshop.train.loop import Place
    from workshop.train.motion import load_sides

    torch.manual_seed(0)
    _, _, unet = load_sides(Place(Path(), Path(), torch.device("cpu"), 1, weights_folder("mini")))
    network = FaceControlNetwork(unet)
    for parameter in network.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.05)
    layer = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_q"
    lora = {f"{layer}.lora_A.weight": torch.randn(2, 80) / 9, f"{layer}.lora_B.weight": torch.randn(80, 2) / 9}
    return Means({key: value.detach() for key, value in network.state_dict().items()}, lora)


@pytest.fixture(scope="module", autouse=True)
def shipped(control):
    """The profile's control is the untrained one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(consisid, "load_face_control", lambda profile, device: control)
        yield


class TestContract(ShortContract):
    method = ConsisId

    @pytest.fixture(scope="class")
    @classmethod
    def profile(cls, short_profile):
        return replace(short_profile, rewards={**short_profile.rewards, "face_control": "mini_face_control"})


@pytest.fixture
def film(short_backbone, short_profile):
    def film(identity, **settings):
        method = ConsisId(ConsisIdSettings(**settings), short_backbone, short_profile)
        return next(method.generate(identity, None, [request_for(identity, PROMPT, 0)])).frames

    return film


@pytest.fixture(scope="module")
def shown(short_backbone, short_profile, ada):
    """What it makes of ada by its defaults."""
    method = ConsisId(ConsisIdSettings(), short_backbone, short_profile)
    return next(method.generate(ada, None, [request_for(ada, PROMPT, 0)])).frames


@pytest.fixture(scope="module")
def ben():
    return load_identities(["ben"])[0]


def test_without_either_branch_it_is_the_untuned_model_byte_for_byte(film, ada, short_backbone):
    short_backbone.reset()
    plain = short_backbone.sample(PROMPT.render("woman"), request_for(ada, PROMPT, 0).noise_seed)
    assert np.array_equal(film(ada, global_branch=False, local_face_scale=0.0), plain.frames)


def test_each_branch_makes_a_video_of_its_own(film, ada, shown):
    made = [shown, film(ada, global_branch=False), film(ada, local_face_scale=0.0)]
    assert all(not np.array_equal(a, b) for i, a in enumerate(made) for b in made[i + 1 :])


def test_nothing_stays_behind_for_the_next_method_or_person(film, ada, ben, shown, short_backbone):
    seed = request_for(ada, PROMPT, 0).noise_seed
    short_backbone.reset()
    before = short_backbone.sample(PROMPT.render("woman"), seed).frames
    film(ben)
    assert np.array_equal(film(ada), shown)
    short_backbone.reset()
    assert np.array_equal(short_backbone.sample(PROMPT.render("woman"), seed).frames, before)


def test_the_first_photo_alone_is_seen(film, ada, ben, shown):
    assert np.array_equal(film(replace(ada, images=ada.images[:1], captions=ada.captions[:1])), shown)
    assert not np.array_equal(film(replace(ada, images=ben.images)), shown)


def test_the_lora_takes_part(film, ada, shown, control, monkeypatch):
    monkeypatch.setattr(control, "lora", {})
    assert not np.array_equal(film(ada), shown)


@pytest.mark.parametrize(
    ("value", "message"), [(-0.1, "local_face_scale cannot be negative"), (3.0, "expected 0 to 2")]
)
def test_settings_out_of_range_are_told(value, message):
    with pytest.raises(SettingError, match=message):
        ConsisIdSettings(local_face_scale=value)


def test_a_profile_without_such_a_control_is_told(short_profile):
    rewards = {key: value for key, value in short_profile.rewards.items() if key != "face_control"}
    assert missing(parse_variant("consisid"), replace(short_profile, rewards=rewards)) == ["reward.face_control"]


class Everywhere(PersonSegmenter):
    """Every pixel is a head, or none."""

    def __init__(self, share):
        self.share = share

    def person(self, images):
        return self.head(images)

    def head(self, images):
        return torch.full_like(images[:, :1], self.share)


class TestTheReader:
    """With the shipped detector, segmenter and recogniser, and an image encoder of transformers' own class."""

    @pytest.fixture(scope="class")
    @classmethod
    def read(cls):
        from pvbench.features.mini.face_extractor import load_detector, load_recogniser
        from pvbench.profile import load_profile
        from pvbench.rewards.mini import MiniSegmenterLoader
        from pvbench.weights import weights_folder
        from workshop.train.image_encoder import make_image_encoder

        torch.manual_seed(0)
        folder, device = weights_folder("mini"), torch.device("cpu")
        segmenter = MiniSegmenterLoader.load(load_profile("mini"), "cpu")
        recogniser = load_recogniser(folder, "reward", device)
        reader = FaceReader(segmenter, recogniser, make_image_encoder().eval(), 1.9)
        return NetworkFaceControl(load_detector(folder, device), reader, {}, {}, device)

    def test_the_head_stands_on_white_in_colour(self, read, ada):
        seen = read.see(ada.references()[0], 64, 64)
        assert seen.picture.shape == (1, 3, 64, 64)
        corners = seen.picture[0, :, :3, :3].mean(), seen.picture[0, :, :3, -3:].mean()
        assert min(corners) > 0.9
        middle = seen.picture[0, :, 24:40, 24:40]
        assert middle.mean() < 0.8
        assert (middle[0] - middle[2]).abs().mean() > 0.05
        assert read.see(ada.references()[0], 32, 64).picture.shape == (1, 3, 32, 64)

    def test_the_vector_is_the_recognisers_and_the_encoders_together(self, read, ada):
        seen = read.see(ada.references()[0], 64, 64)
        assert seen.identity.shape == (1, 256)
        whose, described = seen.identity.split(128, dim=1)
        assert float(described.norm()) == pytest.approx(1, abs=1e-4)
        images = photo_tensor([ada.references()[0]], 64, 64, torch.device("cpu"))
        points = read.detector.detect(images)[0].landmarks
        with torch.no_grad():
            torch.testing.assert_close(whose, read.reader.recogniser(crop_faces(images, points[:1])))
        assert [state.shape for state in seen.states] == [(1, 65, 128)] * 3

    def test_the_encoder_sees_grey(self, read, ada):
        photo = ada.references()[0]
        grey = np.repeat(photo.mean(axis=2, keepdims=True), 3, axis=2).round().astype(np.uint8)
        mask = Everywhere(1.0)
        reader = FaceReader(mask, read.reader.recogniser, read.reader.encoder, 1.9)
        images = [torch.from_numpy(one).permute(2, 0, 1)[None] / 127.5 - 1 for one in (photo, grey)]
        size = photo.shape[0]
        points = torch.tensor([[[0.4, 0.4], [0.6, 0.4], [0.5, 0.5], [0.42, 0.6], [0.58, 0.6]]]) * size
        colour, plain = (reader.local(image, points)[1] for image in images)
        # The grey photo is rounded to whole numbers once more.
        torch.testing.assert_close(colour[0], plain[0], atol=0.06, rtol=0)
        assert colour[0].std() > 0.5

    def test_photos_without_a_face_or_head_are_told(self, read, ada):
        with pytest.raises(FaceError, match="shows no face"):
            read.see(np.full((64, 64, 3), 90, np.uint8), 64, 64)
        nobody = Everywhere(0.0)
        reader = FaceReader(nobody, read.reader.recogniser, read.reader.encoder, 1.9)
        blind = NetworkFaceControl(read.detector, reader, {}, {}, read.device)
        with pytest.raises(FaceError, match="no head that the segmenter finds"):
            blind.see(ada.references()[0], 64, 64)
