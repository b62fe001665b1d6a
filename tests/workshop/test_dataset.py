"""Training data: the same from the same seed, resumed without harm, with labels that say what is shown."""

from itertools import pairwise

import numpy as np
import pytest

from pvbench.errors import PvbenchError
from pvbench.world import vocabulary
from pvbench.world.action import FACE_ACTIONS
from pvbench.world.vocabulary import FRAMES, LABELS, SIZE
from workshop.dataset import SHARD, load, load_shard, look_of, random_labels, render_dataset, render_shard, shard_path

PER_PERSON = 2


@pytest.fixture
def small(monkeypatch, figure):
    """Shards of four photos, one video or two portraits."""
    monkeypatch.setitem(SHARD, "photo", 4)
    monkeypatch.setitem(SHARD, "video", 1)
    monkeypatch.setitem(SHARD, "portrait", 2)
    monkeypatch.setitem(SHARD, "double", 4)


def test_a_kind_of_a_style_holds_single_photos_drawn_in_it(tmp_path, monkeypatch, small):
    monkeypatch.setitem(SHARD, "sketch", 2)
    (path,) = render_dataset(tmp_path, "train-b", "sketch", 2, PER_PERSON, 1)
    found = load_shard(path)
    assert found.frames.shape == (2, 1, SIZE, SIZE, 3)
    assert np.ptp(found.frames.astype(int), axis=-1).max() < 16


def test_random_labels_are_what_the_renderer_knows():
    rng = np.random.default_rng(0)
    rows = [random_labels(rng) for _ in range(2000)]
    for name in rows[0]:
        assert {row[name] for row in rows} == set(LABELS[name]), name
    assert all(row["expression"] == "neutral" for row in rows if row["action"] in FACE_ACTIONS)
    assert all(row["cap"] != row["colour"] for row in rows)
    assert 0.08 < np.mean([bool(row["cap"]) for row in rows]) < 0.16


def test_the_renderer_knows_every_label():
    pytest.importorskip("warp", reason='the miniature world needs pip install "pvbench[world]"')
    from pvbench.world.body import CLOTHES, COLOURS
    from pvbench.world.scene import SCENES

    assert LABELS["clothes"] == CLOTHES
    assert LABELS["colour"] == tuple(COLOURS)
    assert LABELS["scene"] == tuple(SCENES)


@pytest.mark.parametrize("pool", ["test", "benchmark"])
def test_an_unknown_pool_is_told_with_the_pools(tmp_path, pool):
    with pytest.raises(PvbenchError, match=f"no pool '{pool}'.*train-a, train-b, held-out"):
        list(render_dataset(tmp_path, pool, "photo", 1, PER_PERSON, 1))
    assert not list(tmp_path.iterdir())


def test_an_unknown_kind_is_told_with_the_kinds(tmp_path):
    with pytest.raises(PvbenchError, match=r"kind 'film'.*kinds: photo, video, portrait"):
        list(render_dataset(tmp_path, "train-a", "film", 1, PER_PERSON, 1))


def test_an_existing_shard_is_left_alone(tmp_path, monkeypatch):
    path = shard_path(tmp_path, "train-a", "photo", 0)
    path.write_bytes(b"made earlier")
    monkeypatch.setattr("workshop.dataset.random_labels", None)
    assert render_shard(tmp_path, "train-a", "photo", 0, PER_PERSON) == path
    assert path.read_bytes() == b"made earlier"


def test_missing_shards_are_told_with_the_command_that_makes_them(tmp_path):
    with pytest.raises(PvbenchError, match=r"0 shards video-held-out; 2 are needed.*workshop dataset --pool held"):
        load(tmp_path, "held-out", "video", SHARD["video"] + 1)


def test_the_same_seed_gives_the_same_bytes(tmp_path, small):
    one, other = (render_shard(tmp_path / name, "train-a", "photo", 1, PER_PERSON) for name in ("one", "other"))
    assert one.read_bytes() == other.read_bytes()
    assert [path.name for path in (tmp_path / "one").iterdir()] == [one.name]


def test_resuming_renders_what_is_missing_alone(tmp_path, small):
    whole = list(render_dataset(tmp_path / "whole", "held-out", "photo", 9, PER_PERSON, 1))
    assert len(whole) == 3
    first = render_shard(tmp_path / "broken", "held-out", "photo", 0, PER_PERSON)
    first.write_bytes(b"made earlier")
    found = list(render_dataset(tmp_path / "broken", "held-out", "photo", 9, PER_PERSON, 1))
    assert first.read_bytes() == b"made earlier"
    assert [path.read_bytes() for path in found[1:]] == [path.read_bytes() for path in whole[1:]]


def test_a_rendering_that_breaks_leaves_no_shard(tmp_path, small, monkeypatch):
    import pvbench.world.render

    def breaks(*_, **__):
        raise RuntimeError("no light")

    monkeypatch.setattr(pvbench.world.render, "render", breaks)
    with pytest.raises(RuntimeError, match="no light"):
        render_shard(tmp_path, "train-a", "photo", 0, PER_PERSON)
    assert not list(tmp_path.iterdir())


def test_a_shard_of_photos_says_who_and_what_it_shows(tmp_path, small):
    found = load_shard(render_shard(tmp_path, "train-b", "photo", 2, PER_PERSON))
    assert found.frames.shape == (4, 1, SIZE, SIZE, 3)
    assert found.landmarks.shape == (4, 1, 5, 2)
    assert found.yaw.shape == (4, 1)
    assert found.person.tolist() == [4, 4, 5, 5]
    assert len({frame.tobytes() for frame in found.frames}) == 4
    for name, table in LABELS.items():
        assert all(0 <= number < len(table) for number in found.label(name))
    noun = found.label("class_noun")
    assert noun[0] == noun[1]
    assert noun[2] == noun[3]


def test_every_second_sample_of_a_person_wears_another_look(tmp_path, small, figure):
    from pvbench.world.person import pool_person

    found = load_shard(render_shard(tmp_path, "train-b", "photo", 0, PER_PERSON))
    for i in (0, 2):
        own = pool_person("train-b", i // PER_PERSON, figure.face_sliders()).look
        worn = look_of(found.labels[i])
        assert (worn.hair, worn.hair_colour, worn.beard, worn.glasses) == (
            own.hair, own.hair_colour, own.beard, own.glasses
        )  # fmt: skip
    assert any(look_of(found.labels[i]) != look_of(found.labels[i + 1]) for i in (0, 2))


def test_shards_are_joined_and_cut(tmp_path, small):
    list(render_dataset(tmp_path, "train-a", "video", 2, PER_PERSON, 1))
    both, one = load(tmp_path, "train-a", "video"), load(tmp_path, "train-a", "video", 1)
    assert both.frames.shape == (2, FRAMES, SIZE, SIZE, 3)
    assert one.frames.shape == (1, FRAMES, SIZE, SIZE, 3)
    np.testing.assert_array_equal(one.frames[0], both.frames[0])
    assert (np.abs(np.diff(both.frames[0].astype(int), axis=0)).mean(axis=(1, 2, 3)) > 0).all()


def test_pools_show_different_people(tmp_path, small):
    shown = [load_shard(render_shard(tmp_path, pool, "photo", 0, PER_PERSON)).frames for pool in vocabulary.POOLS]
    assert all(np.abs(a.astype(int) - b).mean() > 5 for a, b in pairwise(shown))


def test_rendering_processes_compute_with_one_thread_each(monkeypatch):
    import os

    from workshop.dataset import _one_thread_each

    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "5")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    with _one_thread_each():
        assert os.environ["OPENBLAS_NUM_THREADS"] == os.environ["OMP_NUM_THREADS"] == "1"
    assert os.environ["OPENBLAS_NUM_THREADS"] == "5"
    assert "OMP_NUM_THREADS" not in os.environ


def test_portraits_are_unrelated_moments_of_one_dressed_person(tmp_path, small):
    found = load_shard(render_shard(tmp_path, "train-a", "portrait", 0, PER_PERSON))
    assert found.frames.shape == (2, FRAMES, SIZE, SIZE, 3)
    assert found.landmarks.shape == (2, FRAMES, 5, 2)
    assert found.person.tolist() == [0, 0]
    corners = found.frames[:, :, :8, :8].reshape(2 * FRAMES, -1)
    assert len({corner.tobytes() for corner in corners}) == 2 * FRAMES  # another scene, or another look at it
    assert np.ptp(found.yaw, axis=1).min() > 5
    again = render_shard(tmp_path / "again", "train-a", "portrait", 0, PER_PERSON)
    assert again.read_bytes() == shard_path(tmp_path, "train-a", "portrait", 0).read_bytes()


def test_doubles_are_four_people_who_share_face_or_look(tmp_path, small, figure):
    from pvbench.world.person import double

    found = load_shard(render_shard(tmp_path, "train-b", "double", 1, PER_PERSON))
    assert found.frames.shape == (4, FRAMES, SIZE, SIZE, 3)
    assert found.person.tolist() == [4, 5, 6, 7]
    person, restyled, look_alike, other_skin = (double("train-b", 1, k, figure.face_sliders()) for k in range(4))
    assert restyled.sliders == person.sliders == other_skin.sliders != look_alike.sliders
    assert restyled.look != person.look == look_alike.look == other_skin.look
    assert restyled.skin == person.skin == look_alike.skin != other_skin.skin
    assert {one.class_noun for one in (person, restyled, look_alike, other_skin)} == {person.class_noun}


def test_a_shard_holds_the_traits_of_its_people(tmp_path, small, figure):
    from pvbench.world.person import pool_person, traits

    found = load_shard(render_shard(tmp_path, "train-b", "photo", 0, PER_PERSON))
    people = [pool_person("train-b", int(number), figure.face_sliders()) for number in found.person]
    np.testing.assert_array_equal(found.traits, np.stack([traits(person) for person in people]))


def test_a_shard_of_an_older_version_is_told(tmp_path):
    path = shard_path(tmp_path, "train-a", "photo", 0)
    np.savez(path, frames=np.zeros((1, 1, 4, 4, 3), np.uint8))
    with pytest.raises(PvbenchError, match=r"lacks landmarks.*older version.*delete it"):
        load(tmp_path, "train-a", "photo")
