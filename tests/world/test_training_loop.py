"""A training that was stopped and goes on ends with the weights of one that never stopped."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from pvbench.errors import PvbenchError
from pvbench.world.train.loop import Place, Plan, Trainer, rate_at, write_card

PLAN = Plan(steps=30, batch=8, rate=1e-2, warmup=5, average=0.9, every=10, save_seconds=0.0, mixed=False)


def trainer(folder, plan):
    torch.manual_seed(3)
    model = torch.nn.Linear(4, 2)

    def step(number, rng):
        x = torch.from_numpy(rng.normal(size=(plan.batch, 4)).astype(np.float32))
        return {"total": (model(x) - x[:, :2]).square().mean()}

    place = Place(folder, folder, torch.device("cpu"), torch.get_num_threads())
    return model, Trainer("toy", {"model": model}, step, plan, place)


@pytest.mark.parametrize("optimiser", ["adamw", "muon"])
def test_a_stopped_training_ends_with_the_same_weights(tmp_path, optimiser):
    plan = dataclasses.replace(PLAN, optimiser=optimiser)
    whole, run = trainer(tmp_path / "a", plan)
    run.run()

    class StopError(Exception):
        pass

    _, broken = trainer(tmp_path / "b", plan)
    inner = broken.step

    def step(number, rng):
        if number == 17:
            raise StopError
        return inner(number, rng)

    broken.step = step
    with pytest.raises(StopError):
        broken.run()
    again, resumed = trainer(tmp_path / "b", plan)
    resumed.run()
    assert torch.equal(whole.weight, again.weight)


@pytest.mark.parametrize("optimiser", ["adamw", "muon"])
def test_a_training_learns_and_logs(tmp_path, optimiser):
    _, run = trainer(tmp_path, dataclasses.replace(PLAN, steps=200, rate=5e-2, optimiser=optimiser))
    run.run()
    lines = [json.loads(line) for line in (tmp_path / "toy.log.jsonl").read_text().splitlines()]
    assert lines[-1]["step"] == 200
    assert lines[-1]["total"] < 0.1 * lines[0]["total"]


def test_muon_takes_matrices_and_adamw_the_rest(tmp_path):
    """And a training that changes its optimiser goes on from the weights, without the other's memory."""
    first, run = trainer(tmp_path, PLAN)
    run.run()
    second, other = trainer(tmp_path, dataclasses.replace(PLAN, steps=31, optimiser="muon"))
    other.resume()
    assert other.done == 30
    assert [p.shape for group in other.optimiser.parts["muon"].param_groups for p in group["params"]] == [(2, 4)]
    assert [p.shape for group in other.optimiser.parts["adamw"].param_groups for p in group["params"]] == [(2,)]
    assert not other.optimiser.parts["muon"].state
    other.run()
    assert not torch.equal(first.weight, second.weight)


def test_the_rate_rises_then_stays_then_falls():
    plan = Plan(steps=100, batch=1, rate=1.0, warmup=10, decay=0.5)
    assert rate_at(0, plan) == pytest.approx(0.1)
    assert rate_at(30, plan) == 1.0
    assert rate_at(75, plan) == pytest.approx(0.5)
    assert rate_at(99, plan) == pytest.approx(0.02)


def test_a_card_holds_what_a_reader_asks(tmp_path):
    _, run = trainer(tmp_path, PLAN)
    run.run()
    write_card(tmp_path, "Linear", "a toy", "noise", run, PLAN, {"error": 0.5})
    card = json.loads((tmp_path / "card.json").read_text())
    assert {"data", "steps", "seed", "hardware", "hours", "licence", "quality_on_held_out_people"} <= set(card)


def test_a_card_tells_of_the_stages_before(tmp_path):
    """Each training goes on from the weights of the one before."""
    _, run = trainer(tmp_path, PLAN)
    run.run()
    start = None
    for name in ("first", "second", "third"):
        run.place = dataclasses.replace(run.place, start=start)
        folder = tmp_path / name / "layer"
        folder.mkdir(parents=True)
        write_card(folder, "Linear", "a toy", f"noise {name}", run, PLAN, {"error": 0.5})
        start = tmp_path / name
    card = json.loads((tmp_path / "third" / "layer" / "card.json").read_text())
    assert [stage["data"] for stage in card["earlier_stages"]] == ["noise first", "noise second"]
    assert [stage["began_from"] for stage in card["earlier_stages"]] == ["random values",
                                                                         "earlier weights of the same model"]


def half_frozen(folder, steps, frozen):
    """A frozen layer of the given value before a trained one."""
    torch.manual_seed(3)
    model = torch.nn.Sequential(torch.nn.Linear(4, 4, bias=False), torch.nn.Linear(4, 2))
    torch.nn.init.constant_(model[0].weight, frozen).requires_grad_(False)

    def step(number, rng):
        x = torch.from_numpy(rng.normal(size=(8, 4)).astype(np.float32))
        return {"total": (model(x) - x[:, :2]).square().mean()}

    place = Place(folder, folder, torch.device("cpu"), torch.get_num_threads())
    return model, Trainer("toy", {"model": model}, step, dataclasses.replace(PLAN, steps=steps), place)


def test_a_checkpoint_brings_no_frozen_part_back(tmp_path):
    """Motion modules that go on after the text-to-image model was trained further see the new one."""
    _, run = half_frozen(tmp_path, 10, 0.5)
    run.run()
    model, again = half_frozen(tmp_path, 20, 0.7)
    again.run()
    assert torch.equal(model[0].weight, torch.full((4, 4), 0.7))
    assert again.done == 20


def test_a_checkpoint_of_another_model_is_told(tmp_path):
    _, run = half_frozen(tmp_path, 10, 0.5)
    run.run()
    _, other = trainer(tmp_path, PLAN)
    with pytest.raises(PvbenchError, match="belongs to another model"):
        other.run()
