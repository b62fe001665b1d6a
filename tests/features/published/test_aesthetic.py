"""Aesthetic scores as VBench's and OpenS2V-Eval's scripts compute them, and files that are something else."""

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from pvbench.errors import WeightsError
from pvbench.evaluator import FeaturePlan
from pvbench.features.published.aesthetic import (
    AestheticClip,
    AestheticClipLoader,
    AestheticLoader,
    Head,
    OpenS2VAestheticLoader,
    opens2v_places,
    read_layers,
)
from pvbench.features.published.open_clip_model import MEAN, STD, vbench_pixels
from pvbench.metrics import metric_class
from pvbench.metrics.aesthetic import AestheticQuality, OpenS2VAesthetic
from pvbench.profile import load_profile
from pvbench.torchvision_shim import load_torchvision
from pvbench.video import Video

WIDTH = 24
"""Of the tiny CLIP's embeddings."""


def published_head():
    """OpenS2V's predictor, as its script builds it, for embeddings of another length."""
    torch.manual_seed(1)
    sizes = ((WIDTH, 32), (32, 16), (16, 8), (8, 4))
    layers = [layer for size in sizes[:3] for layer in (nn.Linear(*size), nn.Dropout(0.2))]
    return nn.ModuleDict({"layers": nn.Sequential(*layers, nn.Linear(*sizes[3]), nn.Linear(4, 1))}).eval()


def profile_with(**files):
    profile = load_profile("animatediff")
    return dataclasses.replace(profile, evaluators={**profile.evaluators, "files": files})


def frames(count, height=70, width=91):
    return np.random.default_rng(0).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


class TestVBench:
    @pytest.mark.parametrize("size", [(300, 401), (401, 300), (224, 300), (224, 224), (128, 97), (96, 96)])
    def test_frames_are_prepared_as_there(self, size):
        torchvision = load_torchvision()
        from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Normalize, Resize

        theirs = Compose(
            [
                Resize(224, interpolation=InterpolationMode.BICUBIC, antialias=False),
                CenterCrop(224),
                lambda x: x.float().div(255.0),
                Normalize(MEAN, STD),
            ]
        )
        pictures = frames(2, *size)
        expected = theirs(torch.from_numpy(pictures).permute(0, 3, 1, 2))
        torch.testing.assert_close(vbench_pixels(pictures, 224), expected, rtol=0, atol=1e-6)
        assert torchvision is not None

    @torch.no_grad()
    def test_the_score_is_the_scripts(self, tiny_clip, tmp_path):
        head = nn.Linear(WIDTH, 1)
        torch.save(head.state_dict(), tmp_path / "linear.pth")
        video = frames(5)
        # Its lines: encode, normalise, score, a tenth, mean.
        feats = tiny_clip.network.encode_image(vbench_pixels(video, 64)).float()
        expected = (head(nn.functional.normalize(feats, dim=-1)).squeeze() / 10).mean()
        seen = AestheticClip(tiny_clip).make("vbench_clip", Video(video, 8.0), {})
        assert seen["vbench/clip"].shape == (5, WIDTH)
        read = AestheticLoader.load(profile_with(aesthetic=str(tmp_path / "linear.pth")), "cpu")
        (score,) = AestheticQuality().row(read.make("vbench_aesthetic", None, seen))
        assert score == pytest.approx(float(expected), abs=1e-6)


class TestOpenS2V:
    @pytest.mark.parametrize("total", [1, 8, 31, 32, 33, 49, 121])
    def test_frames_are_those_of_the_script(self, total):
        assert opens2v_places(total) == np.linspace(0, total - 1, 32, dtype=int).tolist()

    @torch.no_grad()
    def test_the_score_is_the_scripts(self, tiny_clip, tmp_path):
        head = published_head()
        torch.save(head.state_dict(), tmp_path / "mlp.pth")
        video, embeddings = frames(40), []
        for place in np.linspace(0, 39, 32, dtype=int):
            picture = Image.fromarray(video[place])
            small = picture.resize((int(64 * 91 / 70), 64), Image.Resampling.BICUBIC)
            left = round((small.width - 64) / 2)
            levels = torch.tensor(np.asarray(small.crop((left, 0, left + 64, 64)))).float() / 255
            pixels = ((levels - torch.tensor(MEAN)) / torch.tensor(STD)).permute(2, 0, 1)
            embeddings.append(tiny_clip.network.encode_image(pixels[None])[0])
        embed = torch.stack(embeddings)
        embed = embed / torch.linalg.vector_norm(embed, dim=-1, keepdim=True)
        expected = head["layers"](embed).squeeze(1).mean()
        seen = AestheticClip(tiny_clip).make("opens2v_clip", Video(video, 8.0), {})
        read = OpenS2VAestheticLoader.load(profile_with(opens2v_aesthetic=str(tmp_path / "mlp.pth")), "cpu")
        scores = read.make("opens2v_aesthetic", None, seen)
        assert scores["opens2v/aesthetic"].shape == (32,)
        (score,) = OpenS2VAesthetic().row(scores)
        assert score == pytest.approx(float(expected), abs=1e-6)


def test_scores_come_from_embeddings_that_come_before():
    profile = load_profile("animatediff")
    for metric, parts in (
        ("aesthetic_quality", {"aesthetic_clip", "aesthetic"}),
        ("opens2v_aesthetic", {"aesthetic_clip", "opens2v_aesthetic"}),
    ):
        plan = FeaturePlan(profile, metric_class(metric).needs)
        assert set(plan.parts) == parts
        assert plan.groups[0].name.endswith("_clip")


def test_the_network_is_vit_l_whatever_the_profile_scores_with():
    signed = AestheticClipLoader.signature(load_profile("animatediff"))
    assert (signed["extractor"], signed["model"]) == ("ViT-L-14", "ViT-L-14-quickgelu")


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"weight": torch.zeros(1, 4)}, r"holds weight; expected p\.pth: weight, bias"),
        ({"weight": torch.zeros(1, 4), "bias": torch.zeros(1), "more": torch.zeros(1)}, "holds bias, more, weight"),
        ({"weight": torch.zeros(2, 4), "bias": torch.zeros(2)}, "whose last layer has one output"),
        ({"weight": torch.zeros(1, 4), "bias": torch.zeros(3)}, "whose last layer has one output"),
        ({"weight": torch.zeros(4), "bias": torch.zeros(4)}, "whose last layer has one output"),
    ],
)
def test_another_file_is_refused(tmp_path, state, message):
    torch.save(state, tmp_path / "file.pth")
    with pytest.raises(WeightsError, match=message):
        read_layers(tmp_path / "file.pth", ("",), "p.pth")


def test_layers_that_do_not_follow_one_another_are_refused(tmp_path):
    state = published_head().state_dict()
    state["layers.2.weight"] = torch.zeros(16, 31)
    torch.save(state, tmp_path / "file.pth")
    with pytest.raises(WeightsError, match=r"has layers of .*expected aesthetic-model\.pth"):
        OpenS2VAestheticLoader.load(profile_with(opens2v_aesthetic=str(tmp_path / "file.pth")), "cpu")


def test_a_predictor_for_another_network_is_told(tiny_clip):
    head = Head("vbench/clip", "vbench/aesthetic", [(torch.zeros(1, 768), torch.zeros(1))])
    seen = AestheticClip(tiny_clip).make("vbench_clip", Video(frames(2), 8.0), {})
    with pytest.raises(WeightsError, match=r"embeddings of length 768, CLIP ViT-L/14's; those of .* have 24"):
        head.make("vbench_aesthetic", None, seen)
