"""Trained models are gathered whole, or the training that is missing is named."""

import pytest

from pvbench.errors import WeightsError
from pvbench.weights import manifest, verified
from workshop.commands import _MODELS
from workshop.pack import MODELS, pack


@pytest.fixture
def trained(tmp_path):
    for model in MODELS:
        (tmp_path / "trainings" / model).mkdir(parents=True)
        (tmp_path / "trainings" / model / "model.safetensors").write_text(model)
    (tmp_path / "trainings" / "vae.log.jsonl").write_text("{}\n")
    return tmp_path / "trainings"


def test_what_is_packed_passes_the_check(trained, tmp_path):
    weights = tmp_path / "weights"
    pack(trained, weights)
    assert all(verified(weights, model) == weights / model for model in MODELS)
    assert set(manifest(weights)) == {f"{model}/model.safetensors" for model in MODELS}


def test_packing_again_replaces_models_and_keeps_the_rest(trained, tmp_path):
    weights = tmp_path / "weights"
    pack(trained, weights)
    (weights / "vae" / "stale.json").write_text("")
    (weights / "oracle").mkdir()
    (weights / "oracle" / "ada.mkv").write_text("film")
    (trained / "vae" / "model.safetensors").write_text("retrained")
    pack(trained, weights)
    assert (weights / "vae" / "model.safetensors").read_text() == "retrained"
    assert not (weights / "vae" / "stale.json").exists()
    assert "oracle/ada.mkv" in manifest(weights)


@pytest.mark.parametrize("model", MODELS)
def test_a_missing_model_is_told_with_the_training_that_makes_it(trained, tmp_path, model):
    (trained / model / "model.safetensors").unlink()
    with pytest.raises(WeightsError, match=f"{model} is missing; train it first: python -m workshop train ") as caught:
        pack(trained, tmp_path / "weights")
    assert str(caught.value).rsplit(" ", 1)[-1] in _MODELS
    assert not (tmp_path / "weights").exists()


def test_every_model_of_the_command_line_has_a_training() -> None:
    from workshop.train.models import MODELS

    assert list(MODELS) == list(_MODELS)
