"""Look-alikes: there for the world's people and its weights only, and not to be taken for the people themselves."""

import dataclasses
import json

import numpy as np
import pytest

from pvbench.errors import WeightsError
from pvbench.evaluator import Evaluators, FeaturePlan
from pvbench.identity import SPLITS, load_identities, split_root
from pvbench.method import request_for
from pvbench.methods.oracle import Oracle, OracleSettings
from pvbench.metrics.line_up import LineUp
from pvbench.profile import load_profile
from pvbench.prompt import load_prompts
from pvbench.weights import signature, weights_folder
from pvbench.world.foils import COUNT, FILE, FOLDER, RECOGNISERS, foils_of, read_foils, write_foils

PROFILE = load_profile("mini")
PEOPLE = [one for split in SPLITS for one in load_identities(None, split_root(split))]


def test_everybody_of_both_splits_has_some_and_they_differ():
    found = foils_of(PROFILE, PEOPLE)
    assert len(found) == 32
    rows = np.stack([found[one.name]["foils/face"] for one in PEOPLE])
    assert rows.shape == (32, COUNT, 128)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=-1), 1, atol=1e-5)
    flat = rows.reshape(-1, 128)
    alike = flat @ flat.T - np.eye(len(flat))
    assert alike.max() < 0.95


def test_whoever_has_other_photos_has_none(ada):
    other = dataclasses.replace(ada, scoring=ada.scoring[:1])
    assert foils_of(PROFILE, [other])["ada"]["foils/face"].shape[0] == 0


def test_evaluators_of_another_kind_have_none(ada):
    published = dataclasses.replace(PROFILE, evaluators={"kind": "published"})
    assert foils_of(published, [ada])["ada"]["foils/face"].shape[0] == 0


def test_embeddings_of_other_weights_are_left_out(tmp_path):
    rows = {"ada": {"foils/face": np.eye(4, 8, dtype=np.float32)}}
    path = tmp_path / FILE
    write_foils(path, rows, {"ada": "abc"}, {"face_recogniser_scoring": "one"})
    assert list(read_foils(path, {"face_recogniser_scoring": "one"})) == [("ada", "abc")]
    assert read_foils(path, {"face_recogniser_scoring": "another"}) == {}
    first = path.read_bytes()
    write_foils(path, rows, {"ada": "abc"}, {"face_recogniser_scoring": "one"})
    assert path.read_bytes() == first


def test_a_damaged_file_is_told(tmp_path):
    path = tmp_path / FILE
    path.write_bytes(b"no safetensors")
    with pytest.raises(WeightsError, match="holds no look-alikes"):
        read_foils(path, {})


def test_the_card_says_what_they_are():
    folder = weights_folder("mini")
    card = json.loads((folder / FOLDER / "card.json").read_text())
    assert "32 people" in card["what"]
    assert set(signature(folder, FOLDER, *RECOGNISERS.values())) == {FOLDER, *RECOGNISERS.values()}


@pytest.fixture(scope="module")
def lined_up():
    """`line_up_foils` of true videos: the first four people, every third prompt; and of the first look-alike's own."""
    evaluators = Evaluators(FeaturePlan(PROFILE, ("face/embedding", "reference/face")), "cpu")
    oracle, prompts = Oracle(OracleSettings(), None, PROFILE), load_prompts("mini_evaluation").prompts[::3]
    people = load_identities()[:4]
    foils = foils_of(PROFILE, people)
    true, false = [], []
    for one in people:
        beside = {**evaluators.all("reference", one.scoring_photos()), **foils[one.name]}
        beside["others/face"] = foils[one.name]["foils/face"]
        for video in oracle.generate(one, None, [request_for(one, prompt, 0) for prompt in prompts]):
            made = {**evaluators.all("video", video), **beside}
            true.append(LineUp().row(made)[1])
            alike = np.where(made["face/detected"][:, None] == 1, beside["foils/face"][0], np.nan)
            false.append(LineUp().row({**made, "face/embedding": alike.astype(np.float32)})[1])
    return np.array(true), np.array(false)


def test_the_true_person_is_told_from_look_alikes_and_they_from_the_person(lined_up):
    true, false = lined_up
    assert true.mean() > 0.95
    assert false.mean() == 0
