"""The doctor names every file that is missing at once, and the folders of other programs where some lie."""

import hashlib
import re
import shutil

import pytest
from tiny_models import write_hunyuan, write_toml

from pvbench.weights import published
from pvbench.weights.published import Published

WORDS = b"weights"
SHA = hashlib.sha256(WORDS).hexdigest()


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """Neither a weights folder nor a cache holds anything."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PVBENCH_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "none"))
    monkeypatch.setenv("COLUMNS", "9999")
    return tmp_path / "home"


@pytest.fixture
def told(pvbench):
    """What a command prints, in one line, and its status."""

    def told(command, *options):
        status, out, err = pvbench(command, *options, "--device", "cpu")
        return status, " ".join((out + err).split())

    return told


@pytest.fixture(scope="module")
def hunyuan(tmp_path_factory):
    """The folder of a tiny HunyuanVideo."""
    return write_hunyuan(tmp_path_factory.mktemp("checkpoints") / "HunyuanVideo")


def spoilt(hunyuan, tmp_path):
    """A copy without two shards of the transformer, one of LLaMA, tokenizer and autoencoder, and what is gone."""
    folder = shutil.copytree(hunyuan, tmp_path / "HunyuanVideo")
    gone = [
        *sorted((folder / "transformer").glob("*-of-*.safetensors"))[:2],
        sorted((folder / "text_encoder").glob("*-of-*.safetensors"))[1],
        folder / "tokenizer" / "tokenizer.json",
        *(folder / "vae").glob("*"),
    ]
    for path in gone:
        path.unlink()
    lines = {"base": str(folder), "precision": "float32", "checkpointing": False}
    size = {"steps": 4, "frames": 29, "height": 32, "width": 32, "fps": 8.0}
    write_toml(tmp_path / "tiny.toml", extends="hunyuan", backbone=lines, sampling=size)
    return folder, gone


@pytest.mark.parametrize("command", ["doctor", "plan", "run"])
def test_every_file_that_a_folder_lacks_is_named(told, hunyuan, tmp_path, command):
    folder, gone = spoilt(hunyuan, tmp_path)
    status, out = told(command, "--profile", str(tmp_path / "tiny.toml"))
    assert status == (1 if command == "plan" else 2)
    assert f"{folder} is not whole; it is published at https://huggingface.co/hunyuanvideo-community" in out
    assert f"hf download hunyuanvideo-community/HunyuanVideo --local-dir {folder}" in out
    for path in gone:
        assert path.name in out
    assert re.search(rf"{gone[1].name}, 2 of \d+ shards \(about [\d.]+ MB\)", out)
    assert re.search(rf"{gone[2].name}, 1 of \d+ shards \(about [\d.]+ MB\)", out)
    assert "tokenizer/: tokenizer.json (size not known)" in out
    assert "vae/: config.json and diffusion_pytorch_model.safetensors (about 986 MB)" in out


@pytest.mark.parametrize("command", ["plan", "run"])
def test_what_rewards_and_the_backbone_lack_is_named_in_one_go(told, command):
    _, out = told(command, "--profile", "animatediff", "--methods", "personalvideo,id_animator")
    for said in ("buffalo_l.zip", "HPS_v2.1_compressed.pt", "animator.ckpt of", "folder image_encoder",
                 "stable-diffusion-v1-5/stable-diffusion-v1-5", "animatediff-motion-adapter-v1-5-3"):  # fmt: skip
        assert said in out


def test_files_of_styles_are_looked_for_and_only_their_rows_need_them(told, hunyuan, tmp_path):
    lines = {"base": str(hunyuan), "precision": "float32"}
    size = {"steps": 4, "frames": 29, "height": 32, "width": 32, "fps": 8.0}
    styles = {"styles.ink": {"lora": "ink/lora.safetensors"}, "styles.clay": {"checkpoint": str(tmp_path / "clay")}}
    (tmp_path / "clay").mkdir()
    path = write_toml(tmp_path / "tiny.toml", extends="hunyuan", backbone=lines, sampling=size, **styles)
    _, out = told("doctor", "--profile", str(path))
    assert re.search(r"note style ink only rows with style=ink need it: .* there is no 'ink/lora.safetensors'", out)
    assert re.search(rf"note style clay only rows with style=clay need it: .* {tmp_path}/clay is not whole", out)


def test_all_face_networks_of_consisid_that_are_missing_are_named(told, tmp_path):
    (tmp_path / "weights" / "BestWishYsh" / "ConsisID-preview").mkdir(parents=True)
    status, out = told("doctor", "--profile", "consisid")
    assert status == 2
    lacks = (
        "EVA02_CLIP_L_336_psz14_s6B.pt (size not known), parsing_bisenet.pth (size not known), "
        "models/antelopev2/scrfd_10g_bnkps.onnx and models/antelopev2/glintr100.onnx (361 MB as InsightFace's zip)"
    )
    assert f"{tmp_path}/weights/BestWishYsh/ConsisID-preview/face_encoder lacks {lacks}" in out
    assert "transformer/: config.json and diffusion_pytorch_model.safetensors (about 12.3 GB)" in out


def test_weights_in_the_caches_of_other_programs_are_named_with_their_folders(told, home, monkeypatch):
    packs = home / ".insightface" / "models" / "buffalo_l"
    clips = home / ".cache" / "clip"
    for folder, names in ((packs, ("det.onnx", "rec.onnx")), (clips, ("ViT-B-32.pt", "ViT-L-14.pt"))):
        folder.mkdir(parents=True)
        for name in names:
            (folder / name).write_bytes(WORDS if name != "ViT-L-14.pt" else b"another network")
    pack = {f"insightface/buffalo_l/{name}.onnx": SHA for name in ("det", "rec")}
    entries = {
        "buffalo_l": Published("buffalo_l", "face", pack, "https://nowhere.invalid/buffalo_l.zip", "research", 289),
        "ViT-B-32": Published("ViT-B-32", "clip", {"clip/ViT-B-32.pt": SHA}, "https://nowhere.invalid/a", "MIT", 354),
    }
    for name, entry in entries.items():
        monkeypatch.setitem(published.PUBLISHED, name, entry)
    _, out = told("doctor", "--profile", "consisid")
    assert f"good face: buffalo_l {packs}" in out
    assert f"good clip: ViT-B-32 {clips / 'ViT-B-32.pt'}" in out
    assert f"Not used: {clips / 'ViT-L-14.pt'}, whose sha256 is not the publisher's" in out
