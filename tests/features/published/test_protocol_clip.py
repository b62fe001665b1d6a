"""CLIP as ConsisID's script calls it: which frames, which colours, whose preparation."""

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

from pvbench.errors import WeightsError
from pvbench.evaluator import Evaluators, FeaturePlan
from pvbench.features.published.open_clip_model import MEAN, STD, clip_pixels
from pvbench.features.published.protocol_clip import ProtocolClip, ProtocolClipLoader, starts
from pvbench.profile import load_profile
from pvbench.torchvision_shim import load_torchvision
from pvbench.video import Video


def frames(count, height=70, width=90):
    """Reddish pictures: with red and blue exchanged they are others."""
    drawn = np.random.default_rng(0).integers(0, 255, (count, height, width, 3))
    return (drawn * np.array([1.0, 0.5, 0.2])).astype(np.uint8)


@pytest.mark.parametrize("total", [1, 8, 15, 16, 17, 49, 97, 129])
def test_frames_are_those_of_the_script(total):
    # Its line, for i in range(num_frames): int(i * total_frames / num_frames).
    assert starts(total).tolist() == [int(i * total / 16) for i in range(16)]


def test_the_last_frame_is_not_seen():
    assert starts(49)[-1] == 45


@torch.no_grad()
def test_the_score_is_the_scripts_step_by_step(tiny_clip):
    video = frames(20)
    embeddings = []
    for place in (int(i * 20 / 16) for i in range(16)):
        picture = Image.fromarray(np.ascontiguousarray(video[place][:, :, ::-1]))
        small = picture.resize((int(64 * 90 / 70), 64), Image.Resampling.BICUBIC)
        left = round((small.width - 64) / 2)
        levels = torch.tensor(np.asarray(small.crop((left, 0, left + 64, 64)))).float() / 255
        pixels = (levels - torch.tensor(MEAN)) / torch.tensor(STD)
        embeddings.append(tiny_clip.network.encode_image(pixels.permute(2, 0, 1)[None])[0])
    text = tiny_clip.network.encode_text(tiny_clip.tokenizer(["a man reads"]))[0]
    expected = torch.cosine_similarity(torch.stack(embeddings), text[None], dim=-1).mean()
    evaluator = ProtocolClip(tiny_clip)
    seen = evaluator.make("consisid_clip", Video(video, 8.0), {})["consisid/clip"]
    read = evaluator.make("text_consisid_clip", "a man reads", {})["text/consisid_clip"]
    assert seen.shape == (16, 24)
    assert float((seen @ read).mean()) == pytest.approx(float(expected), abs=1e-6)


def test_red_is_read_as_blue(tiny_clip):
    video = frames(16)
    evaluator = ProtocolClip(tiny_clip)
    seen = evaluator.make("consisid_clip", Video(video, 8.0), {})["consisid/clip"]
    np.testing.assert_allclose(seen, tiny_clip.frames(video[..., ::-1].copy()), atol=1e-6)
    assert np.abs(seen - tiny_clip.frames(video)).max() > 1e-2


def test_pictures_are_prepared_as_by_the_scripts_processor():
    load_torchvision()
    from transformers import CLIPImageProcessor

    pictures = list(frames(2, 300, 400))
    theirs = CLIPImageProcessor()(images=pictures, return_tensors="pt")["pixel_values"]
    # By one level of 255 at most, here and there: it resizes tensors, we let Pillow round as OpenAI does.
    difference = (clip_pixels(np.stack(pictures), 224) - theirs).abs()
    assert difference.max() < 0.016
    assert difference.mean() < 1e-3


def test_it_is_a_part_of_its_own_with_weights_of_its_own():
    profile = load_profile("animatediff")
    other = dataclasses.replace(profile, evaluators={**profile.evaluators, "clip": "ViT-L-14"})
    for one in (profile, other):
        signed = ProtocolClipLoader.signature(one)
        assert (signed["extractor"], signed["model"]) == ("ViT-B-32", "ViT-B-32-quickgelu")
        assert signed["colours"] == "red and blue exchanged"
    wanted = {"consisid/clip", "text/consisid_clip"}
    assert FeaturePlan(profile, wanted).parts == ("protocol_clip",)


def test_missing_weights_are_called_by_the_parts_own_name(tmp_path, monkeypatch):
    monkeypatch.setenv("PVBENCH_WEIGHTS", str(tmp_path))
    plan = FeaturePlan(load_profile("animatediff"), {"consisid/clip"})
    with pytest.raises(WeightsError, match=r"ViT-B-32 \(protocol_clip\) is not there.*--weights protocol_clip=PATH"):
        Evaluators(plan, "cpu").all("video", Video(frames(16), 8.0))
