"""Files of rewards that others publish are found in the weights folder and in caches, or all named."""

import dataclasses

import pytest

from pvbench.errors import WeightsError
from pvbench.features.published import insightface_faces
from pvbench.profile import load_profile
from pvbench.rewards import published_files
from pvbench.rewards.published_files import PACK, all_found, check_face_encoder, pack_of


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PVBENCH_WEIGHTS", str(tmp_path / "weights"))
    return tmp_path / "home"


@pytest.fixture
def profile(monkeypatch):
    """One with a pack that pvbench does not know; its files are not looked into."""
    monkeypatch.setattr(insightface_faces, "pack_files", lambda folder: (folder / "det.onnx", folder / "rec.onnx"))
    profile = load_profile("animatediff")
    return dataclasses.replace(profile, rewards={**profile.rewards, "face": "buffalo_s"})


def write(folder):
    folder.mkdir(parents=True)
    (folder / "det.onnx").touch()
    return folder


def test_a_pack_of_any_name_is_taken_from_the_weights_folder_or_else_from_insightfaces(profile, home, tmp_path):
    own = tmp_path / "weights" / "insightface" / "buffalo_s"
    assert pack_of(profile)[0].parent == own
    cached = write(home / ".insightface" / "models" / "buffalo_s")
    assert pack_of(profile)[0].parent == cached
    write(own)
    assert pack_of(profile)[0].parent == own


def test_a_pack_for_consisid_that_lies_in_a_cache_is_named(home, tmp_path, monkeypatch):
    cached = write(home / ".insightface" / "models" / "antelopev2")
    monkeypatch.setattr(published_files, "cached_folder", lambda files: cached)
    with pytest.raises(WeightsError, match=rf"glintr100\.onnx \(361 MB .*; {cached} holds them: copy them from"):
        check_face_encoder(tmp_path, "here")


def test_a_damaged_pack_does_not_hide_what_is_missing(tmp_path):
    (tmp_path / PACK).mkdir(parents=True)
    for name in ("scrfd_10g_bnkps.onnx", "glintr100.onnx"):
        (tmp_path / PACK / name).write_bytes(b"nothing of the sort")
    with pytest.raises(WeightsError) as refused:
        check_face_encoder(tmp_path, "here")
    damaged, missing = str(refused.value).splitlines()
    assert "is damaged or no ONNX file" in damaged
    assert "lacks EVA02_CLIP_L_336_psz14_s6B.pt (size not known), parsing_bisenet.pth (size not known);" in missing


def test_all_that_is_not_found_is_told_once():
    def lost(what):
        raise WeightsError(what)

    assert all_found(lambda: 1, lambda: 2) == [1, 2]
    with pytest.raises(WeightsError, match=r"^one\nother$"):
        all_found(lambda: lost("one"), lambda: 1, lambda: lost("other"), lambda: lost("one"))
