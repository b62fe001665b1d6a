"""The segmenter: sizes, where it finds people, and how well on people that it never saw."""

import numpy as np
import pytest
import torch

from pvbench.features.mini.segmenter_network import PARTS, Segmenter
from pvbench.identity import load_identities
from pvbench.pixels import photo_tensor, to_tensor
from pvbench.profile import load_profile
from pvbench.reward import load_segmenter
from pvbench.rewards.segmenter import NetworkSegmenter


@pytest.fixture(scope="module")
def segmenter():
    return load_segmenter(load_profile("mini"), "cpu")


def test_it_is_small():
    assert sum(value.numel() for value in Segmenter().parameters()) <= 200_000


@pytest.mark.parametrize("size", [(64, 64), (40, 72), (50, 63)])
def test_shares_have_the_pictures_size(size):
    torch.manual_seed(0)
    made = NetworkSegmenter(Segmenter().eval(), torch.device("cpu"))
    images = torch.rand(2, 3, *size) * 2 - 1
    person, head = made.person(images), made.head(images)
    assert person.shape == head.shape == (2, 1, *size)
    assert bool((person >= head - 1e-6).all())
    assert float(person.max()) <= 1
    assert float(head.min()) >= 0


def test_it_finds_the_person_in_every_shipped_photo(segmenter):
    for identity in load_identities():
        images = photo_tensor(identity.references(), 64, 64, torch.device("cpu"))
        person, head = segmenter.person(images) > 0.5, segmenter.head(images) > 0.5
        shares = person.float().mean(dim=(1, 2, 3))
        assert bool(((shares > 0.2) & (shares < 0.9)).all()), (identity.name, shares)
        assert bool((head.float().mean(dim=(1, 2, 3)) > 0.1).all()), identity.name
        # The head is above the middle of the body.
        rows = torch.arange(64.0)[None, None, :, None]
        assert bool(((rows * head).sum(dim=(1, 2, 3)) / head.sum(dim=(1, 2, 3)) < 40).all()), identity.name


def test_people_that_it_never_saw_are_cut_out_well(segmenter):
    pytest.importorskip("anny", reason='rendering needs pip install "pvbench[world]"')
    from pvbench.world.figure import load_figure
    from pvbench.world.person import pool_person
    from pvbench.world.render import render
    from pvbench.world.shot import Shot
    from workshop.dataset import parts_of

    figure = load_figure()
    sliders = figure.face_sliders()
    found, truth = [], []
    for number, (action, scene) in enumerate([("nod", "beach"), ("turn left", "office"), ("wave", "night city")] * 3):
        shot = Shot(action, "neutral", scene, "jacket", "green")
        for domain in ("photo", "video"):
            person = pool_person("held-out", 200 + number, sliders)
            made = render(figure, person, shot, np.random.default_rng(number), domain=domain)
            images = to_tensor(made.frames, torch.device("cpu"))
            found.append(torch.cat([segmenter.person(images), segmenter.head(images)], dim=1) > 0.5)
            parts = torch.from_numpy(parts_of(made))[:, None]
            truth.append(torch.cat([parts > 0, parts == PARTS.index("head")], dim=1))
    ours, theirs = torch.cat(found), torch.cat(truth)
    person, head = ((ours & theirs).sum(dim=(0, 2, 3)) / (ours | theirs).sum(dim=(0, 2, 3))).tolist()
    assert person >= 0.95
    assert head >= 0.95
