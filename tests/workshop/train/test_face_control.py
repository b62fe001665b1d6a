"""The face control's training: what a sample is spared, whose head stands beside it, files that the backbone takes."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from pvbench.rewards.face_control import CONTROL, LORA
from pvbench.weights import weights_folder
from pvbench.world.vocabulary import LABELS
from workshop.dataset import Shard
from workshop.train import face_control, image_encoder
from workshop.train.face_control import Batch, ControlInTraining, Controlled, Heads, measure_control
from workshop.train.loop import Place, Plan
from workshop.train.motion import load_sides
from workshop.train.samples import Samples

PEOPLE = np.array([0, 0, 0, 0, 1, 1, 1, 1], np.int32)


def heads(values):
    """Heads that differ in every number."""
    rows = torch.tensor(values, dtype=torch.float32)
    return Heads(rows.view(-1, 1, 1, 1).expand(-1, 1, 2, 2), rows.view(-1, 1), (rows.view(-1, 1, 1),))


def data():
    """Four samples of two videos' length, whose own heads are 1 and whose photos' heads are 2."""
    samples = Samples(
        torch.zeros(4, 1, 3, 2, 2),
        torch.full((4, 1, 3, 2, 2), 7.0),
        torch.ones(4, 2, 5, dtype=torch.int16),
        torch.zeros(5, dtype=torch.int16),
    )
    head = torch.zeros(4, 1, 3, 2, 2)
    head[:, :, :, 0, 0] = 1
    return Controlled(samples, heads([2.0, 2.0]), heads([1.0] * 4), torch.tensor([0, 1, 0, 1]), head)


def test_what_samples_are_spared_and_where_their_loss_counts():
    batch = data().draw(4000, torch.Generator().manual_seed(0))
    assert (batch.words == 0).all(dim=1).float().mean() == pytest.approx(0.10, abs=0.02)
    assert (batch.heads.identity == 2).float().mean() == pytest.approx(0.5, abs=0.03)
    for branch in (batch.picture, batch.face):
        assert (1 - branch).mean() == pytest.approx(0.0975, abs=0.02)
    assert ((batch.picture == 0) & (batch.face == 0)).float().mean() == pytest.approx(0.052, abs=0.015)
    masked = (batch.weights[:, 0, 0, 1, 1] == 0).float()
    assert masked.mean() == pytest.approx(0.5, abs=0.03)
    inside = batch.weights[masked.bool()]
    assert inside.mean() == pytest.approx(1.0)
    assert inside[:, 0, :, 0, 0].min() == pytest.approx(4.0)
    assert (batch.weights[~masked.bool()] == 7).all()


def test_the_pictures_are_noisy_by_a_twentieth():
    batch = data().draw(4000, torch.Generator().manual_seed(0))
    off = batch.heads.pictures - batch.heads.identity.view(-1, 1, 1, 1)
    assert off.std() == pytest.approx(0.064, abs=0.006)  # the root of E(exp(2 N(-3, .5)))


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A data set of eight pictures of two people, and a place that begins from the shipped backbone."""
    rng = np.random.default_rng(0)
    labels = np.stack([rng.integers(len(values), size=8) for values in LABELS.values()], axis=1).astype(np.int8)
    points = np.array([[24, 28], [40, 28], [32, 36], [27, 44], [37, 44]], np.float32)

    def shard(frames):
        shape = (8, frames, 64, 64)
        return Shard(
            frames=rng.integers(0, 255, (*shape, 3)).astype(np.uint8),
            landmarks=np.broadcast_to(points, (8, frames, 5, 2)).copy(),
            yaw=np.zeros((8, frames), np.float32),
            person=PEOPLE,
            labels=labels,
            traits=np.zeros((8, 3), np.float32),
            parts=np.zeros(shape, np.uint8),
        )

    made = {"photo": shard(1), "video": shard(8)}
    monkeypatch.setattr(face_control.dataset, "load", lambda root, pool, kind, samples=None: made[kind])
    return Place(tmp_path / "data", tmp_path / "out", torch.device("cpu"), 1, weights_folder("mini"))


def test_the_stages_end_in_files_that_the_backbone_takes(small, short_backbone):
    plan = Plan(steps=3, batch=2, rate=1e-3, precision="float32")
    image_encoder.train_image_encoder(small, plan)
    face_control.train_pictures(small, plan)
    face_control.train_videos(small, plan)
    folder = small.out / "face_control"
    card = json.loads((folder / "card.json").read_text())
    assert set(card["quality_on_held_out_people"]) == {"own_photo", "another_photo", "no_photo"}
    before = load_file(small.out / "face_control_pictures" / CONTROL)
    after = load_file(folder / CONTROL)
    changed = {key for key in after if not torch.equal(before[key], after[key])}
    assert {"picture.weight", "local_facial_extractor.proj_out"} <= changed
    short_backbone.reset()
    short_backbone.load_face_control(after)
    short_backbone.load_lora(load_file(folder / LORA), "face control")
    short_backbone.reset()


def test_the_first_third_is_without_the_face(small, monkeypatch):
    seen = []
    show = ControlInTraining.show

    def watched(self, batch, local=True):
        seen.append(local)
        show(self, batch, local)

    monkeypatch.setattr(ControlInTraining, "show", watched)
    monkeypatch.setattr(face_control, "measure_control", lambda held, loss_on: {})
    plan = Plan(steps=6, batch=2, rate=1e-3, precision="float32")
    image_encoder.train_image_encoder(small, replace(plan, steps=1))
    face_control.train_pictures(small, plan)
    assert seen == [False, False, True, True, True, True]
    seen.clear()
    face_control.train_pictures(replace(small, out=small.out / "by_the_clock"), replace(plan, steps=0, seconds=1e-3))
    assert seen == [False]


def test_a_sample_that_is_spared_both_branches_is_as_without_the_control(small):
    torch.manual_seed(0)
    _, _, unet = load_sides(small)
    given = torch.randn(2, 12, 16, 16), torch.tensor([400, 400]), torch.randn(2, 5, unet.config.cross_attention_dim)
    with torch.no_grad():
        plain = unet(*given).sample
    model = ControlInTraining(unet)
    for parameter in model.network.parameters():
        parameter.data.normal_(std=0.05)
    beside = Heads(torch.randn(2, 12, 16, 16), torch.randn(2, 256), tuple(torch.randn(2, 65, 128) for _ in range(3)))
    latents = given[0][:, :, None]
    seen = torch.tensor([0.0, 1.0])
    model.show(Batch(latents, latents[:, :1], torch.zeros(2, 5), beside, seen, seen))
    with torch.no_grad():
        found = unet(*given).sample
    torch.testing.assert_close(found[0], plain[0], atol=1e-4, rtol=1e-4)
    assert (found[1] - plain[1]).abs().mean() > 0.01


def test_held_out_losses_tell_a_control_that_reads_the_photo():
    """Samples hold the number of their person; a control that reads the photo loses by what is between both."""
    held = data()
    whose = torch.tensor([2.0, 2.0, 5.0, 5.0])
    samples = replace(held.samples, latents=whose.view(-1, 1, 1, 1, 1).expand(-1, 1, 3, 2, 2))
    held = replace(held, samples=samples, photos=heads([2.0, 5.0]), photo=torch.tensor([0, 0, 1, 1]))

    def reads(batch, generator):
        apart = (batch.heads.identity[:, 0] - batch.latents[:, 0, 0, 0, 0]).abs()
        return torch.where(batch.face.bool(), apart, torch.ones_like(apart)).mean()

    assert measure_control(held, reads) == {"own_photo": 0.0, "another_photo": 3.0, "no_photo": 1.0}
    blind = measure_control(held, lambda batch, generator: batch.latents.mean())
    assert len(set(blind.values())) == 1
