"""A training that was stopped and goes on ends with the weights of one that never stopped."""

import dataclasses
import json
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch

from pvbench.errors import PvbenchError
from workshop.train import loop
from workshop.train.card import write_card
from workshop.train.loop import Place, Plan, Trainer, rate_at

PLAN = Plan(steps=30, batch=8, rate=1e-2, warmup=5, average=0.9, every=10, save_seconds=0.0, precision="float32")


NARROW = dataclasses.replace(PLAN, optimiser="muon", muon_kernels=True, precision="bfloat16")


def trainer(folder, plan):
    torch.manual_seed(3)
    model = torch.nn.Linear(4, 2)

    def step(number, rng):
        x = torch.from_numpy(rng.normal(size=(plan.batch, 4)).astype(np.float32))
        return {"total": (model(x) - x[:, :2]).square().mean()}

    place = Place(folder, folder, torch.device("cpu"), torch.get_num_threads())
    return model, Trainer("toy", {"model": model}, step, plan, place)


def kernels(folder, plan):
    """A kernel, a table, a buffer and a last layer learn to copy a picture through a frozen layer."""
    torch.manual_seed(3)
    model: Any = torch.nn.ModuleDict({
        "embedding": torch.nn.Embedding(3, 16), "first": torch.nn.Conv2d(2, 16, 1),
        "inner": torch.nn.Conv2d(16, 16, 3, padding=1), "last": torch.nn.Conv2d(16, 2, 1),
    })  # fmt: skip
    model.first.requires_grad_(False)
    model.register_buffer("scale", torch.tensor(1.2345))
    model.to(memory_format=torch.channels_last)

    def step(number, rng):
        generator = loop.generator_on(torch.device("cpu"), rng)
        x = torch.randn(plan.batch, 2, 4, 4, generator=generator).to(model.first.weight.dtype)
        place = model.embedding.weight[rng.integers(3)][None, :, None, None]
        found = model.last(model.inner(model.first(x) + place) * model.scale)
        return {"total": (found - x).float().square().mean()}

    place = Place(folder, folder, torch.device("cpu"), torch.get_num_threads())
    return model, Trainer("toy", {"model": model}, step, plan, place)


@pytest.mark.parametrize(
    ("make", "plan"),
    [(trainer, PLAN), (trainer, dataclasses.replace(PLAN, optimiser="muon")), (kernels, PLAN), (kernels, NARROW)],
)
def test_a_stopped_training_ends_with_the_same_weights(tmp_path, make, plan):
    whole, run = make(tmp_path / "a", plan)
    run.run()

    class StopError(Exception):
        pass

    _, broken = make(tmp_path / "b", plan)
    inner = broken.step

    def step(number, rng):
        if number == 17:
            raise StopError
        return inner(number, rng)

    broken.step = step
    with pytest.raises(StopError):
        broken.run()
    again, resumed = make(tmp_path / "b", plan)
    resumed.run()
    for name, value in whole.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name


def test_bfloat16_modules_learn_from_float32_masters(tmp_path):
    """While it trains, modules hold the masters rounded; at the end they are the masters' averages, in float32."""
    model, run = kernels(tmp_path, dataclasses.replace(NARROW, steps=200, batch=16))
    assert {p.dtype for p in model.parameters()} == {torch.bfloat16}
    assert {m.dtype for m in (*run.masters.values(), *run.averages.values())} == {torch.float32}
    first = run.step(0, np.random.default_rng(0))["total"].item()
    run.run()
    assert {v.dtype for v in model.state_dict().values()} == {torch.float32}
    assert run.step(0, np.random.default_rng(0))["total"].item() < 0.01 * first
    moved = model.inner.weight
    assert torch.equal(moved, run.masters["model.inner.weight"])
    assert not torch.equal(moved, moved.bfloat16().float())


def test_what_bfloat16_training_leaves_alone_comes_back_exactly(tmp_path):
    """Also where a training of float32 goes on from the checkpoint."""
    before, _ = kernels(tmp_path, PLAN)
    for plan in (NARROW, dataclasses.replace(PLAN, steps=31)):
        after, run = kernels(tmp_path, plan)
        run.run()
        assert torch.equal(before.first.weight, after.first.weight)
        assert torch.equal(before.scale, after.scale)
    assert run.done == 31


def test_muon_takes_kernels_but_no_table_nor_last_layer(tmp_path):
    _, run = kernels(tmp_path, NARROW)

    def held(part):
        return [p.shape for group in run.optimiser.parts[part].param_groups for p in group["params"]]

    assert held("muon") == [(16, 16, 3, 3)]
    assert sorted(held("adamw"), key=len) == [(16,), (2,), (3, 16), (2, 16, 1, 1)]
    run.run()
    other = kernels(tmp_path, dataclasses.replace(NARROW, steps=40, muon_kernels=False))[1]
    other.resume()
    assert other.done == 30
    assert not other.optimiser.parts["adamw"].state


@pytest.fixture
def clock(monkeypatch):
    """The training loop's clock, which tests move."""
    now = SimpleNamespace(seconds=1000.0)
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: now.seconds))
    return now


def test_a_training_of_seconds_ends_on_time_and_its_rate_follows_the_clock(tmp_path, clock):
    """A second a step, then two: ten seconds are seven steps, in two runs of the same command."""
    plan = dataclasses.replace(PLAN, steps=0, seconds=10.0, warmup=0, decay=0.5)
    rates = []

    def timed(stop=None):
        _, run = trainer(tmp_path, plan)
        inner = run.step

        def step(number, rng):
            if number == stop:
                raise KeyboardInterrupt
            clock.seconds += 1 if number < 4 else 2
            rates.append(run.optimiser.parts["adamw"].param_groups[0]["lr"])
            return inner(number, rng)

        run.step = step
        return run

    with pytest.raises(KeyboardInterrupt):
        timed(stop=2).run()
    clock.seconds += 3600  # between two runs
    run = timed()
    run.run()
    assert (run.done, run.seconds, run.share) == (7, 10.0, 1.0)
    assert rates == pytest.approx([0.01] * 5 + [0.01 * 4 / 5, 0.01 * 2 / 5])
    again = timed()
    again.run()
    assert again.done == 7
    write_card(tmp_path, "Linear", "a toy", "noise", run, plan, {})
    card = json.loads((tmp_path / "card.json").read_text())
    assert card["steps"] == 7
    assert card["ended_by"] == "the clock: a repetition takes other steps"


@pytest.mark.parametrize(("steps", "seconds"), [(10, 5.0), (0, 0.0)])
def test_a_plan_ends_after_steps_or_after_seconds(steps, seconds):
    with pytest.raises(PvbenchError, match=f"{steps} steps and {seconds:g} seconds"):
        Plan(steps=steps, batch=1, rate=1.0, seconds=seconds)


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


def half_frozen(folder, steps, frozen):
    """A frozen layer of the given value before a trained one."""
    torch.manual_seed(3)
    model = torch.nn.Sequential(torch.nn.Linear(4, 4, bias=False), torch.nn.Linear(4, 2))
    torch.nn.init.constant_(cast(torch.Tensor, model[0].weight), frozen).requires_grad_(False)

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


@pytest.mark.parametrize(
    ("device", "computes", "precision"), [("cpu", True, "mixed"), ("cpu", False, "float32"), ("cuda", False, "mixed")]
)
def test_auto_is_mixed_where_bfloat16_is_computed(monkeypatch, device, computes, precision):
    monkeypatch.setattr(loop, "computes_bfloat16", lambda: computes)
    plan = Plan(steps=3, batch=2, rate=1e-2, precision="auto")
    assert plan.on(torch.device(device)).precision == precision
    assert dataclasses.replace(plan, precision="float32").on(torch.device(device)).precision == "float32"
