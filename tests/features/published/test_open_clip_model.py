"""CLIP by open_clip: OpenAI's own preparation, files that fit or are refused, HPSv2's score, on a tiny model."""

import hashlib
import json
import os
import pickle
import socket
import warnings
import zipfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from pvbench.errors import WeightsError
from pvbench.features.cpu.packed import PackedBlock
from pvbench.features.published.open_clip_model import (
    MEAN,
    STD,
    clip_pixels,
    hps_pixels,
    load_open_clip,
    middle_square,
)
from pvbench.profile import load_profile
from pvbench.rewards.published import HpsLoader

NAME, QUICK = "pvbench-tiny", "pvbench-tiny-quickgelu"


def network(open_clip, name):
    torch.manual_seed(0)
    made = open_clip.CLIP(**open_clip.get_model_config(name)).eval()
    # Fresh weights are too small for the activation to matter.
    for weight in made.parameters():
        weight.data *= 3 if weight.ndim == 2 else 1
    return made


@pytest.fixture(scope="module")
def files(open_clip, tmp_path_factory):
    """The same weights in every form that is read."""
    folder, made = tmp_path_factory.mktemp("weights"), network(open_clip, NAME)
    state = made.state_dict()
    save_file(state, folder / "weights.safetensors")
    torch.save(state, folder / "plain.pt")
    torch.save({"state_dict": {f"module.{name}": value for name, value in state.items()}}, folder / "nested.pt")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        script = torch.jit.trace(
            network(open_clip, QUICK), (torch.zeros(1, 3, 64, 64), torch.zeros(1, 77).long()), check_trace=False
        )
        script.save(folder / "openai.pt")
    return folder


@pytest.fixture(scope="module")
def clip(files):
    return load_open_clip(NAME, files / "weights.safetensors")


def frames(count=3, height=48, width=80):
    return np.random.default_rng(0).integers(0, 256, (count, height, width, 3), np.uint8)


# Pictures and texts


def test_frames_and_texts_are_unit_vectors_of_one_space(clip):
    pictures, words = clip.frames(frames()), clip.texts(["a man", "a woman nodding"])
    assert (pictures.shape, words.shape) == ((3, 24), (2, 24))
    assert (pictures.dtype, words.dtype) == (np.float32, np.float32)
    np.testing.assert_allclose(np.linalg.norm(pictures, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(words, axis=1), 1, atol=1e-6)


def test_a_frames_embedding_does_not_depend_on_the_others(clip):
    many = frames(70)
    found = clip.frames(many)
    # Sums in a matrix product are ordered by its size: some units in the last place of float32.
    np.testing.assert_allclose(found[::-1], clip.frames(many[::-1]), atol=2e-6)
    np.testing.assert_allclose(found[66], clip.frames(many[66:67])[0], atol=2e-6)


@pytest.mark.parametrize("name", [NAME, QUICK])
def test_embeddings_and_gradients_are_those_of_open_clip_itself(open_clip, files, name):
    made, found = network(open_clip, name), load_open_clip(name, files / "weights.safetensors")
    with torch.no_grad():
        pictures = made.encode_image(clip_pixels(frames(), 64), normalize=True)
        words = made.encode_text(open_clip.get_tokenizer(name)(["a man"]), normalize=True)
    np.testing.assert_allclose(found.frames(frames()), pictures, atol=2e-6)
    np.testing.assert_allclose(found.texts(["a man"]), words, atol=2e-6)
    ours, theirs = (clip_pixels(frames(), 64).requires_grad_(True) for _ in range(2))
    found.images(ours)[:, 0].sum().backward()
    made.encode_image(theirs, normalize=True)[:, 0].sum().backward()
    assert ours.grad is not None and theirs.grad is not None
    np.testing.assert_allclose(ours.grad.numpy(), theirs.grad.numpy(), atol=1e-5 * float(theirs.grad.abs().max()))


def test_only_what_is_asked_of_the_last_block_is_computed(files):
    from torch.utils.flop_counter import FlopCounterMode

    block = load_open_clip(NAME, files / "weights.safetensors").network.visual.transformer.resblocks[-1]
    tokens, work = torch.randn(1, 17, block.ln_1.weight.shape[0]), []
    for forward in (partial(type(block).forward, block), block):
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            made = forward(tokens)
        work.append(counter.get_total_flops())
    assert made.shape[1] == 1
    assert work[1] < work[0] / 3


@pytest.mark.parametrize("name", [NAME, QUICK])
def test_embeddings_by_laid_out_weights_are_the_same(files, name, monkeypatch):
    expected = load_open_clip(name, files / "weights.safetensors")
    found = load_open_clip(name, files / "weights.safetensors").pack()
    assert all(type(block) is PackedBlock for block in found.network.visual.transformer.resblocks)
    np.testing.assert_allclose(found.frames(frames()), expected.frames(frames()), atol=2e-6)
    np.testing.assert_array_equal(found.texts(["a man"]), expected.texts(["a man"]))
    monkeypatch.setattr("pvbench.features.cpu.packed.can_pack", lambda: False)
    without = load_open_clip(name, files / "weights.safetensors").pack()
    np.testing.assert_allclose(without.frames(frames()), expected.frames(frames()), atol=2e-6)


def test_layers_that_scale_keep_doing_so_with_laid_out_weights():
    from open_clip.transformer import ResidualAttentionBlock

    with torch.random.fork_rng():
        torch.manual_seed(0)
        block = ResidualAttentionBlock(32, 4, ls_init_value=0.3).requires_grad_(False).eval()
        tokens = torch.randn(3, 5, 32)
    torch.testing.assert_close(PackedBlock(block, first_alone=False)(tokens), block(tokens), atol=1e-5, rtol=0)
    torch.testing.assert_close(PackedBlock(block, first_alone=True)(tokens), block(tokens)[:, :1], atol=1e-5, rtol=0)


def test_a_tower_of_another_make_keeps_its_weights_as_they_are(files):
    found = load_open_clip(NAME, files / "weights.safetensors")
    found.network.visual.transformer.resblocks[0] = nn.Identity()
    assert not any(isinstance(block, PackedBlock) for block in found.pack().network.visual.transformer.resblocks)


def test_pictures_of_several_sizes_are_embedded_together(clip):
    pictures = [frames(1, 50, 31)[0], frames(1, 64, 90)[0], frames(1, 40, 40)[0]]
    alone = np.concatenate([clip.frames(picture[None]) for picture in pictures])
    np.testing.assert_allclose(clip.frames(pictures), alone, atol=2e-6)
    landmarks = np.array([[[10, 12], [20, 12], [15, 18], [11, 24], [19, 24]]] * 3, np.float32)
    landmarks[1] = np.nan
    crops = np.concatenate([clip.faces(one[None], at[None]) for one, at in zip(pictures, landmarks, strict=True)])
    np.testing.assert_allclose(clip.faces(pictures, landmarks), crops, atol=2e-6)


def test_the_middle_square_is_seen_at_the_models_side():
    wide = np.zeros((1, 64, 128, 3), np.uint8)
    wide[:, :, 32:96] = 255
    white = (1 - np.array(MEAN)) / STD
    np.testing.assert_allclose(clip_pixels(wide, 64)[0].mean(dim=(1, 2)), white, rtol=1e-5)
    assert clip_pixels(frames(2, 50, 31), 64).shape == (2, 3, 64, 64)


def test_preparation_is_torchvisions_as_openai_calls_it():
    from torchvision import transforms
    from torchvision.transforms import InterpolationMode

    theirs = transforms.Compose(
        [
            transforms.Resize(64, InterpolationMode.BICUBIC),
            transforms.CenterCrop(64),
            transforms.ToTensor(),
            transforms.Normalize(MEAN, STD),
        ]
    )
    for height, width in ((48, 80), (97, 61), (64, 64), (65, 200)):
        frame = frames(1, height, width)
        assert torch.equal(clip_pixels(frame, 64)[0], theirs(Image.fromarray(frame[0])))


def test_gradients_reach_the_pictures(clip):
    pictures = clip_pixels(frames(), 64).requires_grad_(True)
    clip.images(pictures).sum().backward()
    assert pictures.grad.abs().sum() > 0


def test_a_prompt_of_300_tokens_is_cut_and_counted(clip):
    text = "man " * 298
    assert clip.context == 77
    assert clip.token_count(text) == 300
    assert clip.token_count("a photo of a man") == 7
    np.testing.assert_array_equal(clip.texts([text]), clip.texts(["man " * 75]))
    assert not np.array_equal(clip.texts([text]), clip.texts(["man " * 74]))


def test_frames_without_a_face_have_rows_of_nan(clip):
    landmarks = np.full((3, 5, 2), np.nan, np.float32)
    assert clip.faces(frames(), landmarks).shape == (3, 24)
    assert np.isnan(clip.faces(frames(), landmarks)).all()
    landmarks[1] = [[34, 18], [50, 18], [42, 26], [36, 34], [48, 34]]
    found = clip.faces(frames(), landmarks)
    assert np.isnan(found[[0, 2]]).all()
    assert np.linalg.norm(found[1]) == pytest.approx(1, abs=1e-6)


def test_a_face_is_seen_wherever_it_is(clip):
    face = np.random.default_rng(1).integers(0, 256, (60, 60, 3), np.uint8)
    both = np.zeros((2, 100, 140, 3), np.uint8)
    both[0, 5:65, 10:70] = both[1, 25:85, 60:120] = face
    points = np.array([[22, 24], [38, 24], [30, 32], [24, 40], [36, 40]], np.float32)
    found = clip.faces(
        both, np.stack([points + np.array([10, 5], np.float32), points + np.array([60, 25], np.float32)])
    )
    # Places of the crop's pixels are rounded in float32; noise is steep between two pixels.
    np.testing.assert_allclose(found[0], found[1], atol=1e-3)


# HPSv2


def test_hps_embeds_what_it_sees_and_the_order_of_frames_moves_nothing(clip):
    found = clip.hps_frames(frames(40))
    with torch.no_grad():
        pictures = clip.images(hps_pixels(frames(40), 64)).numpy()
    np.testing.assert_allclose(found, pictures, atol=2e-6)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[::-1], clip.hps_frames(frames(40)[::-1]), atol=2e-6)


def profile_with(checkpoint):
    rewards = {"semantic": "hps", "hps": str(checkpoint), "hps_model": NAME}
    return replace(load_profile("mini"), rewards=rewards)


def test_hps_as_a_reward_scores_as_the_metric_does_and_its_gradient_raises_the_score(clip, files):
    reward, text = HpsLoader.load(profile_with(files / "plain.pt"), "cpu"), "a red balloon"
    pictures = torch.from_numpy(frames(3)).permute(0, 3, 1, 2).float() / 127.5 - 1
    pictures.requires_grad_()
    scores = reward.scores(pictures, text)
    metric = clip.hps_frames(frames(3)) @ clip.texts([text])[0]
    np.testing.assert_allclose(scores.detach().numpy(), metric, atol=2e-6)
    scores.sum().backward()
    with torch.no_grad():
        nearer = reward.scores(pictures + 0.02 * pictures.grad.sign(), text)
    assert (nearer > scores).all()


def test_hps_as_a_reward_needs_a_checkpoint_that_fits(tmp_path):
    with pytest.raises(WeightsError, match=r"there is no file .*; set hps to the checkpoint"):
        HpsLoader.load(profile_with(tmp_path / "HPS_v2.1_compressed.pt"), "cpu")


# Files


@pytest.mark.parametrize("file", ["plain.pt", "nested.pt"])
def test_the_same_weights_in_another_file_are_the_same_model(files, clip, file):
    np.testing.assert_array_equal(load_open_clip(NAME, files / file).frames(frames()), clip.frames(frames()))


def test_openais_archive_is_the_same_weights(open_clip, files):
    found = load_open_clip(QUICK, files / "openai.pt").network.state_dict()
    own = network(open_clip, QUICK).state_dict()
    assert found.keys() == own.keys()
    assert all(torch.equal(found[name], own[name]) for name in own)


def test_openais_archive_needs_a_model_with_quickgelu(files):
    with pytest.raises(WeightsError, match=f"trained with QuickGELU, which {NAME} has not; name the model {QUICK}"):
        load_open_clip(NAME, files / "openai.pt")


def test_quickgelu_is_in_the_models_name_alone(files, clip):
    quick = load_open_clip(QUICK, files / "weights.safetensors")
    assert np.abs(quick.frames(frames()) - clip.frames(frames())).max() > 1e-3


def test_half_precision_is_made_full_and_everything_frozen(open_clip, tmp_path):
    state = {name: value.half() for name, value in network(open_clip, NAME).state_dict().items()}
    torch.save(state, tmp_path / "half.pt")
    found = load_open_clip(NAME, tmp_path / "half.pt").network
    assert {value.dtype for value in found.parameters()} == {torch.float32}
    assert not found.training
    assert not any(parameter.requires_grad for parameter in found.parameters())


def test_an_unknown_model_is_told_with_the_nearest_name(files):
    with pytest.raises(WeightsError, match=r"knows no model 'ViT-B-23' \(did you mean 'ViT-B-32'\?\)"):
        load_open_clip("ViT-B-23", files / "plain.pt")


@pytest.mark.parametrize("name", ["hf-hub:laion/CLIP-ViT-B-32-laion2B-s34B-b79K", "ViT-B-16-SigLIP"])
def test_nothing_is_fetched_from_a_hub(files, name, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    with pytest.raises(WeightsError, match=r"knows no model|comes from a hub"):
        load_open_clip(name, files / "plain.pt")
    load_open_clip(NAME, files / "plain.pt")


def test_weights_of_another_model_are_told(open_clip, files, tmp_path):
    state = network(open_clip, NAME).state_dict()
    wide = state | {"visual.proj": torch.zeros(64, 32)}
    torch.save(wide, tmp_path / "wide.pt")
    with pytest.raises(WeightsError, match=rf"does not fit {NAME}: visual.proj has the shape \(64, 32\), expected"):
        load_open_clip(NAME, tmp_path / "wide.pt")
    torch.save({name: value for name, value in state.items() if name != "visual.proj"}, tmp_path / "less.pt")
    with pytest.raises(WeightsError, match=r"it lacks \['visual.proj'\] and has \[\] in addition"):
        load_open_clip(NAME, tmp_path / "less.pt")
    torch.save(state | {"more": torch.zeros(1)}, tmp_path / "more.pt")
    with pytest.raises(WeightsError, match=r"it lacks \[\] and has \['more'\] in addition"):
        load_open_clip(NAME, tmp_path / "more.pt")


@pytest.mark.parametrize("file", ["weights.safetensors", "plain.pt", "openai.pt"])
@pytest.mark.parametrize("content", [b"", b"not weights", "half", None])
def test_a_damaged_or_missing_file_is_told(files, tmp_path, file, content):
    if content is not None:
        whole = (files / file).read_bytes()
        (tmp_path / file).write_bytes(whole[: len(whole) // 2] if content == "half" else content)
    with pytest.raises(WeightsError, match=f"{'no weights at ' if content is None else ''}{tmp_path / file}"):
        load_open_clip(QUICK, tmp_path / file)


def test_a_file_of_something_else_is_told(tmp_path, open_clip):
    torch.save([torch.zeros(2)], tmp_path / "list.pt")
    with pytest.raises(WeightsError, match="holds something else than named tensors"):
        load_open_clip(NAME, tmp_path / "list.pt")


class Code:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("form", ["pickle", "torch", "archive"])
def test_code_in_a_file_is_refused_and_does_not_run(tmp_path, open_clip, form):
    file, proof = tmp_path / "code.pt", tmp_path / "proof"
    if form == "pickle":
        file.write_bytes(pickle.dumps({"logit_scale": Code(proof)}))
    elif form == "torch":
        torch.save({"logit_scale": Code(proof)}, file)
    else:
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("code/data.pkl", pickle.dumps(Code(proof), 2))
            archive.writestr("code/constants.pkl", b"")
    with pytest.raises(WeightsError, match="cannot be read as weights") as refused:
        load_open_clip(QUICK, file)
    # torch's own message tells people to run it after all.
    assert "Re-running" not in str(refused.value)
    assert form != "torch" or "nothing of it was run" in str(refused.value)
    assert not proof.exists()


# Reference values: openai/CLIP@d05afc4, its tokenizer and its `_transform(224)`.


@pytest.fixture(scope="module")
def expected(reference):
    return json.loads((reference / "expected/clip.json").read_text())


def test_tokens_are_openais(clip, expected):
    for text, tokens in expected["tokens"].items():
        assert clip.tokenizer([text])[0].tolist() == tokens + [0] * (77 - len(tokens))
        assert clip.token_count(text) == len(tokens)


@pytest.mark.parametrize("name", ["faces/obama.jpg", "faces/biden.jpg", "CLIP.png"])
def test_prepared_photos_are_openais_in_every_bit(reference, expected, name):
    wanted = expected["preprocess"][Path(name).name]
    with Image.open(reference / "inputs" / name) as picture:
        pixels = clip_pixels(middle_square(picture, 224)[None], 224)[0]
        if picture.mode == "RGB":
            assert torch.equal(pixels, clip_pixels(np.array(picture)[None], 224)[0])
    np.testing.assert_allclose(pixels.flatten()[:4], wanted["first"], atol=1e-6)
    assert pixels.double().mean().item() == pytest.approx(wanted["mean"], abs=1e-6)
    assert hashlib.sha256(pixels.numpy().tobytes()).hexdigest() == wanted["sha256_float32"]
