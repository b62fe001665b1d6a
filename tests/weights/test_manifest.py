"""Weights are what their manifest says, or an error names the file and what to do."""

import json

import pytest

from pvbench.digest import file_digest
from pvbench.errors import WeightsError
from pvbench.weights import MANIFEST, manifest, signature, verified, weights_folder, write_manifest


@pytest.fixture
def folder(tmp_path):
    """Two models with a card each."""
    for model in ("vae", "unet"):
        (tmp_path / model / "parts").mkdir(parents=True)
        (tmp_path / model / "config.json").write_text(f'{{"name": "{model}"}}')
        (tmp_path / model / "parts" / "model.safetensors").write_bytes(model.encode() * 100)
        (tmp_path / model / "card.json").write_text("{}")
    write_manifest(tmp_path)
    return tmp_path


def rewrite(folder, change):
    path = folder / MANIFEST
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_the_manifest_lists_every_file_but_itself(folder):
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert set(manifest(folder)) == files - {MANIFEST}
    assert all(sha == file_digest(folder / file) for file, sha in manifest(folder).items())


def test_whole_weights_pass(folder):
    assert verified(folder, "vae") == folder / "vae"
    assert weights_folder(str(folder)) == folder


def test_a_file_that_is_another_is_told_with_the_remedy(folder):
    file = folder / "vae" / "parts" / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"!")
    with pytest.raises(WeightsError, match=r"has sha256 .*its manifest says .*restore it") as caught:
        verified(folder, "vae")
    assert str(file) in str(caught.value)
    assert verified(folder, "unet") == folder / "unet"


def test_a_file_that_changes_after_a_check_is_noticed(folder):
    verified(folder, "vae")
    (folder / "vae" / "config.json").write_text('{"name": "something else"}')
    with pytest.raises(WeightsError, match=r"config\.json has sha256"):
        verified(folder, "vae")


def test_a_wrong_sum_in_the_manifest_is_told(folder):
    rewrite(folder, lambda content: content.update({"vae/config.json": "0" * 64}))
    with pytest.raises(WeightsError, match=r"config\.json has sha256 [0-9a-f]{16}.*, its manifest says 0{16}\.\.\."):
        verified(folder, "vae")


def test_a_missing_file_is_told_with_the_manifest_and_the_remedy(folder):
    (folder / "unet" / "config.json").unlink()
    with pytest.raises(WeightsError, match=r"config\.json is missing.*listed in .*manifest\.json.*restore") as caught:
        verified(folder, "unet")
    assert str(folder / "unet" / "config.json") in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"{", b'{"vae/config.json": ', b"\xff\xfe\x00"])
def test_a_manifest_that_is_no_json_is_told_with_the_remedy(folder, content):
    (folder / MANIFEST).write_bytes(content)
    with pytest.raises(WeightsError, match=r"manifest\.json is not readable as JSON.*pack the weights again"):
        verified(folder, "vae")


@pytest.mark.parametrize("content", ["[]", '"text"', '{"vae/config.json": 3}', '{"vae": {"config.json": "ab"}}'])
def test_a_manifest_of_another_form_is_told_with_the_remedy(folder, content):
    (folder / MANIFEST).write_text(content)
    with pytest.raises(WeightsError, match=r"manifest\.json does not map files to sha256 sums; pack"):
        verified(folder, "vae")


@pytest.mark.parametrize("file", ["vae/../../secret", "../secret", "/etc/passwd", "vae/./config.json"])
def test_a_manifest_cannot_lead_out_of_its_folder(folder, file):
    rewrite(folder, lambda content: content.update({file: "0" * 64}))
    with pytest.raises(WeightsError, match=r"manifest\.json lists .*which is not a plain path below its folder"):
        verified(folder, "vae")


def test_a_manifest_that_is_written_again_is_read_again(folder):
    before = signature(folder, "vae")
    (folder / "vae" / "config.json").write_text('{"name": "retrained"}')
    write_manifest(folder)
    assert verified(folder, "vae") == folder / "vae"
    assert signature(folder, "vae") != before


def test_an_unknown_model_is_told_with_the_remedy(folder):
    for ask in (verified, signature):
        with pytest.raises(WeightsError, match=r"manifest\.json lists no files of 'clip'; train and pack it"):
            ask(folder, "clip")


def test_a_folder_without_a_manifest_is_no_weights(tmp_path):
    with pytest.raises(WeightsError, match=r"no weights .*nor a folder with a manifest\.json"):
        weights_folder(str(tmp_path))


def test_a_signature_needs_the_manifest_alone(folder):
    found = signature(folder, "vae", "unet")
    (folder / "vae" / "config.json").unlink()
    assert signature(folder, "vae", "unet") == found
    assert set(found) == {"vae", "unet"}
    assert found["vae"] != found["unet"]
    assert all(len(value) == 16 for value in found.values())


def test_a_card_does_not_move_the_signature(folder):
    before = signature(folder, "vae")
    (folder / "vae" / "card.json").write_text('{"hours": 3}')
    write_manifest(folder)
    assert signature(folder, "vae") == before


def test_the_manifest_is_the_same_for_the_same_files(folder):
    before = (folder / MANIFEST).read_bytes()
    write_manifest(folder)
    assert (folder / MANIFEST).read_bytes() == before
