"""A card tells what a model learnt from, and what came before."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from workshop.train.card import write_card
from workshop.train.loop import Place, Plan, Trainer

PLAN = Plan(steps=3, batch=8, rate=1e-2, save_seconds=0.0, precision="float32")


@pytest.fixture
def trained(tmp_path):
    """A training of three steps that has ended."""
    model = torch.nn.Linear(4, 2)

    def step(number, rng):
        x = torch.from_numpy(rng.normal(size=(PLAN.batch, 4)).astype(np.float32))
        return {"total": (model(x) - x[:, :2]).square().mean()}

    run = Trainer(
        "toy", {"model": model}, step, PLAN, Place(tmp_path, tmp_path, torch.device("cpu"), torch.get_num_threads())
    )
    run.run()
    return run


def test_a_card_holds_what_a_reader_asks(tmp_path, trained):
    write_card(tmp_path, "Linear", "a toy", "noise", trained, PLAN, {"error": 0.5})
    card = json.loads((tmp_path / "card.json").read_text())
    assert {"data", "steps", "seed", "hardware", "hours", "licence", "quality_on_held_out_people"} <= set(card)


def test_a_card_tells_of_the_stages_before(tmp_path, trained):
    """Each training goes on from the weights of the one before."""
    start = None
    for name in ("first", "second", "third"):
        trained.place = dataclasses.replace(trained.place, start=start)
        folder = tmp_path / name / "layer"
        folder.mkdir(parents=True)
        write_card(folder, "Linear", "a toy", f"noise {name}", trained, PLAN, {"error": 0.5})
        start = tmp_path / name
    card = json.loads((tmp_path / "third" / "layer" / "card.json").read_text())
    assert [stage["data"] for stage in card["earlier_stages"]] == ["noise first", "noise second"]
    assert [stage["began_from"] for stage in card["earlier_stages"]] == [
        "random values",
        "earlier weights of the same model",
    ]


def test_a_folder_that_holds_other_models_alone_is_no_beginning(tmp_path, trained):
    """A training that takes the frozen parts of a folder begins its own model from random values."""
    (tmp_path / "start" / "frozen").mkdir(parents=True)
    trained.place = dataclasses.replace(trained.place, start=tmp_path / "start")
    (tmp_path / "layer").mkdir()
    write_card(tmp_path / "layer", "Linear", "a toy", "noise", trained, PLAN, {"error": 0.5})
    card = json.loads((tmp_path / "layer" / "card.json").read_text())
    assert (card["began_from"], card["earlier_stages"]) == ("random values", [])
